// How it ends: each mode, its limits, and what a second request does.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PostmasterProgram, startPostmaster } from '../harness/postmaster.ts';

const MANY = 200;

describe('two hundred workers', () => {
  test('all start, one per turn of the event loop', async () => {
    const postmaster = await startPostmaster({
      maxWorkerProcesses: MANY,
      cast: [{ name: 'one', count: MANY, main: 'idle' }],
      countTurns: true,
      log: { level: 'info' },
    });
    await postmaster.count('say', MANY);
    await postmaster.stop();
    const [turns] = postmaster.all('turns');
    expect(turns?.most).toBe(1);
    expect(turns?.turns).toBeGreaterThan(MANY);
    expect(postmaster.all('exit').map(({ how }) => how)).toEqual(Array(MANY).fill('code 0'));
  });

  test('a stop in the middle is obeyed at once', async () => {
    const postmaster = new PostmasterProgram({
      maxWorkerProcesses: MANY,
      cast: [{ name: 'one', count: MANY, main: 'idle' }],
      stopAtStart: { count: MANY / 2, mode: 'fast' },
      log: { level: 'info' },
    });
    await postmaster.until('stopped');
    // One more may be on its way, since it was asked for before.
    expect(postmaster.all('start').length).toBeLessThanOrEqual(MANY / 2 + 1);
    expect(postmaster.all('exit').length).toBe(postmaster.all('start').length);
    expect(await postmaster.end()).toEqual({ code: 0, signal: null });
  });
});

describe.each(['smart', 'fast', 'immediate'] as const)('%s', (mode) => {
  test('ends everybody, then the program', async () => {
    const postmaster = await startPostmaster({
      cast: [
        { name: 'obedient', main: 'idle' },
        { name: 'default', main: 'linger' },
        { name: 'attached', main: 'idle', flags: ['SHMEM_ACCESS'] },
        { name: 'fresh', main: 'idle', launch: 'exec', flags: ['SHMEM_ACCESS'] },
        { name: 'program', exec: ['sleep', '1000'] },
        { name: 'parent', main: 'parent' },
      ],
    });
    for (const name of ['obedient', 'attached', 'fresh', 'parent']) {
      await postmaster.heard(name, 'idle');
    }
    await postmaster.heard('default', 'lingering');
    postmaster.tell({ do: 'stop', mode });
    // The removal of the lock file is the last visible act.
    expect(await postmaster.until('stopped')).toMatchObject({ lockFile: false });
    expect(await postmaster.end()).toEqual({ code: 0, signal: null });
    const ways = Object.fromEntries(postmaster.all('exit').map(({ name, how }) => [name, how]));
    expect(ways).toEqual(
      mode === 'immediate'
        ? {
            ...Object.fromEntries(Object.keys(ways).map((name) => [name, 'code 2'])),
            program: 'SIGQUIT',
          }
        : {
            obedient: 'code 0',
            default: 'code 1',
            attached: 'code 0',
            fresh: 'code 0',
            program: 'SIGTERM',
            parent: 'code 0',
          },
    );
    expect(Object.keys(ways)).toHaveLength(6);
    // Who was told to end did not crash.
    expect(postmaster.all('crash')).toEqual([]);
  });
});

test('exec launches that are still booting obey a fast shutdown, and do not crash', async () => {
  const postmaster = new PostmasterProgram({
    cast: [
      { name: 'one', main: 'idle', flags: ['SHMEM_ACCESS'] },
      { name: 'fresh', count: 3, main: 'idle', launch: 'exec', flags: ['SHMEM_ACCESS'] },
    ],
    stopAtStart: { count: 4, mode: 'fast' },
  });
  await postmaster.until('stopped');
  expect(postmaster.all('crash')).toEqual([]);
  expect(postmaster.all('exit').map(({ how }) => how)).toEqual(Array(4).fill('code 0'));
  expect(await postmaster.end()).toEqual({ code: 0, signal: null });
});

test('a reload does not disturb exec launches that are still booting', async () => {
  const postmaster = await startPostmaster({
    cast: [{ name: 'fresh', main: 'idle', launch: 'exec' }],
  });
  await postmaster.startOf('fresh');
  postmaster.tell({ do: 'reload' });
  await postmaster.heard('fresh', 'idle');
  expect(postmaster.all('exit')).toEqual([]);
  await postmaster.stop();
});

