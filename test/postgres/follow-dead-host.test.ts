// A host that dies without a word: no connection says that it has ended. TCP's own probes find out,
// as the connection string says how soon.

import { expect, test, vi } from 'vitest';
import { INSTALLATIONS, Server } from '../harness/cluster.ts';
import { DeafHost } from '../harness/deaf-host.ts';
import { startPostmaster } from '../harness/postmaster.ts';

// Seconds of TCP's, and a start of three processes that are busy.
vi.setConfig({ testTimeout: 60_000 });

const DATABASE = ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'] as const;
const [installation] = INSTALLATIONS;
if (installation === undefined) throw new Error('there is no server to test with');

const IMPATIENT =
  'keepalives_idle=1 keepalives_interval=1 keepalives_count=1 tcp_user_timeout=1500 connect_timeout=2';

/** The server by way of a host that can die, then by its own socket. */
function conninfoOf(server: Server, { port }: DeafHost): string {
  const hosts = `host=127.0.0.1,${server.host} port=${port},5432 sslmode=disable`;
  return `${hosts} user=postgres dbname=postgres ${IMPATIENT}`;
}

test('a primary, which nobody asks anything: found out by probes, and the next host takes over', async () => {
  const server = await Server.start(installation);
  const host = await DeafHost.start(`${server.host}/.s.PGSQL.5432`);
  const postmaster = await startPostmaster({
    postgres: { conninfo: conninfoOf(server, host) },
    cast: [{ name: 'one', main: 'connected', flags: DATABASE }],
  });
  await postmaster.logged(/following the database server at 127\.0\.0\.1/);
  const { pid } = await postmaster.heard('one', 'connected');
  const after = postmaster.mark();
  await host.die();
  await postmaster.logged(/the database is not reachable: .*ETIMEDOUT/);
  await postmaster.logged(new RegExp(`following the database server at ${server.host}`));
  // Its own connection was as dead; it did not have to find that out.
  const again = await postmaster.heard('one', 'connected', { after });
  expect(again.pid).not.toBe(pid);
  await postmaster.stop();
});

test('a standby, which is asked: found out by the question that nobody takes', async () => {
  const primary = await Server.start(installation);
  const standby = await primary.standby();
  const host = await DeafHost.start(`${standby.host}/.s.PGSQL.5432`);
  const postmaster = await startPostmaster({ postgres: { conninfo: conninfoOf(standby, host) } });
  const after = postmaster.mark();
  await host.die();
  await postmaster.until('phase', ({ phase }) => phase === 'STARTUP', { after });
  await postmaster.logged(/the database is not reachable: .*ETIMEDOUT/);
  await postmaster.until('phase', ({ phase }) => phase === 'HOT_STANDBY', { after });
  await postmaster.stop();
});
