// Who dies without a word: the postmaster, the launcher, both. Nothing may be left a second later,
// and what is to come back comes back.

import { describe, expect, test } from 'vitest';
import type { Part } from '../fixtures/process/script.ts';
import { childrenOf, descriptorsOf, isGone, marked } from '../harness/leftovers.ts';
import { moduleFile, PostmasterProgram, startPostmaster } from '../harness/postmaster.ts';
import { DEATH_MS } from '../harness/program.ts';

const flags = ['SHMEM_ACCESS'] as const;

/** One of everything that is hard to end, among fifty that are not. */
const CROWD: readonly Part[] = [
  { name: 'plain', count: 43, main: 'idle' },
  { name: 'attached', main: 'idle', flags },
  { name: 'busy', main: 'busy' },
  { name: 'busy later', main: 'busyLater' },
  { name: 'deaf', main: 'ignoreSigterm' },
  { name: 'parent', main: 'parent' },
  { name: 'fresh', main: 'idle', launch: 'exec' },
  { name: 'fresh and busy', main: 'busy', launch: 'exec' },
  { name: 'fresh and deaf', main: 'ignoreSigterm', launch: 'exec' },
  { name: 'stopped', main: 'linger' },
  { name: 'program', exec: ['sleep', '1000'] },
  { name: 'program in the shell', exec: ['sh', '-c', 'sleep 1000; true'] },
  { name: 'deaf program', exec: ['sh', '-c', "trap '' TERM; while :; do sleep 0.05; done"] },
];

const SIZE = CROWD.reduce((size, { count }) => size + (count ?? 1), 0);

/** A program says nothing. */
const TALKERS = SIZE - CROWD.filter(({ exec }) => exec !== undefined).length;

async function crowd(): Promise<PostmasterProgram> {
  const postmaster = await startPostmaster({
    cast: CROWD.map((part) => ({ restartTime: 0, ...part })),
    log: { level: 'info' },
  });
  await settled(postmaster);
  process.kill(postmaster.pidOf('stopped'), 'SIGSTOP');
  return postmaster;
}

/** Everybody is there and has begun its work. */
async function settled(postmaster: PostmasterProgram, after = 0): Promise<void> {
  await postmaster.count('start', SIZE, undefined, { after });
  const begun = () =>
    new Set(
      postmaster.lines.slice(after).flatMap((line) => (line.kind === 'say' ? [line.name] : [])),
    );
  await postmaster.until('say', () => begun().size >= TALKERS, { after });
}

async function startsAgain(dataDirectory: string): Promise<void> {
  const next = await startPostmaster({ dataDirectory, cast: [{ name: 'one', main: 'idle' }] });
  await next.heard('one', 'idle');
  await next.stop();
}

describe('SIGKILL of the postmaster', () => {
  test('takes everybody with it, and the next start works', async () => {
    const postmaster = await crowd();
    expect(marked(postmaster.id).length).toBeGreaterThan(SIZE); // and the postmaster
    postmaster.kill('SIGKILL');
    await postmaster.empty({ withinMs: DEATH_MS });
    await startsAgain(postmaster.dataDirectory);
  });

  test('even if the launcher is stopped', async () => {
    const postmaster = await crowd();
    process.kill(postmaster.launcherPid, 'SIGSTOP');
    postmaster.kill('SIGKILL');
    await postmaster.empty({ withinMs: DEATH_MS });
    await startsAgain(postmaster.dataDirectory);
  });

  test('even if the launcher is killed at the same moment', async () => {
    const postmaster = await crowd();
    const { launcherPid } = postmaster;
    process.kill(launcherPid, 'SIGSTOP'); // It learns nothing before it dies.
    postmaster.kill('SIGKILL');
    process.kill(launcherPid, 'SIGKILL');
    const heirless = marked(postmaster.id).filter(({ command }) => command === 'sleep 1000');
    // A worker's own child is in nobody's care then: no signal tells it.
    await postmaster.empty({ withinMs: DEATH_MS }).catch((error: Error) => {
      const left = marked(postmaster.id);
      for (const { pid } of left) process.kill(pid, 'SIGKILL');
      if (left.some(({ pid }) => !heirless.some((one) => one.pid === pid))) throw error;
    });
    await startsAgain(postmaster.dataDirectory);
  });

  test('while workers are being started', async () => {
    const postmaster = await startPostmaster({
      cast: [
        { name: 'fork', count: 60, main: 'idle' },
        { name: 'exec', count: 4, main: 'idle', launch: 'exec' },
        { name: 'program', count: 20, exec: ['sleep', '1000'] },
      ],
    });
    await postmaster.count('start', 62);
    postmaster.kill('SIGKILL');
    await postmaster.empty({ withinMs: DEATH_MS });
    await startsAgain(postmaster.dataDirectory);
  });

  test('who waits on its latch and does not look why it was woken, does not lock itself up', async () => {
    const postmaster = await startPostmaster({ cast: [{ name: 'one', main: 'waitBlindly' }] });
    await postmaster.heard('one', 'tick');
    postmaster.kill('SIGKILL');
    await postmaster.exited;
    // Timers and signals still get their turn in the half second that it has.
    await postmaster.count('say', 5, undefined, { after: postmaster.mark() });
    await postmaster.empty({ withinMs: DEATH_MS });
  });

  test('who waits on its latch is told, and may say goodbye', async () => {
    const postmaster = await startPostmaster({ cast: [{ name: 'one', main: 'mourn' }] });
    await postmaster.heard('one', 'ready');
    postmaster.kill('SIGKILL');
    const { value } = await postmaster.heard('one', 'woken');
    expect(value).toEqual({ postmasterDeath: true });
  });
});

