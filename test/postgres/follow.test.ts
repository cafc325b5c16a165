// Phases that follow a real server: one that is embedded, and one that somebody else runs.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Postmaster } from '../../lib/index.ts';
import { connectTo } from '../../lib/postgres/connect/connect.ts';
import { processEnvironment, resolveConninfo } from '../../lib/postgres/conninfo/index.ts';
import {
  findServerProcesses,
  readServerPidFile,
  waitForExit,
} from '../../lib/postgres/server/status.ts';
import { isGone } from '../harness/leftovers.ts';
import {
  type PostmasterProgram,
  refusedStart,
  startPostmaster,
  temporaryDirectory,
} from '../harness/postmaster.ts';
import { DEATH_MS } from '../harness/program.ts';

const EMBEDDED = { postgres: { embedded: true } } as const;

const pgdataOf = ({ dataDirectory }: PostmasterProgram) => join(dataDirectory, 'postgres');

/** For another client of the server: a socket, and PostgreSQL's own user. */
function conninfoOf(postmaster: PostmasterProgram, rest = 'user=postgres dbname=postgres'): string {
  const [, , , , socketDirectory] = readFileSync(
    join(pgdataOf(postmaster), 'postmaster.pid'),
    'utf8',
  ).split('\n');
  return `host=${socketDirectory} ${rest}`;
}

function serverOf(postmaster: PostmasterProgram): number {
  const pid = readServerPidFile(pgdataOf(postmaster))?.pid;
  if (pid === undefined) throw new Error(`there is no server\n${postmaster.output}`);
  return pid;
}

const phasesOf = (postmaster: PostmasterProgram) =>
  postmaster.all('phase').map(({ phase }) => phase);