test('who ignores SIGTERM gets SIGQUIT after shutdownTimeout', async () => {
  const postmaster = await startPostmaster({
    shutdownTimeout: 1,
    cast: [
      { name: 'deaf', main: 'ignoreSigterm' },
      { name: 'busy', main: 'busy' },
    ],
  });
  await postmaster.heard('deaf', 'ignoring');
  await postmaster.heard('busy', 'busy');
  const before = performance.now();
  await postmaster.stop('fast');
  expect(performance.now() - before).toBeGreaterThanOrEqual(1000);
  await postmaster.heard('deaf', 'SIGTERM');
  expect(postmaster.all('exit').map(({ how }) => how)).toEqual(['code 2', 'code 2']);
  await postmaster.logged(/issuing SIGQUIT to recalcitrant children/);
});

test('who is stopped, or takes SIGQUIT for its own, gets SIGKILL after five seconds', async () => {
  const postmaster = await startPostmaster({
    cast: [
      { name: 'stopped', main: 'linger' },
      {
        name: 'deaf',
        exec: ['sh', '-c', "trap '' QUIT TERM; echo deaf; while :; do sleep 0.1; done"],
      },
    ],
  });
  await postmaster.heard('stopped', 'lingering');
  await postmaster.startOf('deaf');
  process.kill(postmaster.pidOf('stopped'), 'SIGSTOP');
  const before = performance.now();
  await postmaster.stop('immediate');
  expect(performance.now() - before).toBeGreaterThanOrEqual(5000);
  const exits = postmaster.all('exit');
  expect(exits.find(({ name }) => name === 'stopped')?.how).toBe('SIGKILL');
  await postmaster.logged(/issuing SIGKILL to recalcitrant children/);
});

test('a second stop waits for the first; a stronger one replaces it', async () => {
  const postmaster = await startPostmaster({
    cast: [{ name: 'deaf', main: 'ignoreSigterm' }],
  });
  await postmaster.heard('deaf', 'ignoring');
  postmaster.tell({ do: 'stop', mode: 'smart' });
  postmaster.tell({ do: 'stop', mode: 'fast' });
  await postmaster.heard('deaf', 'SIGTERM');
  expect(postmaster.all('stopped')).toEqual([]);
  postmaster.tell({ do: 'stop', mode: 'immediate' });
  await postmaster.count('stopped', 3);
  expect(postmaster.all('exit').map(({ how }) => how)).toEqual(['code 2']);
  expect(await postmaster.end()).toEqual({ code: 0, signal: null });
});

test('await using ends it', async () => {
  const postmaster = await startPostmaster({ cast: [{ name: 'one', main: 'idle' }] });
  await postmaster.heard('one', 'idle');
  postmaster.tell({ do: 'dispose' });
  expect(await postmaster.until('stopped')).toMatchObject({ mode: 'dispose', lockFile: false });
  expect(await postmaster.end()).toEqual({ code: 0, signal: null });
});

describe('handleSignals', () => {
  test.each([
    ['SIGTERM', 'code 0'],
    ['SIGINT', 'code 0'],
    ['SIGQUIT', 'code 2'],
  ] as const)('%s ends it', async (signal, how) => {
    const postmaster = await startPostmaster({
      handleSignals: true,
      cast: [{ name: 'one', main: 'idle' }],
    });
    await postmaster.heard('one', 'idle');
    postmaster.kill(signal);
    expect(await postmaster.end()).toEqual({ code: 0, signal: null });
    expect(postmaster.all('exit').map((line) => line.how)).toEqual([how]);
  });

  test('SIGHUP reloads', async () => {
    const postmaster = await startPostmaster({
      handleSignals: true,
      cast: [{ name: 'one', main: 'onReload' }],
    });
    await postmaster.heard('one', 'ready');
    postmaster.kill('SIGHUP');
    await postmaster.heard('one', 'woken');
    await postmaster.stop();
  });
});

test('the lock file says who runs, and in which state', async () => {
  const postmaster = await startPostmaster({ cast: [] });
  const file = join(postmaster.dataDirectory, 'postmaster.pid');
  const lines = readFileSync(file, 'utf8').split('\n');
  expect(lines[0]).toBe(String(postmaster.pid));
  expect(lines[7]?.trim()).toBe('ready');
  await postmaster.stop();
  expect(existsSync(file)).toBe(false);
});

test('no child of its own, and no workers: it stays, and it stops', async () => {
  const postmaster = await startPostmaster({});
  expect(await postmaster.workers()).toEqual([]);
  await postmaster.stop();
});
