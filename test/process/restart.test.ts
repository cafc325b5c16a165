// Who comes back, when, and whom it concerns. Upper bounds of times are the benchmark's business.

import { expect, test } from 'vitest';
import { childrenOf, descriptorsOf, isGone, stateOf } from '../harness/leftovers.ts';
import { startPostmaster } from '../harness/postmaster.ts';

/**
 * The interval counts from when the exit was noticed, and a listener hears of it a turn of the
 * loop later: what it measures is shorter by that turn. The exact rule is in test/unit/policy.
 */
const TURN_MS = 100;

test('restartTime counts from the exit, and is never cut short', async () => {
  const postmaster = await startPostmaster({
    cast: [
      { name: 'later', main: 'exit1', restartTime: 2 },
      { name: 'killed', main: 'killSelf', restartTime: 1 },
    ],
  });
  for (const [name, seconds] of [
    ['later', 2],
    ['killed', 1],
  ] as const) {
    const exit = await postmaster.exitOf(name);
    expect(exit.standing).toBe('due');
    const again = await postmaster.startOf(name, postmaster.lines.indexOf(exit));
    expect(again.at - exit.at).toBeGreaterThanOrEqual(seconds * 1000 - TURN_MS);
  }
  await postmaster.stop();
});

test("exit 0 and 'never' are final; restartOnExit0 comes back at once", async () => {
  const postmaster = await startPostmaster({
    cast: [
      { name: 'done', main: 'returnAtOnce', restartTime: 0 },
      { name: 'failed', main: 'exit1', restartTime: 'never' },
      { name: 'crashed', main: 'killSelf', restartTime: 'never' },
      // It would wait for an hour if this were a failure.
      { name: 'eager', main: 'returnAtOnce', restartOnExit0: true, restartTime: 3600 },
    ],
  });
  for (const name of ['done', 'failed', 'crashed']) {
    expect(await postmaster.exitOf(name)).toMatchObject({ standing: 'gone' });
  }
  // The meeting for "did not happen": another one was started ten times meanwhile.
  await postmaster.count('start', 10, ({ name }) => name === 'eager');
  for (const name of ['done', 'failed', 'crashed']) {
    expect(postmaster.all('start').filter((line) => line.name === name)).toHaveLength(1);
  }
  expect((await postmaster.workers()).map(({ name }) => name)).toEqual(['eager']);
  await postmaster.stop();
});

test('a crash without shared memory touches nobody else', async () => {
  const bystanders = ['attached', 'unattached', 'fresh', 'program'];
  const postmaster = await startPostmaster({
    cast: [
      { name: 'attached', main: 'idle', flags: ['SHMEM_ACCESS'] },
      { name: 'unattached', main: 'idle' },
      { name: 'fresh', main: 'idle', launch: 'exec', flags: ['SHMEM_ACCESS'] },
      { name: 'program', exec: ['sleep', '1000'] },
      { name: 'victim', main: 'idle', restartTime: 0 },
    ],
  });
  for (const name of ['attached', 'unattached', 'fresh', 'victim']) {
    await postmaster.heard(name, 'idle');
  }
  for (const signal of ['SIGKILL', 'SIGSEGV', 'SIGQUIT'] as const) {
    const after = postmaster.mark();
    process.kill(postmaster.pidOf('victim'), signal);
    await postmaster.exitOf('victim', after);
    await postmaster.heard('victim', 'idle', { after });
  }
  expect(postmaster.all('exit').map(({ name }) => name)).toEqual(['victim', 'victim', 'victim']);
  expect(postmaster.all('crash')).toEqual([]);
  for (const name of bystanders) expect(isGone(postmaster.pidOf(name))).toBe(false);
  await postmaster.stop();
});

