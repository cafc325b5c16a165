// Slots and handles (§1.6, §1.7): static and dynamic workers share one pool, a class has a limit of
// its own, and a handle reaches the worker that it was made for and no other.

import { describe, expect, test } from 'vitest';
import { Outsider } from '../harness/outsider.ts';
import { PostmasterProgram, startPostmaster } from '../harness/postmaster.ts';

const TOO_MANY = {
  code: 'ERR_TOO_MANY_WORKERS',
  message: expect.stringMatching(/up to 3 can be registered.*maxWorkerProcesses$/),
};

test('static and dynamic workers share the slots, and who is done gives his back', async () => {
  const postmaster = await startPostmaster({
    maxWorkerProcesses: 3,
    cast: [
      { name: 'static', main: 'idle' },
      { name: 'short', main: 'onSigtermByWorker' },
    ],
  });
  const outsider = new Outsider(postmaster);
  const first = await outsider.register('live.idle', { name: 'first' });
  expect(first.slot).toBe(2);
  await expect(outsider.register('live.idle')).rejects.toMatchObject(TOO_MANY);
  // The postmaster's own program and a worker are told the same.
  const step = { do: 'register', as: 'x', options: { module: 'roles/live' } } as const;
  postmaster.tell({ do: 'play', step });
  expect((await postmaster.heard('postmaster', 'x registered')).value).toMatchObject(TOO_MANY);

  // A static worker that is done makes room for a dynamic one.
  await postmaster.heard('short', 'ready');
  process.kill(postmaster.pidOf('short'), 'SIGTERM');
  await postmaster.exitOf('short');
  const second = await outsider.register('live.idle', { name: 'second' });
  expect(second.slot).toBe(1);

  // Whoever hears that a worker is gone finds its slot free.
  for (let i = 0; i < 20; i++) {
    const last = i === 0 ? first : await outsider.register('live.idle', { name: `w${i}` });
    await last.terminate();
    expect(await last.waitForShutdown()).toEqual({ status: 'STOPPED' });
  }
  await postmaster.stop();
});

test('a class has its own limit, and others are not limited by it', async () => {
  const postmaster = await startPostmaster({ maxParallelWorkers: 2, cast: [] });
  const outsider = new Outsider(postmaster);
  const flags = ['CLASS_PARALLEL'];
  const two = [
    await outsider.register('live.idle', { name: 'p1', flags }),
    await outsider.register('live.idle', { name: 'p2', flags }),
  ];
  await expect(outsider.register('live.idle', { name: 'p3', flags })).rejects.toMatchObject({
    code: 'ERR_TOO_MANY_WORKERS',
    message: expect.stringMatching(/^background worker "p3": .*up to 2 .*maxParallelWorkers$/),
  });
  await outsider.register('live.idle', { name: 'other' });
  await two[0]?.terminate();
  await two[0]?.waitForShutdown();
  await outsider.register('live.idle', { name: 'p3', flags });
  await postmaster.stop();
});

test('a handle whose slot is used again says STOPPED, and terminates nobody', async () => {
  const postmaster = await startPostmaster({ maxWorkerProcesses: 1, cast: [] });
  const outsider = new Outsider(postmaster);
  const old = await outsider.register('leave.returnAtOnce');
  await old.waitForShutdown();
  const present = await outsider.register('live.idle');
  expect(present.slot).toBe(old.slot);
  expect(present.generation > old.generation).toBe(true);
  const { status } = await present.waitForStartup();
  expect(status).toBe('STARTED');

  expect(await old.status()).toEqual({ status: 'STOPPED' });
  expect(await old.waitForStartup()).toEqual({ status: 'STOPPED' });
  expect(await old.waitForShutdown()).toEqual({ status: 'STOPPED' });
  await old.terminate();
  expect((await present.status()).status).toBe('STARTED');
  await postmaster.heard('idle', 'idle');
  expect(postmaster.all('exit').map(({ name }) => name)).toEqual(['returnAtOnce']);
  await postmaster.stop();
});

