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

/** A preload module with one structure, one hook, and workers that say what they see of it. */
const MODULE = `
import { readFileSync, writeSync } from 'node:fs';
const say = (name, text, value) =>
  writeSync(1, JSON.stringify({ kind: 'say', name, pid: process.pid, text, value }) + '\\n');
const addressOf = () =>
  /^([0-9a-f]+)-.*bgworker main area/m.exec(readFileSync('/proc/self/maps', 'utf8'))?.[1] ?? null;

export function init(server) {
  server.shmem.request('counter', 100);
  server.shmem.onStartup(async (memory) => {
    const { offset, found, claim } = memory.claimStruct('counter', 100);
    const words = new Int32Array(memory.fixed, offset, 25);
    say('hook', 'ran', { found, content: Math.max(...words) });
    await new Promise((resolve) => setTimeout(resolve, 5));
    words[0] = 7;
    memory.publishStruct(claim);
  });
  const flags = ['SHMEM_ACCESS'];
  const shared = async (worker) => {
    const memory = worker.attachment;
    const { offset, found } = memory.claimStruct('counter', 100);
    const count = Atomics.add(new Int32Array(memory.fixed, offset, 25), 0, 1);
    const segment = memory.createSegment(5000);
    new Uint8Array(segment.buffer).fill(1, 0, 4096);
    const lock = memory.tryLock(segment.buffer, 4096, 'exclusive') ? 'free' : 'held';
    say(worker.name, 'sees', { address: addressOf(), found, atLeast7: count >= 7, lock });
    setInterval(() => {}, 1 << 30);
    await new Promise(() => {});
  };
  const apart = async (worker) => {
    say(worker.name, 'sees', { address: addressOf(), attachment: worker.attachment });
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
  const seen: { address: string | null; atLeast7?: boolean; found?: boolean; lock?: string }[] = [];
  for (const name of names) {
    const { value } = await postmaster.heard(name, 'sees', { after });
    seen.push(value as (typeof seen)[number]);
  }
  return seen;
}

test('the hooks run at the start, and again with zeroed memory after a crash', async () => {
  const postmaster = await startPostmaster({ preload: [moduleFile(MODULE)] });
  const first = await postmaster.heard('hook', 'ran');
  expect(first.value).toEqual({ found: false, content: 0 });
  for (const seen of await seenBy(postmaster, ['one', 'two', 'fresh'])) {
    expect(seen).toMatchObject({ found: true, atLeast7: true, lock: 'free' });
  }
  await seenBy(postmaster, ['apart']);
  const apart = postmaster.pidOf('apart');

  const after = postmaster.mark();
  process.kill(postmaster.pidOf('one'), 'SIGKILL');
  const again = await postmaster.heard('hook', 'ran', { after });
  expect(again.value).toEqual({ found: false, content: 0 });
  for (const seen of await seenBy(postmaster, ['one', 'two', 'fresh'], after)) {
    expect(seen).toMatchObject({ found: true, atLeast7: true, lock: 'free' });
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
  expect(again.value).toEqual({ found: false, content: 0 });
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
  expect(apart).toEqual({ address: null, attachment: null });
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

test('twenty crash cycles leave no more than the first', async () => {
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

/** One worker that tries every kind of verb, and says what came of each. */
const KIT = `
import { writeSync } from 'node:fs';
const say = (name, text, value) =>
  writeSync(1, JSON.stringify({ kind: 'say', name, pid: process.pid, text, value }) + '\\n');