describe('an embedded server', () => {
  test('starts first, stops last, and starts again from its own data', async () => {
    const postmaster = await startPostmaster(EMBEDDED);
    const server = serverOf(postmaster);
    await postmaster.stop();
    expect(phasesOf(postmaster)).toEqual([
      ...['STARTUP', 'RUN', 'STOP_BACKENDS', 'WAIT_BACKENDS', 'WAIT_XLOG_SHUTDOWN', 'NO_CHILDREN'],
    ]);
    expect(isGone(server)).toBe(true);
    const { dataDirectory } = postmaster;
    const log = () => readFileSync(join(dataDirectory, 'postgres.log'), 'utf8');
    expect(log()).toMatch(/database system is shut down\s*$/);
    const again = await startPostmaster({ ...EMBEDDED, dataDirectory });
    await again.stop('immediate');
    expect(log()).not.toMatch(/not properly shut down/);
  });

  test('killed: the phase goes back, and everything is there again', async () => {
    const postmaster = await startPostmaster({
      ...EMBEDDED,
      cast: [
        { name: 'one', main: 'idle' },
        {
          ...{ name: 'two', main: 'connected', restartTime: 3_600 },
          flags: ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'],
        },
      ],
    });
    const worker = (await postmaster.startOf('one')).pid;
    const connected = await postmaster.heard('two', 'connected');
    const first = serverOf(postmaster);
    const after = postmaster.mark();
    process.kill(first, 'SIGKILL');
    await postmaster.until('phase', ({ phase }) => phase === 'STARTUP', { after });
    await postmaster.until('phase', ({ phase }) => phase === 'RUN', { after });
    expect(serverOf(postmaster)).not.toBe(first);
    // A phase gates what may start; it ends nobody. The loss of the server does, who needs it.
    expect(postmaster.pidOf('one')).toBe(worker);
    const again = await postmaster.heard('two', 'connected', { after });
    expect(again.pid).not.toBe(connected.pid);
    await postmaster.stop();
  });

  test('SIGKILL of the postmaster: the server shuts down, and the next start succeeds', async () => {
    const postmaster = await startPostmaster(EMBEDDED);
    const pgdata = pgdataOf(postmaster);
    const server = serverOf(postmaster);
    postmaster.kill('SIGKILL');
    // A process that is about to end has given up its program before it is gone: both are awaited.
    const signal = AbortSignal.timeout(DEATH_MS);
    await waitForExit(server, signal);
    while (findServerProcesses(pgdata).length > 0) await setImmediate(undefined, { signal });
    // In its own directory, and not in /dev/shm, where it would stay for ever.
    expect(readFileSync(join(pgdata, 'postmaster.opts'), 'utf8')).toContain(
      'dynamic_shared_memory_type=mmap',
    );
    const again = await startPostmaster({ ...EMBEDDED, dataDirectory: postmaster.dataDirectory });
    await again.stop();
  });

  test('SIGKILL of the launcher: the server ends with it, and all is back', async () => {
    const postmaster = await startPostmaster({
      ...EMBEDDED,
      cast: [{ name: 'one', main: 'idle' }],
    });
    await postmaster.startOf('one');
    const server = serverOf(postmaster);
    const after = postmaster.mark();
    process.kill(postmaster.launcherPid, 'SIGKILL');
    await postmaster.until('phase', ({ phase }) => phase === 'RUN', { after });
    await postmaster.startOf('one', after);
    expect(isGone(server)).toBe(true);
    await postmaster.stop();
  });

  test('a setting that it refuses: its own words, and nothing is left', async () => {
    const { refusal } = await refusedStart({
      postgres: { embedded: true, settings: { max_connections: 'many' } },
    });
    expect(refusal.code).toBe('ERR_SERVER_FAILED');
    expect(refusal.message).toMatch(/before it was ready.*invalid value for parameter "max_conn/s);
  });

  test('no server where one was named: what was tried', async () => {
    const binDirectory = temporaryDirectory();
    const { refusal } = await refusedStart({ postgres: { embedded: true, binDirectory } });
    expect(refusal.code).toBe('ERR_SERVER_BINARIES');
    expect(refusal.message).toContain(binDirectory);
  });
});

describe('a server that somebody else runs', () => {
  test('is followed: up, lost, back', async () => {
    const host = await startPostmaster(EMBEDDED);
    const postmaster = await startPostmaster({ postgres: { conninfo: conninfoOf(host) } });
    expect(phasesOf(postmaster)).toEqual(['STARTUP', 'RUN']);
    const after = postmaster.mark();
    process.kill(serverOf(host), 'SIGKILL');
    await postmaster.until('phase', ({ phase }) => phase === 'STARTUP', { after });
    await postmaster.until('phase', ({ phase }) => phase === 'RUN', { after });
    await postmaster.stop();
    await host.stop();
  });

  test('that lets nobody in: the start fails at once, in the words of the server', async () => {
    const host = await startPostmaster(EMBEDDED);
    const client = await connectTo(resolveConninfo(conninfoOf(host), processEnvironment()));
    const hba = join(pgdataOf(host), 'pg_hba.conf');
    writeFileSync(hba, `local all secret scram-sha-256\n${readFileSync(hba, 'utf8')}`);
    await client.query("CREATE ROLE secret LOGIN PASSWORD 'right'");
    await client.query('SELECT pg_reload_conf()');
    await client.end();
    const refusals = [
      [
        'user=secret password=wrong dbname=postgres',
        /password authentication failed for user "secret"/,
      ],
      // No SQLSTATE: the client itself has nothing to say when it is asked.
      ['user=secret dbname=postgres passfile=/dev/null', /password/],
      ['user=postgres dbname=nowhere', /database "nowhere" does not exist/],
      ['user=nobody_at_all dbname=postgres', /role "nobody_at_all" does not exist/],
    ] as const;
    for (const [rest, words] of refusals) {
      const { refusal } = await refusedStart({ postgres: { conninfo: conninfoOf(host, rest) } });
      expect(refusal).toMatchObject({ code: 'ERR_SERVER_REFUSED' });
      expect(refusal.message).toMatch(words);
      expect(refusal.message).not.toContain('wrong');
    }
    await host.stop();
  });

  test('that is not there: the start gives up in time, and says where it looked', async () => {
    const directory = temporaryDirectory();
    const { refusal } = await refusedStart({
      postgres: { conninfo: `host=${directory} port=5499` },
      // Long enough for a busy machine to have a launcher before.
      startTimeout: 5,
    });
    expect(refusal.code).toBe('ERR_START_TIMEOUT');
    expect(refusal.message).toContain(`${directory}/.s.PGSQL.5499`);
    expect(refusal.message).toContain('STARTUP');
  });

  test.each([
    ['host', /missing "="/],
    ['hots=/tmp', /did you mean "host"/i],
    ['postgresql://[::1/x', /"\]"|bracket/],
  ])('whose conninfo is %j: refused before anything is started', (conninfo, words) => {
    const dataDirectory = join(temporaryDirectory(), 'data');
    let refusal: unknown;
    try {
      new Postmaster({ dataDirectory, postgres: { conninfo } });
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toMatchObject({ code: 'ERR_CONNINFO', message: expect.stringMatching(words) });
  });
});