test('a crash of an attached worker replaces all attached, and nobody else', async () => {
  const flags = ['SHMEM_ACCESS'] as const;
  const postmaster = await startPostmaster({
    cast: [
      { name: 'attached', main: 'idle', flags, restartTime: 3600 },
      { name: 'attached fresh', main: 'idle', flags, launch: 'exec', restartTime: 3600 },
      { name: 'attached stubborn', main: 'busy', flags, restartTime: 3600 },
      { name: 'attached never', main: 'idle', flags, restartTime: 'never' },
      { name: 'victim', main: 'idle', flags, restartTime: 3600 },
      { name: 'unattached', main: 'idle' },
      { name: 'unattached fresh', main: 'idle', launch: 'exec' },
      { name: 'program', exec: ['sleep', '1000'] },
    ],
  });
  const kept = ['unattached', 'unattached fresh', 'program'];
  const replaced = ['attached', 'attached fresh', 'attached stubborn', 'victim'];
  for (const { name, main } of [
    ...replaced.map((name) => ({ name, main: name.endsWith('stubborn') ? 'busy' : 'idle' })),
    ...['attached never', 'unattached', 'unattached fresh'].map((name) => ({ name, main: 'idle' })),
  ]) {
    await postmaster.heard(name, main);
  }
  const pids = new Map([...kept, ...replaced].map((name) => [name, postmaster.pidOf(name)]));
  await postmaster.workers(); // A turn of its loop: what it has heard of meanwhile is closed.
  const before = descriptorsOf(postmaster.pid).length;
  const launcherBefore = descriptorsOf(postmaster.launcherPid).length;

  const after = postmaster.mark();
  process.kill(postmaster.pidOf('victim'), 'SIGKILL');
  await postmaster.until('crash');
  for (const name of replaced) {
    await postmaster.heard(name, name.endsWith('stubborn') ? 'busy' : 'idle', { after });
    expect(postmaster.pidOf(name)).not.toBe(pids.get(name));
  }
  for (const name of kept) {
    expect(postmaster.pidOf(name)).toBe(pids.get(name));
    expect(isGone(pids.get(name) ?? 0)).toBe(false);
  }
  expect(postmaster.all('start').filter(({ name }) => name === 'attached never')).toHaveLength(1);
  expect(postmaster.all('crash')).toHaveLength(1);
  expect((await postmaster.workers()).map(({ name }) => name).sort()).toEqual(
    [...kept, ...replaced].sort(),
  );
  // One child less has a descriptor: 'never' is forgotten.
  expect(descriptorsOf(postmaster.pid).length).toBe(before - 1);
  expect(descriptorsOf(postmaster.launcherPid).length).toBe(launcherBefore - 1);
  await postmaster.stop('immediate');
});

test('without restartAfterCrash a crash is the end, with exit status 1', async () => {
  const postmaster = await startPostmaster({
    restartAfterCrash: false,
    cast: [
      { name: 'victim', main: 'idle', flags: ['SHMEM_ACCESS'] },
      { name: 'other', main: 'idle' },
    ],
  });
  await postmaster.heard('victim', 'idle');
  await postmaster.heard('other', 'idle');
  process.kill(postmaster.pidOf('victim'), 'SIGKILL');
  expect(await postmaster.end()).toEqual({ code: 1, signal: null });
  await postmaster.logged(/restartAfterCrash is off/);
});

test('three hundred restarts leave no descriptor and no zombie', async () => {
  const postmaster = await startPostmaster({
    cast: [
      { name: 'a', main: 'returnAtOnce', restartOnExit0: true },
      { name: 'b', main: 'exit1', restartTime: 0 },
      { name: 'program', exec: ['true'], restartOnExit0: true },
    ],
  });
  await postmaster.count('exit', 20);
  const read = () =>
    [postmaster.pid, postmaster.launcherPid].map((pid) => descriptorsOf(pid).length);
  const before = read();
  await postmaster.count('exit', 300);
  // The children of the moment have a pidfd each, and a program on its way has a pipe.
  for (const [i, count] of read().entries()) {
    expect(count).toBeLessThanOrEqual((before[i] ?? 0) + 5);
  }
  for (const pid of childrenOf(postmaster.pid)) expect(stateOf(pid)).not.toBe('Z');
  await postmaster.stop();
});
