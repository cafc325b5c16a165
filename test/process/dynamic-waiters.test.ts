// Waiting (§1.7, §1.8): whatever happens to the worker, the registrant or the postmaster, who waits
// is told, and nobody waits for ever.

import { describe, expect, test } from 'vitest';
import type { Played } from '../fixtures/process/registrant.ts';
import { isGone } from '../harness/leftovers.ts';
import { Outsider } from '../harness/outsider.ts';
import { PostmasterProgram, startPostmaster } from '../harness/postmaster.ts';

const STOPPED = { status: 'STOPPED' };
const POSTMASTER_DIED = { status: 'POSTMASTER_DIED' };

/** Nothing of RecoveryFinished starts: the database is not there. */
async function startWithoutDatabase(
  cast: ConstructorParameters<typeof PostmasterProgram>[0]['cast'],
) {
  const postmaster = new PostmasterProgram({
    cast: cast ?? [],
    postgres: { conninfo: 'host=/nowhere-at-all' },
  });
  await postmaster.until('phase', ({ phase }) => phase === 'STARTUP');
  return postmaster;
}

const IDLE = { module: 'roles/live', function: 'idle', restartTime: 'never' } as const;

test('a restartable worker: waitForShutdown returns at the first exit', async () => {
  const postmaster = await startPostmaster({ cast: [] });
  const outsider = new Outsider(postmaster);
  const handle = await outsider.register('leave.exit1', { restartTime: 0 });
  expect(await handle.waitForShutdown()).toEqual(STOPPED);
  expect(handle.lastExit).toEqual({ kind: 'code', code: 1 });
  // It goes on, and so does what is heard of it.
  const from = postmaster.all('start').length;
  await postmaster.count('start', from + 3);
  await handle.terminate();
  expect(await handle.waitForShutdown()).toEqual(STOPPED);
  await postmaster.stop();
});

test('a wait can be given up, and the worker is left alone', async () => {
  const postmaster = await startPostmaster({ cast: [] });
  const outsider = new Outsider(postmaster);
  const handle = await outsider.register('live.idle');
  const controller = new AbortController();
  const { signal } = controller;
  const waits = [handle.waitForShutdown({ signal }), handle.waitForShutdown({ signal })];
  const patient = handle.waitForShutdown();
  controller.abort(new Error('enough'));
  for (const wait of waits) await expect(wait).rejects.toThrow('enough');
  await expect(handle.waitForShutdown({ signal })).rejects.toThrow('enough');
  await postmaster.heard('idle', 'idle');
  await handle.terminate();
  expect(await patient).toEqual(STOPPED);
  await postmaster.stop();
});

test('the registrant leaves: its worker lives on, and nobody is notified in its place', async () => {
  const steps: Played[] = [
    { do: 'register', as: 'survivor', options: { ...IDLE, restartTime: 0 } },
    { do: 'waitForStartup', of: 'survivor' },
  ];
  const postmaster = await startPostmaster({
    maxWorkerProcesses: 3,
    cast: [{ name: 'host', main: 'registrant', arg: { steps, ending: 'leave' } }],
  });
  await postmaster.exitOf('host');
  await postmaster.heard('survivor', 'idle');
  const pid = postmaster.pidOf('survivor');
  expect(isGone(pid)).toBe(false);
  // Somebody else in the registrant's slot hears nothing of it, and is not disturbed by it.
  const outsider = new Outsider(postmaster);
  const other = await outsider.register('obey.onSigtermByProcess', { name: 'successor' });
  await postmaster.heard('successor', 'ready');
  const after = postmaster.mark();
  process.kill(pid, 'SIGKILL');
  await postmaster.exitOf('survivor', after);
  await postmaster.heard('survivor', 'idle', { after });
  expect((await other.status()).status).toBe('STARTED');
  await postmaster.stop();
});

test('a registrant that is killed with a registration under way leaves a postmaster that goes on', async () => {
  const steps: Played[] = [
    ...[1, 2, 3].map((n): Played => ({ do: 'register', as: `w${n}`, options: IDLE })),
    // Left in the middle of its argument, as like as not.
    { do: 'register', as: 'big', argBytes: 32 << 20, options: IDLE, background: true },
  ];
  const postmaster = await startPostmaster({
    cast: [
      { name: 'host', main: 'registrant', restartTime: 'never', arg: { steps, ending: 'crash' } },
    ],
  });
  const outsider = new Outsider(postmaster);
  await postmaster.exitOf('host');
  for (const name of ['w1', 'w2', 'w3']) await postmaster.heard(name, 'idle');
  const again = await outsider.register('live.idle', { name: 'later' });
  expect((await again.waitForStartup()).status).toBe('STARTED');
  await postmaster.stop();
});

