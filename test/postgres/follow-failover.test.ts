// Several hosts: the one that is followed is lost, another takes its place, and the workers go where
// the phases say.

import { describe, expect, test, vi } from 'vitest';
import { INSTALLATIONS, Server } from '../harness/cluster.ts';
import { startPostmaster } from '../harness/postmaster.ts';

// A start of three processes that are busy, on a machine that is, too.
vi.setConfig({ testTimeout: 60_000 });

const DATABASE = ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'] as const;

function both(first: Server, second: Server, attrs: string): string {
  const hosts = `host=${first.host},${second.host}`;
  return `${hosts} user=postgres dbname=postgres target_session_attrs=${attrs}`;
}

describe.each(INSTALLATIONS)('$name', (installation) => {
  test('read-write: nowhere while there is no primary, then at the other host', async () => {
    const primary = await Server.start(installation);
    const standby = await primary.standby();
    const postmaster = await startPostmaster({
      postgres: { conninfo: both(standby, primary, 'read-write') },
      cast: [{ name: 'one', main: 'connected', flags: DATABASE }],
    });
    // The standby comes first, and is not what was asked for.
    const { pid, value } = await postmaster.heard('one', 'connected');
    expect(value).toMatchObject({ inRecovery: false, host: primary.host });
    const after = postmaster.mark();
    await primary.kill();
    await postmaster.logged(/is not reachable: .*session is read-only/);
    await postmaster.until('phase', ({ phase }) => phase === 'STARTUP', { after });
    await standby.promote();
    const again = await postmaster.heard('one', 'connected', { after });
    expect(again.value).toMatchObject({ inRecovery: false, host: standby.host });
    expect(again.pid).not.toBe(pid);
    await postmaster.stop();
  });

  test('any: at the standby at once, and through its promotion', async () => {
    const primary = await Server.start(installation);
    const standby = await primary.standby();
    const postmaster = await startPostmaster({
      postgres: { conninfo: both(primary, standby, 'any') },
      cast: [
        { name: 'consistent', main: 'connected', startTime: 'ConsistentState', flags: DATABASE },
        { name: 'finished', main: 'connected', flags: DATABASE },
      ],
    });
    for (const name of ['consistent', 'finished']) await postmaster.heard(name, 'connected');
    const after = postmaster.mark();
    await primary.kill();
    const consistent = await postmaster.heard('consistent', 'connected', { after });
    expect(consistent.value).toMatchObject({ inRecovery: true, host: standby.host });
    await postmaster.until('phase', ({ phase }) => phase === 'HOT_STANDBY', { after });
    await standby.promote();
    const finished = await postmaster.heard('finished', 'connected', { after });
    expect(finished.value).toMatchObject({ inRecovery: false, host: standby.host });
    expect(postmaster.pidOf('consistent')).toBe(consistent.pid);
    await postmaster.stop();
  });

  test('the host that comes first in the list is back: workers go where the phases are', async () => {
    const primary = await Server.start(installation);
    const standby = await primary.standby();
    const postmaster = await startPostmaster({
      postgres: { conninfo: both(primary, standby, 'any') },
      cast: [{ name: 'one', main: 'careless', flags: DATABASE, restartTime: 0 }],
    });
    await postmaster.heard('one', 'connected');
    const after = postmaster.mark();
    await primary.kill();
    await postmaster.until('phase', ({ phase }) => phase === 'HOT_STANDBY', { after });
    await standby.promote();
    await postmaster.heard('one', 'connected', { after });
    // Both believe that they are it now, and the connection string has nothing against either.
    await primary.start();
    const later = postmaster.mark();
    process.kill(postmaster.pidOf('one'), 'SIGTERM');
    const again = await postmaster.heard('one', 'connected', { after: later });
    expect(again.value).toMatchObject({ host: standby.host });
    await postmaster.stop();
  });
});