const codeOf = (act) => { try { return String(act()); } catch (error) { return error.code ?? error.name; } };
export function init(server) {
  const main = async (worker) => {
    const m = worker.attachment;
    const { handle, buffer } = m.createSegment(8192);
    const hash = m.openHash('table', 1 << 20, 32, 64);
    const key = Buffer.from('key');
    const place = [buffer, 64];
    m.initBarrier(buffer, 128, 1);
    const condition = m.beginCondition(buffer, 256);
    m.signalCondition(buffer, 256);
    const named = m.claimNamed('cache', 4096);
    m.publishNamed(named.claim);
    m.wake(worker.slot);
    const value = {
      same: m.findSegment(handle).buffer === buffer,
      twice: codeOf(() => m.attachSegment(handle)),
      unknown: codeOf(() => m.attachSegment(2)),
      unpin: codeOf(() => m.unpinSegment(handle)),
      empty: codeOf(() => m.claimStruct('', 8)),
      noRoom: codeOf(() => m.claimStruct('large', 1 << 30)),
      insert: m.hashInsert(hash, key, Buffer.from('a'), false),
      replace: m.hashInsert(hash, key, Buffer.from('bc'), true),
      find: m.hashFind(hash, key).toString(),
      longKey: codeOf(() => m.hashFind(hash, Buffer.alloc(33))),
      scan: m.hashScan(hash).map((pair) => pair.map(String)),
      delete: m.hashDelete(hash, key),
      lost: m.hashFind(hash, key),
      lock: [m.tryLock(...place, 'exclusive'), m.tryLock(...place, 'shared')],
      wait: m.isGranted(m.beginLock(...place, 'shared')),
      released: m.releaseLock(...place, 'exclusive') === undefined && m.isGranted(0),
      woken: [m.takeWake(condition), m.takeWake(condition), m.cancelCondition(condition)],
      sleep: m.sleepOnCondition(buffer, 512, 1) && m.sleepOnCondition(buffer, 512, 1),
      barrier: [m.beginArrival(buffer, 128), m.barrierState(buffer, 128).phase, m.arriveAndWait(buffer, 128)],
      unaligned: codeOf(() => m.tryLock(buffer, 65, 'shared')),
      outside: codeOf(() => m.tryLock(buffer, 8188, 'shared')),
      foreign: codeOf(() => m.tryLock(new ArrayBuffer(64), 0, 'shared')),
      foundAgain: m.claimNamed('cache', 4096).found,
      otherSize: codeOf(() => m.claimNamed('cache', 8192)),
      names: m.listNamed().map(({ name, kind }) => name + ':' + kind),
      segments: m.listSegments().length,
    };
    m.releaseLock(...place, 'shared');
    m.detachSegment(handle);
    value.detached = [buffer.byteLength, codeOf(() => m.tryLock(buffer, 64, 'shared'))];
    const fixed = m.fixed.byteLength > 0;
    say(worker.name, 'tried', { ...value, fixed });
  };
  server.registerBackgroundWorker({ name: 'kit', flags: ['SHMEM_ACCESS'], main });
}
`;

test('every kind of verb does what it says, and refuses what it should', async () => {
  const postmaster = await startPostmaster({ preload: [moduleFile(KIT)] });
  const { value } = await postmaster.heard('kit', 'tried');
  expect(value).toEqual({
    same: true,
    twice: 'ERR_SHMEM_ALREADY_ATTACHED',
    unknown: 'ERR_SHMEM_SEGMENT_GONE',
    unpin: 'ERR_SHMEM_NOT_PINNED',
    empty: 'ERR_SHMEM_NAME_EMPTY',
    noRoom: 'ERR_SHMEM_OUT_OF_SPACE',
    insert: true,
    replace: false,
    find: 'bc',
    longKey: 'ERR_SHMEM_KEY_LENGTH',
    scan: [['key', 'bc']],
    delete: true,
    lost: null,
    lock: [true, false],
    wait: false,
    released: true,
    woken: [true, false, false],
    sleep: 'timedOut',
    barrier: [-1, 1, 'elected'],
    unaligned: 'ERR_SHMEM_BAD_PLACE',
    outside: 'ERR_SHMEM_BAD_PLACE',
    foreign: 'ERR_SHMEM_BAD_PLACE',
    foundAgain: true,
    otherSize: 'ERR_SHMEM_SEGMENT_SIZE_WRONG',
    names: ['table:hash', 'cache:segment'],
    segments: 3,
    detached: [0, 'ERR_SHMEM_BAD_PLACE'],
    fixed: true,
  });
  // It slept on a condition variable when it left: the exit path ends that, and the exit is clean.
  expect(await postmaster.exitOf('kit')).toMatchObject({ how: 'code 0', cleanDetach: true });
  await postmaster.stop();
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