describe('what a preload module with launch = exec has started goes, too', () => {
  const source = `
    import { spawn } from 'node:child_process';
    export const launch = 'exec';
    export function init(server) {
      spawn('sleep', ['1000']);
      server.registerBackgroundWorker({ name: 'one', exec: ['sleep', '1000'] });
    }`;

  test.each(['postmaster', 'launcher'] as const)('with the %s', async (victim) => {
    const postmaster = await startPostmaster({ preload: [moduleFile(source)] });
    await postmaster.startOf('one');
    const started = marked(postmaster.id).filter(({ command }) => command === 'sleep 1000');
    expect(started).toHaveLength(2);
    if (victim === 'postmaster') {
      postmaster.kill('SIGKILL');
      await postmaster.empty({ withinMs: DEATH_MS });
      return;
    }
    const after = postmaster.mark();
    process.kill(postmaster.launcherPid, 'SIGKILL');
    await postmaster.startOf('one', after);
    expect(started.filter(({ pid }) => !isGone(pid))).toEqual([]);
    await postmaster.stop();
  });
});

describe('SIGKILL of the launcher', () => {
  test('all children go, and then everything is back', async () => {
    const postmaster = await crowd();
    const before = marked(postmaster.id).filter(({ pid }) => pid !== postmaster.pid);
    const after = postmaster.mark();
    process.kill(postmaster.launcherPid, 'SIGKILL');
    await postmaster.until('crash', undefined, { after });
    await settled(postmaster, after);
    expect(before.filter(({ pid }) => !isGone(pid))).toEqual([]);
    const workers = await postmaster.workers();
    expect(workers).toHaveLength(SIZE);
    expect(workers.filter(({ pid }) => pid === null)).toEqual([]);
    await postmaster.stop('immediate');
  });

  test('three times in a row, and it has leaked nothing', async () => {
    const postmaster = await startPostmaster({
      cast: [
        { name: 'one', main: 'idle', flags },
        { name: 'fresh', main: 'idle', launch: 'exec' },
      ],
    });
    await postmaster.heard('one', 'idle');
    await postmaster.heard('fresh', 'idle');
    await postmaster.workers(); // A turn of its loop: what it has heard of meanwhile is closed.
    const before = descriptorsOf(postmaster.pid).length;
    for (let i = 0; i < 3; i++) {
      const after = postmaster.mark();
      process.kill(postmaster.launcherPid, 'SIGKILL');
      await postmaster.heard('one', 'idle', { after });
      await postmaster.heard('fresh', 'idle', { after });
      await postmaster.workers();
      expect(descriptorsOf(postmaster.pid).length).toBe(before);
    }
    await postmaster.stop();
  });

  test('again while the next one is still loading', async () => {
    const postmaster = await startPostmaster({ cast: [{ name: 'one', main: 'idle' }] });
    await postmaster.heard('one', 'idle');
    const first = postmaster.launcherPid;
    const after = postmaster.mark();
    process.kill(first, 'SIGKILL');
    await postmaster.until('crash', undefined, { after });
    const second = await successorOf(first, postmaster);
    process.kill(second, 'SIGKILL');
    await postmaster.heard('one', 'idle', { after });
    await postmaster.stop();
  });

  test('during the first start: start() says so, and nothing is left', async () => {
    const postmaster = new PostmasterProgram({ cast: [{ name: 'one', main: 'idle' }] });
    await postmaster.until('up');
    process.kill(await successorOf(0, postmaster), 'SIGKILL');
    expect(await postmaster.until('refused')).toMatchObject({
      code: 'ERR_LAUNCHER_FAILED',
      message: expect.stringMatching(/ended before it was ready \(signal SIGKILL\)/),
    });
    expect(await postmaster.end()).toEqual({ code: 1, signal: null });
    expect(postmaster.all('crash')).toEqual([]);
  });
});

/** The launcher's successor, as soon as it is a process: a child of the postmaster, not the first. */
async function successorOf(first: number, postmaster: PostmasterProgram): Promise<number> {
  for (;;) {
    const next = childrenOf(postmaster.pid).find((pid) => pid !== first && !isGone(pid));
    if (next !== undefined) return next;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
