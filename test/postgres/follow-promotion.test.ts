// A real standby that is promoted while it is followed: who is started, who stays, and what it
// costs the server to be asked.

import { describe, expect, test, vi } from 'vitest';
import { INSTALLATIONS, Server } from '../harness/cluster.ts';
import { PostmasterProgram, startPostmaster } from '../harness/postmaster.ts';

// A start of three processes that are busy, on a machine that is, too.
vi.setConfig({ testTimeout: 60_000 });

const DATABASE = ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'] as const;

describe.each(INSTALLATIONS)('$name', (installation) => {
  test('who waits for the end of recovery is started by it, who was there stays', async () => {
    const primary = await Server.start(installation);
    const standby = await primary.standby();
    const postmaster = await startPostmaster({
      postgres: { conninfo: standby.conninfo() },
      cast: [
        { name: 'consistent', main: 'connected', startTime: 'ConsistentState', flags: DATABASE },
        { name: 'finished', main: 'connected', startTime: 'RecoveryFinished', flags: DATABASE },
        { name: 'alone', main: 'idle', startTime: 'PostmasterStart' },
      ],
    });
    expect(postmaster.all('phase').map(({ phase }) => phase)).toEqual(['STARTUP', 'HOT_STANDBY']);
    const early = await postmaster.heard('consistent', 'connected');
    expect(early.value).toMatchObject({ inRecovery: true });
    await postmaster.heard('alone', 'idle');

    await standby.promote();
    const promotedAt = performance.now();
    const late = await postmaster.heard('finished', 'connected');
    const ms = Math.round(performance.now() - promotedAt);
    console.log(`${installation.name}: ${ms} ms from pg_promote() to a RecoveryFinished worker`);
    expect(late.value).toMatchObject({ inRecovery: false });
    expect(postmaster.all('phase').at(-1)).toMatchObject({ phase: 'RUN' });
    expect(postmaster.all('exit')).toEqual([]);
    expect(postmaster.pidOf('consistent')).toBe(early.pid);
    await postmaster.stop();
  });

  test('the connection that watches has no transaction, and runs no statement when it asks', async () => {
    const primary = await Server.start(installation);
    const standby = await primary.standby();
    const postmaster = await startPostmaster({ postgres: { conninfo: standby.conninfo() } });
    const look = () =>
      standby.query(
        `SELECT state, query, query_start, backend_xmin, xact_start
          FROM pg_stat_activity WHERE application_name = 'bgworker postmaster'`,
      );
    const before = await look();
    expect(before).toMatchObject([{ state: 'idle', backend_xmin: null, xact_start: null }]);
    await standby.promote();
    // It was asked by then, or nobody would know.
    await postmaster.until('phase', ({ phase }) => phase === 'RUN');
    expect(await look()).toEqual(before);
    await postmaster.stop();
  });

  test('who wants a standby has none any more', async () => {
    const primary = await Server.start(installation);
    const standby = await primary.standby();
    const postmaster = await startPostmaster({
      postgres: { conninfo: standby.conninfo('user=postgres target_session_attrs=standby') },
    });
    const after = postmaster.mark();
    await standby.promote();
    await postmaster.until('phase', ({ phase }) => phase === 'STARTUP', { after });
    await postmaster.logged(/is not reachable: server is not in hot standby mode/);
    await postmaster.stop();
  });

  test('a standby that lets nobody in yet: RECOVERY, until it does', async () => {
    const primary = await Server.start(installation);
    const standby = await primary.standby({ hot_standby: 'off' });
    const postmaster = new PostmasterProgram({ postgres: { conninfo: standby.conninfo() } });
    await postmaster.until('phase', ({ phase }) => phase === 'RECOVERY');
    await postmaster.logged(/does not accept connections yet: .*not (yet )?accepting connections/);
    standby.promoteFromOutside();
    await postmaster.until('started');
    expect(postmaster.all('phase').at(-1)).toMatchObject({ phase: 'RUN' });
    await postmaster.stop();
  });
});