describe('terminate', () => {
  test('before the start: it is never started', async () => {
    // Nothing of RecoveryFinished starts as long as the database is not there.
    const postmaster = new PostmasterProgram({
      cast: [],
      postgres: { conninfo: 'host=/nowhere-at-all' },
    });
    await postmaster.until('phase', ({ phase }) => phase === 'STARTUP');
    const outsider = new Outsider(postmaster);
    const handle = await outsider.register('live.idle');
    expect(await handle.status()).toEqual({ status: 'NOT_YET_STARTED' });
    const startup = handle.waitForStartup();
    await handle.terminate();
    expect(await startup).toEqual({ status: 'STOPPED' });
    expect(await handle.waitForShutdown()).toEqual({ status: 'STOPPED' });
    expect(handle.lastExit).toBeNull();
    expect(await outsider.workers()).toEqual([]);
    // Its slot is free, and one that may start at once does.
    const next = await outsider.register('live.idle', { startTime: 'PostmasterStart' });
    expect(next.slot).toBe(handle.slot);
    expect((await next.waitForStartup()).status).toBe('STARTED');
    await postmaster.startOf('idle');
    expect(postmaster.all('start')).toHaveLength(1);
    await postmaster.stop();
  });

  test('right after it was registered: whether it ran or not, it is gone', async () => {
    const postmaster = await startPostmaster({ cast: [] });
    const outsider = new Outsider(postmaster);
    for (let i = 0; i < 10; i++) {
      const handle = await outsider.register('live.idle', { restartTime: 0 });
      await handle.terminate();
      expect(await handle.waitForShutdown()).toEqual({ status: 'STOPPED' });
      expect(await handle.status()).toEqual({ status: 'STOPPED' });
    }
    expect(await outsider.workers()).toEqual([]);
    await postmaster.stop();
  });

  test('SIGTERM goes to the process alone; exit 1 after it is final, too', async () => {
    const postmaster = await startPostmaster({ cast: [] });
    const outsider = new Outsider(postmaster);
    const handle = await outsider.register('live.linger', { restartTime: 0 });
    await postmaster.heard('linger', 'lingering');
    await handle.terminate();
    await handle.terminate();
    expect(await handle.waitForShutdown()).toEqual({ status: 'STOPPED' });
    expect(handle.lastExit).toEqual({ kind: 'code', code: 1 });
    expect(await outsider.workers()).toEqual([]);
    await postmaster.stop();
  });

  test('one that ignores it takes the time that it needs', async () => {
    const postmaster = await startPostmaster({ cast: [] });
    const outsider = new Outsider(postmaster);
    const handle = await outsider.register('live.ignoreSigterm');
    await postmaster.heard('ignoreSigterm', 'ignoring');
    await handle.terminate();
    await postmaster.heard('ignoreSigterm', 'SIGTERM');
    expect((await handle.status()).status).toBe('STARTED');
    process.kill(postmaster.pidOf('ignoreSigterm'), 'SIGKILL');
    expect(await handle.waitForShutdown()).toEqual({ status: 'STOPPED' });
    expect(handle.lastExit).toEqual({ kind: 'signal', signal: 'SIGKILL' });
    await postmaster.stop();
  });

  test('after the end, again and again: nothing', async () => {
    const postmaster = await startPostmaster({ cast: [] });
    const outsider = new Outsider(postmaster);
    const handle = await outsider.register('leave.returnAtOnce');
    await handle.waitForShutdown();
    for (let i = 0; i < 3; i++) await handle.terminate();
    expect(await handle.status()).toEqual({ status: 'STOPPED' });
    await postmaster.stop();
  });

  test('while it waits for its restart: STOPPED for good, without another start', async () => {
    const postmaster = await startPostmaster({ cast: [] });
    const outsider = new Outsider(postmaster);
    const handle = await outsider.register('leave.exit1', { restartTime: 3600 });
    expect(await handle.waitForShutdown()).toEqual({ status: 'STOPPED' });
    expect(await outsider.workers()).toMatchObject([{ name: 'exit1', standing: 'due' }]);
    await handle.terminate();
    await postmaster.logged(/unregistering background worker "exit1"/);
    expect(await outsider.workers()).toEqual([]);
    await postmaster.stop();
  });
});
