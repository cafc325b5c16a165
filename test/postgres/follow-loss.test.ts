// A followed server that is lost: in which ways, what a worker sees of each, who is ended for it and
// started again, and who is left alone.

import { describe, expect, test, vi } from 'vitest';
import { INSTALLATIONS, Server } from '../harness/cluster.ts';
import { type PostmasterProgram, startPostmaster } from '../harness/postmaster.ts';

// A start of three processes that are busy, on a machine that is, too.
vi.setConfig({ testTimeout: 60_000 });

const DATABASE = ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'] as const;
/** Longer than any test: who is started again within it was not waiting for it. */
const LONG = 3_600;

const phasesAfter = (postmaster: PostmasterProgram, mark: number) =>
  postmaster.lines.slice(mark).flatMap((line) => (line.kind === 'phase' ? [line.phase] : []));

describe.each(INSTALLATIONS)('$name', (installation) => {
  type Loss = [
    how: string,
    lose: (server: Server) => Promise<void>,
    code: string | null,
    words: RegExp,
  ];
  // The one that is killed has no say in what the others do: each notices it in its own way.
  const LOSSES: readonly Loss[] = [
    ['stopped', (server) => server.stop(), '57P01', /terminating connection due to administrator/],
    // It leaves with a notice, and no error of its own.
    ['stopped at once', (server) => server.stop('immediate'), null, /terminat/i],
    ['killed', (server) => server.kill(), null, /terminat/i],
  ];

  test.each(LOSSES)('%s: what a worker sees of it', async (_how, lose, code, words) => {
    const server = await Server.start(installation);
    const postmaster = await startPostmaster({
      // Or SIGTERM may come first.
      postgres: { conninfo: server.conninfo(), onServerLoss: 'keep' },
      cast: [
        { name: 'idle', main: 'connected', flags: DATABASE },
        { name: 'busy', main: 'inStatement', flags: DATABASE },
        { name: 'careless', main: 'careless', flags: DATABASE, restartTime: LONG },
      ],
    });
    for (const name of ['idle', 'busy', 'careless']) await postmaster.heard(name, 'connected');
    const after = postmaster.mark();
    await lose(server);
    // The client says 'error', then 'end'.
    const error = await postmaster.heard('idle', 'error', { after });
    const end = await postmaster.heard('idle', 'end', { after });
    expect(postmaster.lines.indexOf(error)).toBeLessThan(postmaster.lines.indexOf(end));
    expect((error.value as { message: string }).message).toMatch(words);
    if (code !== null) expect(error.value).toMatchObject({ code });
    // What runs rejects, and so does everything after it.
    await postmaster.heard('busy', 'rejected', { after });
    await postmaster.heard('busy', 'dead', { after });
    // Nobody listened: an uncaught error, as any other.
    const exit = await postmaster.exitOf('careless', after);
    expect(exit).toMatchObject({ how: 'code 1', cleanDetach: true, standing: 'due' });
    expect(postmaster.all('exit')).toHaveLength(1);
    await postmaster.stop();
  });

  test.each(LOSSES)('%s, and back: who goes, who stays', async (_how, lose) => {
    const server = await Server.start(installation);
    const postmaster = await startPostmaster({
      postgres: { conninfo: server.conninfo() },
      cast: [
        { name: 'watching', main: 'connected', flags: DATABASE, restartTime: LONG },
        { name: 'careless', main: 'careless', flags: DATABASE, restartTime: LONG },
        { name: 'once', main: 'connected', flags: DATABASE, restartTime: 'never' },
        { name: 'attached', main: 'idle', flags: ['SHMEM_ACCESS'] },
        { name: 'alone', main: 'idle' },
        { name: 'program', exec: ['sleep', '1000'], database: 'postgres', restartTime: LONG },
      ],
    });
    const first = new Map<string, number>();
    first.set('program', (await postmaster.startOf('program')).pid);
    for (const name of ['watching', 'careless', 'once']) {
      first.set(name, (await postmaster.heard(name, 'connected')).pid);
    }
    for (const name of ['attached', 'alone']) {
      first.set(name, (await postmaster.heard(name, 'idle')).pid);
    }
    const after = postmaster.mark();
    await lose(server);
    await postmaster.until('phase', ({ phase }) => phase === 'STARTUP', { after });
    await postmaster.logged(/the database server was lost; terminating the workers/);
    expect(await postmaster.exitOf('watching', after)).toMatchObject({
      ...{ how: 'code 0', cleanDetach: true, standing: 'due' },
    });
    expect(await postmaster.exitOf('careless', after)).toMatchObject({ standing: 'due' });
    expect(await postmaster.exitOf('once', after)).toMatchObject({ standing: 'gone' });
    const program = await postmaster.exitOf('program', after);
    expect(program).toMatchObject({ how: 'SIGTERM', standing: 'due' });

    await server.start();
    await postmaster.until('phase', ({ phase }) => phase === 'RUN', { after });
    for (const name of ['watching', 'careless']) {
      const again = await postmaster.heard(name, 'connected', { after });
      expect(again.pid).not.toBe(first.get(name));
    }
    expect((await postmaster.startOf('program', after)).pid).not.toBe(first.get('program'));
    const shown = await postmaster.workers();
    expect(shown.map(({ name }) => name)).not.toContain('once');
    for (const name of ['attached', 'alone']) {
      expect(shown.find((one) => one.name === name)?.pid).toBe(first.get(name));
    }
    // It has no second cause: nobody's crash.
    expect(postmaster.all('crash')).toEqual([]);
    await postmaster.stop();
  });

  test('restarted while nobody looked: the connections are lost all the same', async () => {
    const server = await Server.start(installation);
    const postmaster = await startPostmaster({
      postgres: { conninfo: server.conninfo() },
      cast: [{ name: 'one', main: 'connected', flags: DATABASE, restartTime: LONG }],
    });
    const { pid } = await postmaster.heard('one', 'connected');
    const after = postmaster.mark();
    await server.stop();
    await server.start();
    const again = await postmaster.heard('one', 'connected', { after });
    expect(again.pid).not.toBe(pid);
    await postmaster.until('phase', ({ phase }) => phase === 'RUN', { after });
    // While it stops it says that nobody can connect now.
    expect(['STARTUP', 'RECOVERY']).toContain(phasesAfter(postmaster, after).at(0));
    await postmaster.stop();
  });

  test('only the session that watches is ended: nothing else happens', async () => {
    const server = await Server.start(installation);
    const postmaster = await startPostmaster({
      postgres: { conninfo: server.conninfo() },
      cast: [{ name: 'one', main: 'connected', flags: DATABASE }],
    });
    const { pid } = await postmaster.heard('one', 'connected');
    const after = postmaster.mark();
    // Not in its first second: one that is ended at once and again is not hurried.
    const watcher =
      "application_name = 'bgworker postmaster' AND backend_start < now() - '1.1 s'::interval";
    const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${watcher}`;
    await vi.waitFor(async () => expect(await server.query(end)).toHaveLength(1), {
      ...{ timeout: 15_000, interval: 100 },
    });
    await postmaster.logged(
      /following .* again; only the session had been ended: terminating connection due to admin/,
    );
    expect(postmaster.all('exit')).toEqual([]);
    expect(phasesAfter(postmaster, after)).toEqual([]);
    // It is followed all the same.
    await server.stop();
    await postmaster.until('phase', ({ phase }) => phase === 'STARTUP', { after });
    expect(await postmaster.exitOf('one', after)).toMatchObject({ pid });
    await postmaster.stop();
  });

  test('"keep": nobody is ended; who wants another connection makes one', async () => {
    const server = await Server.start(installation);
    const postmaster = await startPostmaster({
      postgres: { conninfo: server.conninfo(), onServerLoss: 'keep' },
      cast: [{ name: 'one', main: 'connected', flags: DATABASE, arg: { again: true } }],
    });
    const { pid, value } = await postmaster.heard('one', 'connected');
    const after = postmaster.mark();
    await server.kill();
    await postmaster.heard('one', 'end', { after });
    await postmaster.until('phase', ({ phase }) => phase === 'STARTUP', { after });
    await server.start();
    const again = await postmaster.heard('one', 'connected', { after });
    expect(again.pid).toBe(pid);
    expect(again.value).not.toEqual(value);
    await postmaster.until('phase', ({ phase }) => phase === 'RUN', { after });
    expect(postmaster.all('exit')).toEqual([]);
    await postmaster.stop();
  });
});

describe('the conninfo stops being valid', () => {
  const installation = INSTALLATIONS[0] as (typeof INSTALLATIONS)[number];

  test('the user is gone: a line that says so, once, and nobody else notices', async () => {
    const server = await Server.start(installation);
    await server.query('CREATE ROLE watcher LOGIN');
    const postmaster = await startPostmaster({
      postgres: { conninfo: server.conninfo('user=watcher dbname=postgres') },
      cast: [{ name: 'alone', main: 'idle' }],
    });
    const { pid } = await postmaster.heard('alone', 'idle');
    await server.query('ALTER ROLE watcher NOLOGIN');
    await server.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'watcher'",
    );
    await postmaster.logged(
      /the database is not reachable: .*"watcher" is not permitted to log in/,
    );
    expect(postmaster.pidOf('alone')).toBe(pid);
    const after = postmaster.mark();
    await server.query('ALTER ROLE watcher LOGIN');
    await postmaster.until('phase', ({ phase }) => phase === 'RUN', { after });
    const lines = postmaster.log.match(/is not permitted to log in/g) ?? [];
    expect(lines).toHaveLength(1);
    await postmaster.stop();
  });
});
