// Shared memory with real processes: one address for all who asked for it, a fault for who did not,
// and after a crash all of it anew. What its primitives do is the native tests' business.

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { descriptorsOf, isGone, sharedMemory } from '../harness/leftovers.ts';
import { compileNative } from '../harness/native-library.ts';
import {
  moduleFile,
  type PostmasterProgram,
  refusedStart,
  startPostmaster,
} from '../harness/postmaster.ts';

/** A preload module with one struct, one hook, and workers that say what they see of it. */
const MODULE = `
import { readFileSync, writeSync } from 'node:fs';
const say = (name, text, value) =>
  writeSync(1, JSON.stringify({ kind: 'say', name, pid: process.pid, text, value }) + '\\n');
const addressOf = () =>
  /^([0-9a-f]+)-.*bgworker main area/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[1] ?? null;
const codeOf = (act) => { try { return String(act()); } catch (error) { return error.code ?? error.name; } };

/** Of the first who asks for it, whoever that is. */
const claim = (shmem, name) => {
  let found = true;
  const fields = shmem.struct('late', { of: { bytes: 60 } }, (late) => {
    found = false;
    late.of.write(Buffer.from(name));
  });
  return { found, by: Buffer.from(fields.of.read()).toString().replaceAll('\\0', '') };
};

export function init(server) {
  const counter = server.shmem.struct('counter', { count: 'u32', rest: { bytes: 96 } });
  server.shmem.reserve(64);
  server.shmem.onStartup(async ({ shmem, dsm }) => {
    const content = counter.count.load() + Math.max(...counter.rest.read());
    say('hook', 'ran', { ...claim(shmem, 'hook'), content, segments: dsm.list().length });
    await new Promise((resolve) => setTimeout(resolve, 5));
    counter.count.store(7);
    counter.rest.write(Buffer.from([1]), 95);
    dsm.named('kept', 4096, (segment) => segment.struct({ n: 'u32' }).n.store(1));
  });
  const flags = ['SHMEM_ACCESS'];
  const shared = async (worker) => {
    const count = counter.count.add(1);
    const segment = worker.dsm.create(5000);
    const isZero = new Uint8Array(segment.buffer).every((byte) => byte === 0);
    new Uint8Array(segment.buffer).fill(1, 0, 4096);
    const lock = segment.lwlock({ byteOffset: 4096 }).tryAcquire('exclusive') ? 'free' : 'held';
    const kept = worker.dsm.named('kept', 4096).struct({ n: 'u32' }).n.load();
    const { found, by } = claim(worker.shmem, worker.name);
    say(worker.name, 'sees', { address: addressOf(), found, by, atLeast7: count >= 7, isZero, lock, kept });
    setInterval(() => {}, 1 << 30);
    await new Promise(() => {});
  };
  const apart = async (worker) => {
    const refusals = [
      codeOf(() => worker.shmem), codeOf(() => worker.dsm), codeOf(() => worker.latchOf(0)),
      codeOf(() => counter.count.load()),
    ];
    say(worker.name, 'sees', { address: addressOf(), refusals });
    setInterval(() => {}, 1 << 30);
    await new Promise(() => {});
  };
  for (const name of ['one', 'two']) {
    server.registerBackgroundWorker({ name, flags, restartTime: 3600, main: shared });
  }
  server.registerBackgroundWorker({ name: 'fresh', flags, launch: 'exec', restartTime: 3600, main: shared });
  server.registerBackgroundWorker({ name: 'apart', restartTime: 3600, main: apart });
  if (process.env.PEEK_LIBRARY) {
    const native = { library: process.env.PEEK_LIBRARY, function: 'peek' };
    server.registerBackgroundWorker({ name: 'peek', restartTime: 'never', native });
  }
}
`;

/** What the hook finds, at the start and after a crash, and an attached worker after it. */
const FRESH = { found: false, by: 'hook', content: 0, segments: 0 };
const READY = { found: true, by: 'hook', atLeast7: true, isZero: true, lock: 'free', kept: 1 };

/** Reads a byte at the address that the area has in the launcher, and so in all of its forks. */
const PEEK = `
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bgworker.h"
int peek(const struct bgworker_api* api, struct bgworker_context* context) {
  char path[64], line[512];
  snprintf(path, sizeof path, "/proc/%d/maps", (int)getppid());
  FILE* maps = fopen(path, "r");
  while (maps && fgets(line, sizeof line, maps)) {
    unsigned long address;
    if (!strstr(line, "bgworker main area") || sscanf(line, "%lx", &address) != 1) continue;
    api->log(context, "peeking");
    return *(volatile char*)address == 0 ? 0 : 0;
  }
  return 1;
}
`;

async function seenBy(postmaster: PostmasterProgram, names: readonly string[], after = 0) {
  const seen: { readonly address: string | null; readonly refusals?: readonly string[] }[] = [];
  for (const name of names) {
    const { value } = await postmaster.heard(name, 'sees', { after });
    seen.push(value as (typeof seen)[number]);
  }
  return seen;
}

