// Workers that end with their database: dropped, renamed, or never there; and who does not.

import { describe, expect, test, vi } from 'vitest';
import { INSTALLATIONS, Server } from '../harness/cluster.ts';
import { startPostmaster } from '../harness/postmaster.ts';

// A start of three processes that are busy, on a machine that is, too.
vi.setConfig({ testTimeout: 60_000 });

const DATABASE = ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'] as const;
const INTERRUPTIBLE = [...DATABASE, 'INTERRUPTIBLE'] as const;

describe.each(INSTALLATIONS)('$name', (installation) => {
  test('terminateWorkersOf(): its interruptible workers are gone for good, nobody else', async () => {
    const server = await Server.start(installation);
    await server.query('CREATE DATABASE app');
    await server.query('CREATE DATABASE other');
    const elsewhere = { connect: { database: 'other' } };
    const postmaster = await startPostmaster({
      postgres: { conninfo: server.conninfo() },
      cast: [
        { name: 'app', main: 'connected', flags: INTERRUPTIBLE, database: 'app' },
        { name: 'stubborn', main: 'connected', flags: DATABASE, database: 'app' },
        { name: 'other', main: 'connected', flags: INTERRUPTIBLE, database: 'other' },
        {
          ...{ name: 'elsewhere', main: 'connected', flags: INTERRUPTIBLE, database: 'app' },
          arg: elsewhere,
        },
        { name: 'idle', main: 'idle', flags: INTERRUPTIBLE, database: 'app' },
      ],
    });
    for (const name of ['app', 'stubborn', 'other', 'elsewhere']) {
      await postmaster.heard(name, 'connected');
    }
    await postmaster.heard('idle', 'idle');
    postmaster.tell({ do: 'terminateWorkersOf', database: 'app' });
    const { names } = await postmaster.until('terminated');
    expect(names).toEqual(['app']);
    expect(await postmaster.exitOf('app')).toMatchObject({ how: 'code 0', standing: 'gone' });
    // Who may not be interrupted keeps the database from being renamed, as in PostgreSQL.
    const rename = server.query('ALTER DATABASE app RENAME TO old');
    await expect(rename).rejects.toMatchObject({ code: '55006' });
    const shown = await postmaster.workers();
    expect(shown.map(({ name }) => name)).toEqual(['stubborn', 'other', 'elsewhere', 'idle']);
    // Nobody of this database: nobody is ended.
    const after = postmaster.mark();
    postmaster.tell({ do: 'terminateWorkersOf', database: 'nowhere' });
    expect(await postmaster.until('terminated', undefined, { after })).toMatchObject({ names: [] });
    await postmaster.stop();
  });

  test('then the database can be renamed, and nobody comes back', async () => {
    const server = await Server.start(installation);
    await server.query('CREATE DATABASE app');
    const part = { name: 'app', main: 'connected', flags: INTERRUPTIBLE, database: 'app' } as const;
    const postmaster = await startPostmaster({
      postgres: { conninfo: server.conninfo() },
      cast: [{ ...part, restartTime: 0, count: 2 }],
    });
    for (const name of ['app 0', 'app 1']) await postmaster.heard(name, 'connected');
    postmaster.tell({ do: 'terminateWorkersOf', database: 'app' });
    await postmaster.until('terminated');
    await untilDone(server, ['ALTER DATABASE app RENAME TO old']);
    expect(await postmaster.workers()).toEqual([]);
    await postmaster.stop();
  });

  const ends: [how: string, statements: string[]][] = [
    ['dropped', ['DROP DATABASE app WITH (FORCE)']],
    [
      'renamed',
      [
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app'",
        'ALTER DATABASE app RENAME TO old',
      ],
    ],
  ];
  test.each(ends)(
    '%s under it: it fails, finds no database, and is done',
    async (_how, statements) => {
      const server = await Server.start(installation);
      await server.query('CREATE DATABASE app');
      const postmaster = await startPostmaster({
        postgres: { conninfo: server.conninfo() },
        cast: [
          { name: 'one', main: 'careless', flags: INTERRUPTIBLE, database: 'app', restartTime: 0 },
          { name: 'ever', main: 'careless', flags: DATABASE, database: 'app', restartTime: 3_600 },
        ],
      });
      for (const name of ['one', 'ever']) await postmaster.heard(name, 'connected');
      const after = postmaster.mark();
      await untilDone(server, statements);
      const isDone = ({ name, how }: { name: string; how: string }) =>
        name === 'one' && how === 'code 0';
      await postmaster.until('exit', isDone, { after });
      await postmaster.logged(
        /INFO.*"one" is done, because its database does not exist \(any more\)/,
      );
      // Without the flag it is tried again for ever.
      const exit = await postmaster.exitOf('ever', after);
      expect(exit).toMatchObject({ how: 'code 1', standing: 'due' });
      const shown = await postmaster.workers();
      expect(shown.map(({ name }) => name)).toEqual(['ever']);
      expect(postmaster.all('crash')).toEqual([]);
      await postmaster.stop();
    },
  );
});

/** A worker that was ended a moment ago may be back in it, or its backend not quite gone. */
async function untilDone(server: Server, statements: readonly string[]): Promise<void> {
  const all = async () => {
    for (const statement of statements) await server.query(statement);
  };
  await vi.waitFor(all, { timeout: 15_000, interval: 50 });
}