describe('the postmaster is killed', () => {
  test('a worker that waits for a start hears it', async () => {
    const waiting: Played[] = [
      { do: 'register', as: 'never', options: IDLE },
      { do: 'waitForStartup', of: 'never' },
      { do: 'status', of: 'never' },
    ];
    const postmaster = await startWithoutDatabase([
      {
        name: 'host',
        main: 'registrant',
        startTime: 'PostmasterStart',
        arg: { steps: waiting },
      },
    ]);
    await postmaster.heard('host', 'never registered');
    postmaster.kill('SIGKILL');
    expect((await postmaster.heard('host', 'never waitForStartup')).value).toEqual(POSTMASTER_DIED);
    await postmaster.empty();
  });

  test('one that waits for an end hears it, with and without shared memory', async () => {
    const waiting: Played[] = [
      { do: 'register', as: 'guest', options: { ...IDLE, flags: ['SHMEM_ACCESS'] } },
      { do: 'waitForStartup', of: 'guest' },
      { do: 'waitForShutdown', of: 'guest' },
    ];
    const arg = { steps: waiting };
    const postmaster = await startPostmaster({
      cast: [
        { name: 'attached', main: 'registrant', arg, flags: ['SHMEM_ACCESS'] },
        { name: 'apart', main: 'registrant', arg },
        { name: 'fresh', main: 'registrant', arg, launch: 'exec' },
      ],
    });
    for (const name of ['attached', 'apart', 'fresh']) {
      await postmaster.heard(name, 'guest waitForStartup');
    }
    await postmaster.count('say', 3, ({ text }) => text === 'idle');
    postmaster.kill('SIGKILL');
    for (const name of ['attached', 'apart', 'fresh']) {
      const { value } = await postmaster.heard(name, 'guest waitForShutdown');
      expect(value).toEqual(POSTMASTER_DIED);
    }
    await postmaster.empty();
  });

  test('so does who is outside, and whatever he asks then is answered', async () => {
    const postmaster = await startPostmaster({ cast: [] });
    const outsider = new Outsider(postmaster);
    const handle = await outsider.register('live.idle');
    await handle.waitForStartup();
    const shutdown = handle.waitForShutdown();
    await postmaster.heard('idle', 'idle');
    postmaster.kill('SIGKILL');
    expect(await shutdown).toEqual(POSTMASTER_DIED);
    expect(await handle.status()).toEqual(POSTMASTER_DIED);
    expect(await handle.waitForStartup()).toEqual(POSTMASTER_DIED);
    await handle.terminate();
    await expect(outsider.register('live.idle')).rejects.toMatchObject({
      code: 'ERR_POSTMASTER_DIED',
    });
    await postmaster.empty();
  });

  test('the next postmaster in the same directory is another one', async () => {
    const first = await startPostmaster({ cast: [] });
    const { dataDirectory } = first;
    const outsider = new Outsider(first);
    await (await outsider.register('live.idle')).waitForStartup();
    first.kill('SIGKILL');
    await first.empty();
    // It finds the socket of the dead one, and takes its place.
    const second = await startPostmaster({ cast: [], dataDirectory });
    expect(await new Outsider(second).workers()).toEqual([]);
    await expect(outsider.register('live.idle')).rejects.toMatchObject({
      code: 'ERR_POSTMASTER_DIED',
    });
    await second.stop();
  });
});