test('the hooks run at the start, and again with zeroed memory after a crash', async () => {
  const postmaster = await startPostmaster({ preload: [moduleFile(MODULE)] });
  const first = await postmaster.heard('hook', 'ran');
  expect(first.value).toEqual(FRESH);
  for (const seen of await seenBy(postmaster, ['one', 'two', 'fresh'])) {
    expect(seen).toMatchObject(READY);
  }
  await seenBy(postmaster, ['apart']);
  const apart = postmaster.pidOf('apart');

  const after = postmaster.mark();
  process.kill(postmaster.pidOf('one'), 'SIGKILL');
  const again = await postmaster.heard('hook', 'ran', { after });
  expect(again.value).toEqual(FRESH);
  for (const seen of await seenBy(postmaster, ['one', 'two', 'fresh'], after)) {
    expect(seen).toMatchObject(READY);
  }
  expect(postmaster.pidOf('apart')).toBe(apart);
  expect(isGone(apart)).toBe(false);
  await postmaster.stop();
});

test('the death of the launcher is a crash cycle of memory, too', async () => {
  const postmaster = await startPostmaster({ preload: [moduleFile(MODULE)] });
  const names = ['one', 'two', 'fresh', 'apart'];
  await seenBy(postmaster, names);
  const after = postmaster.mark();
  process.kill(postmaster.launcherPid, 'SIGKILL');
  const again = await postmaster.heard('hook', 'ran', { after });
  expect(again.value).toEqual(FRESH);
  await seenBy(postmaster, names, after);
  expect(postmaster.all('crash')).toHaveLength(1);
  await postmaster.stop();
});

test('who is attached has it at one address, who is not faults there, alone', async () => {
  const library = compileNative(PEEK);
  const postmaster = await startPostmaster({
    preload: [moduleFile(MODULE)],
    env: { PEEK_LIBRARY: library },
  });
  const [one, two] = await seenBy(postmaster, ['one', 'two']);
  expect(one?.address).toMatch(/^[0-9a-f]+$/);
  expect(two?.address).toBe(one?.address);
  const [apart] = await seenBy(postmaster, ['apart']);
  expect(apart).toEqual({ address: null, refusals: Array(4).fill('ERR_WRONG_STATE') });
  const exit = await postmaster.exitOf('peek');
  expect(exit.how).toBe('SIGSEGV');
  await postmaster.logged(/peeking/);
  expect(postmaster.all('crash')).toEqual([]);
  expect(postmaster.all('exit').map(({ name }) => name)).toEqual(['peek']);
  // Nothing of shared memory is left open in a child that did not ask for it.
  expect(descriptorsOf(postmaster.pidOf('apart')).join()).not.toContain('main area');
  expect(sharedDescriptors(postmaster.pidOf('apart'))).toBeLessThan(
    sharedDescriptors(postmaster.pidOf('one')) - 90,
  );
  await postmaster.stop();
});

test('twenty crash cycles leave no more than the first', { timeout: 120_000 }, async () => {
  const postmaster = await startPostmaster({ preload: [moduleFile(MODULE)] });
  const launcher = postmaster.launcherPid;
  const entries = ours(sharedMemory());
  const names = ['one', 'two', 'fresh'];
  await seenBy(postmaster, [...names, 'apart']);
  const apart = postmaster.pidOf('apart');
  const read = async () => {
    await postmaster.workers(); // A turn of its loop.
    return [postmaster.pid, launcher].map((pid) => ({
      descriptors: descriptorsOf(pid).length,
      mappings: mappingsOf(pid),
    }));
  };
  let first: Awaited<ReturnType<typeof read>> | null = null;
  for (let cycle = 0; cycle < 20; cycle++) {
    const after = postmaster.mark();
    process.kill(postmaster.pidOf(names[cycle % 3] ?? ''), 'SIGKILL');
    await seenBy(postmaster, names, after);
    first ??= await read();
  }
  expect(await read()).toEqual(first);
  expect(postmaster.all('crash')).toHaveLength(20);
  expect(ours(sharedMemory())).toEqual(entries);
  expect(postmaster.pidOf('apart')).toBe(apart);
  await postmaster.stop();
});

test.each([
  ['fork', ''],
  ['exec', "export const launch = 'exec';"],
])('a hook that throws ends the start with what it said: %s', async (_how, declaration) => {
  const module = moduleFile(`${declaration} export function init({ shmem }) {
    shmem.onStartup(() => { throw new Error('no room for turtles'); });
  }`);
  const { refusal, program } = await refusedStart({ preload: [module] });
  expect(refusal.code).toBe('ERR_SHARED_MEMORY');
  expect(refusal.message).toContain('no room for turtles');
  await program.logged(/no room for turtles/);
});

test('a stop does not wait for a hook that hangs', async () => {
  const module = moduleFile(`export function init({ shmem }) {
    shmem.onStartup(() => new Promise(() => {}));
  }`);
  const { refusal } = await refusedStart({ preload: [module], startTimeout: 1 });
  expect(refusal.code).toBe('ERR_START_TIMEOUT');
});

/** Other tests' PostgreSQL servers come and go meanwhile. */
function ours(entries: readonly string[]): string[] {
  return entries.filter((name) => !name.startsWith('PostgreSQL.'));
}

function sharedDescriptors(pid: number): number {
  return descriptorsOf(pid).filter((one) => one.includes('eventfd')).length;
}

/** Of the main area; other mappings come and go with node's heap. */
function mappingsOf(pid: number): number {
  if (!readdirSync('/proc').includes(String(pid))) return 0;
  return readFileSync(`/proc/${pid}/maps`, 'utf8').split('main area').length - 1;
}
