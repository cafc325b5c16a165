// A hundred crash cycles in a row: everybody is where he belongs after each, and after the last one
// there is no more of anything than after the first.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { descriptorsOf, isGone, marked, sharedMemory } from '../harness/leftovers.ts';
import { moduleFile, type PostmasterProgram, startPostmaster } from '../harness/postmaster.ts';

const CYCLES = 100;
/** V8 is done with learning, and the first buffers have their size. */
const WARM = 20;
/** In so many cycles; each has a dozen log lines and as many events. */
const HEAP_GROWTH_MAX_BYTES = 400_000;
const LAUNCHER_GROWTH_MAX_BYTES = 100_000;

/** Each attached worker makes a segment and a name, and says what it found. */
const MODULE = `
import { writeSync } from 'node:fs';
const say = (name, text, value) =>
  writeSync(1, JSON.stringify({ kind: 'say', name, pid: process.pid, text, value }) + '\\n');
const stay = () => (setInterval(() => {}, 1 << 30), new Promise(() => {}));

export function init({ shmem, registerBackgroundWorker: register }) {
  const { hooks, visits } = shmem.struct('counts', { hooks: 'u32', visits: 'u32' });
  const lock = shmem.lwlock('counts');
  shmem.onStartup(({ dsm }) => {
    const before = hooks.add(1);
    dsm.named('by the hook', 4096, (segment) => new Uint8Array(segment.buffer).fill(7));
    say('hook', 'ran', before);
  });
  const attached = async (worker) => {
    const inHook = worker.dsm.named('by the hook', 4096);
    worker.dsm.create(10_000);
    worker.dsm.hash('table', { bytes: 1 << 20, maxKeyBytes: 8, maxValueBytes: 8 }).set('k', 'v');
    const held = await lock.acquire('exclusive');
    const seen = { hooks: hooks.load(), visits: visits.add(1), byte: new Uint8Array(inHook.buffer)[9] };
    held.release();
    say(worker.name, 'sees', seen);
    await stay();
  };
  const apart = async (worker) => (say(worker.name, 'is there'), await stay());
  const flags = ['SHMEM_ACCESS'];
  for (const name of ['one', 'two', 'three']) {
    register({ name, flags, restartTime: 3600, main: attached });
  }
  register({ name: 'never', flags, restartTime: 'never', main: attached });
  register({ name: 'apart', restartTime: 'never', main: apart });
}
`;

const NAMES = ['one', 'two', 'three'] as const;
const SIGNALS = ['SIGKILL', 'SIGSEGV', 'SIGABRT', 'SIGBUS'] as const;

/** What each of them found: memory that is new, and initialised once. */
async function visits(postmaster: PostmasterProgram, names: readonly string[], after: number) {
  const numbers: number[] = [];
  for (const name of names) {
    const { value } = await postmaster.heard(name, 'sees', { after });
    const { hooks, byte, visits } = value as { hooks: number; byte: number; visits: number };
    expect({ hooks, byte }).toEqual({ hooks: 1, byte: 7 });
    numbers.push(visits);
  }
  return numbers.sort((a, b) => a - b);
}

/** All that could become more. */
async function inventory(postmaster: PostmasterProgram) {
  await postmaster.workers(); // A turn of its loop: what it has heard of meanwhile is closed.
  const { pid, launcherPid, id } = postmaster;
  return {
    processes: marked(id)
      .map(({ command }) => command)
      .sort(),
    descriptors: [pid, launcherPid].map((one) => kinds(descriptorsOf(one))),
    mappings: [pid, launcherPid].map((one) => mapsOf(one).split('main area').length - 1),
    launcherMappings: mapsOf(launcherPid).split('\n').length,
    sharedMemory: sharedMemory(),
  };
}

test('a hundred in a row leave no more than the first', { timeout: 240_000 }, async () => {
  const postmaster = await startPostmaster({
    preload: [moduleFile(MODULE)],
    log: { level: 'info', format: 'text' },
  });
  const { launcherPid } = postmaster;
  expect(await visits(postmaster, [...NAMES, 'never'], 0)).toEqual([0, 1, 2, 3]);
  await postmaster.heard('apart', 'is there');
  const apart = postmaster.pidOf('apart');

  let first: Awaited<ReturnType<typeof inventory>> | null = null;
  let warm = { heap: 0, launcher: 0 };
  const measured = async () => ({
    heap: await postmaster.heapBytes(),
    launcher: privateBytes(launcherPid),
  });
  for (let cycle = 1; cycle <= CYCLES; cycle++) {
    const after = postmaster.mark();
    const victim = postmaster.pidOf(NAMES[cycle % NAMES.length] ?? '');
    process.kill(victim, SIGNALS[cycle % SIGNALS.length]);
    // In spite of an interval of an hour.
    expect(await visits(postmaster, NAMES, after)).toEqual([0, 1, 2]);
    const ran = postmaster.lines.slice(after).filter(({ kind }) => kind === 'crash');
    expect(ran).toHaveLength(1);
    expect((await postmaster.workers()).map(({ name }) => name)).toEqual([...NAMES, 'apart']);
    if (cycle === 1) first = await inventory(postmaster);
    if (cycle === WARM) warm = await measured();
  }
  expect(await inventory(postmaster)).toEqual(first);
  const last = await measured();
  expect(last.heap - warm.heap).toBeLessThan(HEAP_GROWTH_MAX_BYTES);
  expect(last.launcher - warm.launcher).toBeLessThan(LAUNCHER_GROWTH_MAX_BYTES);

  expect(postmaster.launcherPid).toBe(launcherPid);
  expect(postmaster.all('crash')).toHaveLength(CYCLES);
  const said = (name: string) => postmaster.all('say').filter((line) => line.name === name);
  expect(said('hook').map(({ value }) => value)).toEqual(Array(CYCLES + 1).fill(0));
  expect(said('never')).toHaveLength(1);
  expect(said('apart')).toHaveLength(1);
  expect([postmaster.pidOf('apart'), isGone(apart)]).toEqual([apart, false]);
  await postmaster.stop();
});

test('restartAfterCrash false: everything is ended, and nothing is begun', async () => {
  const postmaster = await startPostmaster({
    preload: [moduleFile(MODULE)],
    restartAfterCrash: false,
  });
  await visits(postmaster, [...NAMES, 'never'], 0);
  await postmaster.heard('apart', 'is there');
  process.kill(postmaster.pidOf('one'), 'SIGKILL');
  expect(await postmaster.end()).toEqual({ code: 1, signal: null });
  expect(postmaster.all('crash')).toHaveLength(1);
  expect(postmaster.all('start')).toHaveLength(5);
  expect(postmaster.all('say').filter(({ name }) => name === 'hook')).toHaveLength(1);
  await postmaster.logged(/restartAfterCrash is off/);
});

function kinds(descriptors: readonly string[]): string[] {
  // Their numbers are those of the moment.
  return descriptors.map((one) => one.replace(/\d+/g, 'N')).sort();
}

function mapsOf(pid: number): string {
  return readFileSync(`/proc/${pid}/maps`, 'utf8');
}

function privateBytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Private_Dirty: +(\d+) kB$/m.exec(text)?.[1]) * 1024;
}