describe('a shutdown', () => {
  test.each(['fast', 'smart', 'immediate'] as const)(
    '%s: who waits for a start that does not come is told, and so is who waits for an end',
    async (mode) => {
      const postmaster = await startWithoutDatabase([]);
      const outsider = new Outsider(postmaster);
      const waiting = await outsider.register('live.idle', { name: 'waiting' });
      const early = { startTime: 'PostmasterStart' };
      const running = await outsider.register('live.idle', early);
      const failed = await outsider.register('leave.exit1', { ...early, restartTime: 3600 });
      await failed.waitForShutdown();
      await postmaster.heard('idle', 'idle');
      const waits = [
        waiting.waitForStartup(),
        waiting.waitForShutdown(),
        running.waitForShutdown(),
        failed.waitForShutdown(),
      ];
      postmaster.tell({ do: 'stop', mode });
      expect(await Promise.all(waits)).toEqual([STOPPED, STOPPED, STOPPED, STOPPED]);
      await postmaster.until('stopped');
      await postmaster.end();
    },
  );

  test('a worker in it can still register one, and hears that it is STOPPED', async () => {
    const postmaster = await startPostmaster({
      cast: [{ name: 'last', main: 'registerAtSigterm' }],
    });
    await postmaster.heard('last', 'ready');
    postmaster.tell({ do: 'stop', mode: 'fast' });
    const registered = await postmaster.heard('last', 'late registered');
    expect(registered.value).toMatchObject({ name: 'late' });
    for (const verb of ['waitForStartup', 'waitForShutdown', 'status']) {
      expect((await postmaster.heard('last', `late ${verb}`)).value).toEqual(STOPPED);
    }
    await postmaster.until('stopped');
    expect(postmaster.all('start').map(({ name }) => name)).toEqual(['last']);
    await postmaster.end();
  });
});

describe('a crash cycle', () => {
  test('ends the handles of the attached; the rest are as before', async () => {
    const postmaster = await startPostmaster({
      cast: [{ name: 'victim', main: 'idle', flags: ['SHMEM_ACCESS'], restartTime: 3600 }],
    });
    const outsider = new Outsider(postmaster);
    const flags = ['SHMEM_ACCESS'];
    const never = await outsider.register('live.idle', { name: 'never', flags });
    const again = await outsider.register('live.idle', { name: 'again', flags, restartTime: 3600 });
    const apart = await outsider.register('live.idle', { name: 'apart' });
    for (const name of ['victim', 'never', 'again', 'apart']) await postmaster.heard(name, 'idle');
    const ofApart = await apart.status();
    const waits = [never.waitForShutdown(), again.waitForShutdown()];
    const after = postmaster.mark();
    process.kill(postmaster.pidOf('victim'), 'SIGKILL');
    expect(await Promise.all(waits)).toEqual([STOPPED, STOPPED]);
    // The restartable one is back at once, as somebody else.
    await postmaster.heard('again', 'idle', { after });
    expect(await again.status()).toEqual(STOPPED);
    await again.terminate();
    const workers = await outsider.workers();
    const names = workers.map(({ name }) => name).sort();
    expect(names).toEqual(['again', 'apart', 'victim']);
    const present = workers.find(({ name }) => name === 'again');
    expect(present?.standing).toBe('running');
    expect(BigInt(present?.generation ?? 0) > again.generation).toBe(true);
    expect(await apart.status()).toEqual(ofApart);
    await postmaster.stop();
  });

  test('an attached registrant goes with it, and its unattached worker stays', async () => {
    const steps: Played[] = [
      { do: 'register', as: 'apart', options: IDLE },
      { do: 'waitForShutdown', of: 'apart' },
    ];
    const postmaster = await startPostmaster({
      cast: [
        {
          name: 'host',
          main: 'registrant',
          flags: ['SHMEM_ACCESS'],
          restartTime: 'never',
          arg: { steps },
        },
      ],
    });
    await postmaster.heard('apart', 'idle');
    const pid = postmaster.pidOf('apart');
    process.kill(postmaster.pidOf('host'), 'SIGSEGV');
    await postmaster.exitOf('host');
    await postmaster.until('phase', ({ phase }) => phase === 'RUN', {
      after: postmaster.lines.length - 1,
    });
    expect(isGone(pid)).toBe(false);
    expect((await postmaster.workers()).map(({ name }) => name)).toEqual(['apart']);
    await postmaster.stop();
  });

  test('the launcher dies: handles of the unattached see one exit, and the next start', async () => {
    const postmaster = await startPostmaster({ cast: [] });
    const outsider = new Outsider(postmaster);
    const handle = await outsider.register('live.idle', { restartTime: 3600 });
    await postmaster.heard('idle', 'idle');
    const after = postmaster.mark();
    process.kill(postmaster.launcherPid, 'SIGKILL');
    expect(await handle.waitForShutdown()).toEqual(STOPPED);
    expect(handle.lastExit).toEqual({ kind: 'lost' });
    await postmaster.heard('idle', 'idle', { after });
    const { pid } = await postmaster.startOf('idle', after);
    expect(await handle.status()).toEqual({ status: 'STARTED', pid });
    await postmaster.stop();
  });
});
