// What a worker's connection can do, on a real server: it is cancelled, hears, counts in
// transactions, shows what it runs, and takes it along when it is killed.

import { describe, expect, test, vi } from 'vitest';
import { INSTALLATIONS, Server } from '../harness/cluster.ts';
import { type PostmasterProgram, type Setting, startPostmaster } from '../harness/postmaster.ts';

// A start of three processes that are busy, on a machine that is, too.
vi.setConfig({ testTimeout: 60_000 });

const DATABASE = ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'] as const;

type Cast = NonNullable<Setting['cast']>;

function start(server: Server, ...cast: Cast): Promise<PostmasterProgram> {
  return startPostmaster({
    postgres: { conninfo: server.conninfo() },
    cast: cast.map((part) => ({ flags: DATABASE, restartTime: 'never', ...part })),
  });
}

describe.each(INSTALLATIONS)('$name', (installation) => {
  test('SIGINT cancels the statement that runs, and nothing else', async () => {
    const server = await Server.start(installation);
    const postmaster = await start(server, { name: 'one', main: 'inStatement' });
    await postmaster.heard('one', 'connected');
    await isRunning(server, 'pg_sleep');
    process.kill(postmaster.pidOf('one'), 'SIGINT');
    const { value } = await postmaster.heard('one', 'rejected');
    expect(value).toMatchObject({ code: '57014' });
    await postmaster.heard('one', 'alive');
    // With nothing to cancel it is ignored.
    process.kill(postmaster.pidOf('one'), 'SIGINT');
    await postmaster.stop();
    expect(postmaster.all('exit')).toMatchObject([{ how: 'code 0' }]);
  });

  test('a handler of its own for SIGINT decides by itself', async () => {
    const server = await Server.start(installation);
    const postmaster = await start(server, { name: 'one', main: 'interruptedByItself' });
    await postmaster.heard('one', 'running');
    await isRunning(server, 'pg_sleep');
    process.kill(postmaster.pidOf('one'), 'SIGINT');
    await postmaster.heard('one', 'SIGINT');
    await isRunning(server, 'pg_sleep');
    process.kill(postmaster.pidOf('one'), 'SIGINT');
    const { value } = await postmaster.heard('one', 'rejected');
    expect(value).toMatchObject({ code: '57014' });
    await postmaster.heard('one', 'alive');
    await postmaster.stop();
  });

  test('a notification calls its handler, then sets the latch', async () => {
    const server = await Server.start(installation);
    const postmaster = await start(server, { name: 'one', main: 'listening' });
    await postmaster.heard('one', 'listening');
    await server.query("NOTIFY jobs, '42'");
    const { value } = await postmaster.heard('one', 'heard');
    expect(value).toEqual({ channel: 'jobs', payload: '42', latch: false });
    await postmaster.heard('one', 'woken');
    let after = postmaster.mark();
    await server.query('NOTIFY "Other ""jobs"""');
    await postmaster.heard('one', 'woken', { after });
    await server.query("NOTIFY jobs, 'enough'");
    await postmaster.heard('one', 'deaf');
    after = postmaster.mark();
    await server.query("NOTIFY jobs, 'nobody'");
    await server.query('NOTIFY "Other ""jobs"""');
    await postmaster.heard('one', 'woken', { after });
    const heard = postmaster.all('say').filter(({ text }) => text === 'heard');
    expect(heard).toHaveLength(2);
    await postmaster.stop();
  });

  test('transactions that collide are run again until all are through', async () => {
    const server = await Server.start(installation);
    await server.query('CREATE TABLE counter AS SELECT 0 AS n');
    const times = 25;
    const part = { name: 'w', main: 'counting', count: 3, arg: { times } };
    const postmaster = await start(server, part);
    let tries = 0;
    for (let i = 0; i < 3; i++) {
      const { value } = await postmaster.heard(`w ${i}`, 'counted');
      tries += (value as { tries: number }).tries;
    }
    expect(await server.query('SELECT n FROM counter')).toEqual([{ n: 3 * times }]);
    expect(tries).toBeGreaterThanOrEqual(3 * times);
    await postmaster.stop();
  });

  test('a transaction says what became of it', async () => {
    const server = await Server.start(installation);
    await server.query(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'not at the end'; END $$;
      CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_sleep(1000); RETURN NULL; END $$;
      CREATE TABLE checked (n int);
      CREATE TABLE slowly (n int);
      CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON checked INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse();
      CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON slowly INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION dawdle();
    `);
    const postmaster = await start(server, { name: 'one', main: 'transacting' });
    const said = async (what: string) => (await postmaster.heard('one', what)).value;
    expect(await said('returns')).toEqual({ value: { one: 1 } });
    expect(await said('throws')).toEqual({ message: 'mine' });
    expect(await said('swallows')).toMatchObject({ code: 'ERR_TRANSACTION_ABORTED' });
    expect(await said('reads only')).toMatchObject({ code: '25006' });
    expect(await said('nests')).toMatchObject({ code: 'ERR_WRONG_STATE' });
    expect(await said('is called off')).toEqual({ message: 'enough' });
    expect(await said('is refused at its end')).toMatchObject({ message: 'not at the end' });
    expect(await said('after all')).toEqual({ out: true, n: 0 });
    await postmaster.heard('one', 'committing');
    await isRunning(server, 'COMMIT');
    await server.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'COMMIT'",
    );
    expect(await said('is lost at its end')).toMatchObject({ code: 'ERR_COMMIT_UNKNOWN' });
    expect(await said('is over')).not.toHaveProperty('value');
    await postmaster.stop();
  });

  test('workers() shows the database, and what runs; its own words come first', async () => {
    const server = await Server.start(installation);
    const postmaster = await start(server, { name: 'one', main: 'showingSteps' });
    const shown = async () => (await postmaster.workers())[0];
    const step = () => process.kill(postmaster.pidOf('one'), 'SIGHUP');
    await postmaster.heard('one', 'idle');
    expect(await shown()).toMatchObject({ database: 'postgres', activity: null });
    step();
    await postmaster.heard('one', 'running');
    expect(await shown()).toMatchObject({ activity: 'SELECT pg_sleep(1000)' });
    step();
    await postmaster.heard('one', 'speaking');
    expect(await shown()).toMatchObject({ activity: 'in its own words' });
    step();
    await postmaster.heard('one', 'silent');
    expect(await shown()).toMatchObject({ activity: null });
    await postmaster.heard('one', 'ended');
    expect(await shown()).toMatchObject({ database: null, activity: null });
    await postmaster.stop();
  });

  test('a worker that is killed takes along what it runs, and is reported with it', async () => {
    const server = await Server.start(installation);
    const postmaster = await start(server, { name: 'one', main: 'inStatement' });
    await postmaster.heard('one', 'connected');
    await isRunning(server, 'pg_sleep');
    process.kill(postmaster.pidOf('one'), 'SIGKILL');
    expect(await postmaster.exitOf('one')).toMatchObject({
      ...{ how: 'SIGKILL', activity: 'SELECT pg_sleep(1000)' },
    });
    await postmaster.logged(/was terminated by signal SIGKILL; it was running: SELECT pg_sleep/);
    await vi.waitFor(async () => expect(await running(server, 'pg_sleep')).toBe(0), PATIENTLY);
    await postmaster.stop();
  });

  test('timeouts and settings are those of the session', async () => {
    const server = await Server.start(installation);
    const postmaster = await start(server, {
      name: 'one',
      main: 'connecting',
      arg: [
        { options: { settings: { search_path: 'app, public' } }, sql: 'SHOW search_path' },
        { options: { statementTimeoutMs: 50 }, sql: 'SELECT pg_sleep(1000)' },
        { options: { idleTimeoutMs: 50 }, sql: 'SELECT 1 AS one -- and wait' },
        { options: { idleInTransactionTimeoutMs: 50 }, sql: 'BEGIN -- and wait' },
        { options: { settings: { no_such_thing: '1' } }, sql: 'SELECT 1' },
        { options: { database: 'nowhere' }, sql: 'SELECT 1' },
        { options: { lockTimeoutMs: -1 }, sql: 'SELECT 1' },
        { options: {}, sql: 'SHOW client_connection_check_interval' },
      ],
    });
    await postmaster.heard('one', 'over');
    const said = postmaster.all('say').map(({ text, value }) => [text, value]);
    expect(said).toMatchObject([
      ['answer', { search_path: 'app, public' }],
      ['answer', { code: '57014' }],
      ['answer', { one: 1 }],
      ['lost', { code: '57P05' }],
      ['answer', undefined],
      ['lost', { code: '25P03' }],
      ['refused', { code: 'ERR_SERVER_REFUSED' }],
      ['refused', { code: 'ERR_SERVER_REFUSED' }],
      ['refused', { code: 'ERR_INVALID_OPTION' }],
      ['answer', { client_connection_check_interval: '1s' }],
      ['over', undefined],
    ]);
    await postmaster.stop();
  });

  test('one connection at a time, and another one when it is over', async () => {
    const server = await Server.start(installation);
    const postmaster = await start(server, { name: 'one', main: 'connectingTwice' });
    const said = async (what: string) => (await postmaster.heard('one', what)).value;
    expect(await said('at once')).toEqual(['fulfilled', 'rejected']);
    expect(await said('refused')).toMatchObject({ code: 'ERR_NO_DATABASE_CONNECTION' });
    expect(await said('again')).toEqual({ one: 1 });
    await postmaster.stop();
  });
});

test('without shared memory there is nowhere to show anything', async () => {
  const postmaster = await startPostmaster({
    cast: [{ name: 'one', main: 'speakingWithoutMemory' }],
  });
  const { value } = await postmaster.heard('one', 'refused');
  expect(value).toMatchObject({
    code: 'ERR_WRONG_STATE',
    message: expect.stringContaining('no activity; register it with the flag SHMEM_ACCESS'),
  });
  await postmaster.stop();
});

const PATIENTLY = { timeout: 15_000, interval: 50 };

/** How many other sessions run something with that in it. */
async function running(server: Server, text: string): Promise<number> {
  const [row] = await server.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM pg_stat_activity
      WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%${text}%'`,
  );
  return row?.n ?? 0;
}

/** Nothing tells of it from outside, so it is looked for. */
async function isRunning(server: Server, text: string): Promise<void> {
  await vi.waitFor(async () => expect(await running(server, text)).toBe(1), PATIENTLY);
}
