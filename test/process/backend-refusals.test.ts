// Clients that are not served: each is told why, in the words that the module chose, also if it has
// already said something; and it costs the postmaster no process.

import { execFileSync } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BackendOptions, ListenAddress, Refusal } from '../../lib/index.ts';
import { FakeServer } from '../fixtures/libpq/fake-server.ts';
import { TestClient } from '../harness/client.ts';
import { descriptorsOf } from '../harness/leftovers.ts';
import {
  moduleFile,
  PostmasterProgram,
  type Setting,
  startPostmaster,
  temporaryDirectory,
} from '../harness/postmaster.ts';

const TCP = [{ host: '127.0.0.1', port: 0 }] as const;

const WORDS: Readonly<Record<Refusal, string>> = {
  startingUp: 'HTTP/1.1 503 starting up\r\n\r\n',
  inRecovery: 'HTTP/1.1 503 in recovery\r\n\r\n',
  shuttingDown: 'HTTP/1.1 503 shutting down\r\n\r\n',
  tooMany: 'HTTP/1.1 503 too many\r\n\r\n',
  cannotFork: 'HTTP/1.1 503 no process\r\n\r\n',
};

function setting(role: string, changes: Partial<Setting> = {}, options: BackendOptions = {}) {
  const serving = { role, options: { refusals: WORDS, ...options } };
  return { listen: TCP, serving, ...changes };
}

/** What a client hears that has already sent something; it must not be a reset. */
async function turnedAway(address: ListenAddress): Promise<string> {
  const client = new TestClient(address).say('GET / HTTP/1.1\r\n\r\n');
  const { text, error } = await client.ended;
  expect(error).toBeNull();
  return text;
}

async function refusals(postmaster: PostmasterProgram, count: number): Promise<Refusal[]> {
  return (await postmaster.count('refuse', count)).map(({ reason }) => reason);
}

/** What it listens on before start() has resolved. */
async function addressOf(postmaster: PostmasterProgram): Promise<ListenAddress> {
  await postmaster.until('phase', ({ phase }) => phase === 'STARTUP');
  return postmaster.address();
}

test('tooMany: maxConnections are served, and a place that is free again is given', async () => {
  const postmaster = await startPostmaster(setting('echo', { maxConnections: 2 }));
  const address = await postmaster.address();
  const served = [0, 1].map(() => new TestClient(address).say('x'));
  for (const client of served) await client.hears('x');
  expect(await turnedAway(address)).toBe(WORDS.tooMany);
  expect(await turnedAway(address)).toBe(WORDS.tooMany);
  expect(await refusals(postmaster, 2)).toEqual(['tooMany', 'tooMany']);
  // Told once, and not for each.
  await postmaster.logged(
    /INFO .*connection refused: .*too many clients already; consider raising/,
  );
  expect(postmaster.log.match(/INFO .*connection refused/g)).toHaveLength(1);
  await served[0]?.leaves();
  await postmaster.until('disconnect');
  const next = new TestClient(address).say('y');
  await next.hears('y');
  expect(postmaster.all('connect')).toHaveLength(3);
  await postmaster.stop();
});

test('the last places are for the reserved listener', async () => {
  const path = join(temporaryDirectory(), 'admin');
  const postmaster = await startPostmaster(
    setting('echo', {
      listen: [...TCP, { path, reserved: true }],
      maxConnections: 3,
      reservedConnections: 1,
    }),
  );
  const address = await postmaster.address();
  for (const _ of [0, 1]) await new TestClient(address).say('x').hears('x');
  expect(await turnedAway(address)).toBe(WORDS.tooMany);
  const administrator = new TestClient({ path }).say('x');
  await administrator.hears('x');
  expect((await postmaster.backends()).map(({ isReserved }) => isReserved).sort()).toEqual([
    false,
    false,
    true,
  ]);
  expect(await turnedAway({ path })).toBe(WORDS.tooMany);
  await postmaster.stop();
});

describe('by phase', () => {
  test('startingUp: the database is not reachable', async () => {
    const directory = temporaryDirectory();
    const conninfo = `host=${directory} port=1 user=me dbname=app`;
    const postmaster = new PostmasterProgram(setting('echo', { postgres: { conninfo } }));
    expect(await turnedAway(await addressOf(postmaster))).toBe(WORDS.startingUp);
    postmaster.tell({ do: 'stop', mode: 'fast' });
    await postmaster.end();
  });

  test('inRecovery: the database does not accept connections yet', async () => {
    await using server = await FakeServer.start({
      onStartup: { kind: 'error', code: '57P03', message: 'the database system is starting up' },
    });
    const conninfo = `host=127.0.0.1 port=${server.port} user=me dbname=app`;
    const postmaster = new PostmasterProgram(setting('echo', { postgres: { conninfo } }));
    await postmaster.until('phase', ({ phase }) => phase === 'RECOVERY');
    expect(await turnedAway(await postmaster.address())).toBe(WORDS.inRecovery);
    postmaster.tell({ do: 'stop', mode: 'fast' });
    await postmaster.end();
  });

  test.each([true, false])('a hot standby: allowInHotStandby %s', async (allowInHotStandby) => {
    await using server = await FakeServer.start({ inRecovery: true });
    const conninfo = `host=127.0.0.1 port=${server.port} user=me dbname=app`;
    const postmaster = await startPostmaster(
      setting('echo', { postgres: { conninfo } }, { allowInHotStandby }),
    );
    const address = await postmaster.address();
    expect(postmaster.all('phase').at(-1)?.phase).toBe('HOT_STANDBY');
    if (allowInHotStandby) await new TestClient(address).say('x').hears('x');
    else expect(await turnedAway(address)).toBe(WORDS.inRecovery);
    await postmaster.stop();
  });

  test('inRecovery: a crash cycle', async () => {
    const flags = ['SHMEM_ACCESS'] as const;
    const postmaster = await startPostmaster(
      setting('echo', {
        cast: [
          { name: 'victim', main: 'linger', flags },
          { name: 'stopped', main: 'linger', flags },
        ],
      }),
    );
    const address = await postmaster.address();
    const served = new TestClient(address).say('x');
    await served.hears('x');
    for (const name of ['victim', 'stopped']) await postmaster.heard(name, 'lingering');
    process.kill(postmaster.pidOf('stopped'), 'SIGSTOP'); // It holds the cycle up, for 5 seconds.
    process.kill(postmaster.pidOf('victim'), 'SIGKILL');
    await postmaster.until('phase', ({ phase }) => phase === 'WAIT_BACKENDS');
    expect(await turnedAway(address)).toBe(WORDS.inRecovery);
    await postmaster.until('phase', ({ phase }) => phase === 'RUN', { after: postmaster.mark() });
    await new TestClient(address).say('x').hears('x');
    // Who has no part in shared memory has none in the cycle.
    served.say('y');
    await served.hears('xy');
    await postmaster.stop();
  });

  test.each(['fast', 'immediate'] as const)('shuttingDown: a %s shutdown', async (mode) => {
    const postmaster = await startPostmaster(
      setting('ignoreSigterm', { cast: [{ name: 'stopped', main: 'linger' }] }),
    );
    const address = await postmaster.address();
    await postmaster.heard('stopped', 'lingering');
    process.kill(postmaster.pidOf('stopped'), 'SIGSTOP');
    postmaster.tell({ do: 'stop', mode });
    await postmaster.until('phase', ({ phase }) => phase === 'WAIT_BACKENDS');
    expect(await turnedAway(address)).toBe(WORDS.shuttingDown);
    process.kill(postmaster.pidOf('stopped'), 'SIGKILL');
    expect(await postmaster.end()).toEqual({ code: 0, signal: null });
  });

  test('shuttingDown: a smart shutdown that waits for its last client', async () => {
    const postmaster = await startPostmaster(setting('echo'));
    const address = await postmaster.address();
    const served = new TestClient(address).say('x');
    await served.hears('x');
    postmaster.tell({ do: 'stop', mode: 'smart' });
    await postmaster.logged(/smart shutdown: no new connections/);
    expect(await turnedAway(address)).toBe(WORDS.shuttingDown);
    await served.leaves();
    expect(await postmaster.end()).toEqual({ code: 0, signal: null });
  });
});

test('cannotFork: the launcher has no descriptor left for the connection', async () => {
  const postmaster = await startPostmaster(setting('echo'));
  const address = await postmaster.address();
  const { launcherPid } = postmaster;
  const [before = ''] = /\d+/.exec(limit(launcherPid)) ?? [];
  limit(launcherPid, '16');
  expect(await turnedAway(address)).toBe(WORDS.cannotFork);
  await postmaster.logged(
    /could not start a process for connection 127\..*: (recvmsg|pidfd_open): EMFILE/,
  );
  limit(launcherPid, before);
  const next = new TestClient(address).say('x');
  await next.hears('x');
  await postmaster.stop();
});

/** RLIMIT_NOFILE of a process. */
function limit(pid: number, soft?: string): string {
  const args =
    soft === undefined ? ['--nofile', '-o', 'SOFT', '--noheadings'] : [`--nofile=${soft}:`];
  return execFileSync('prlimit', ['--pid', String(pid), ...args], { encoding: 'utf8' });
}

test('the words may be any bytes, and the default is a line', async () => {
  const source = `
    export function init(server) {
      server.registerBackend(() => {}, {
        refusals: { tooMany: new Uint8Array([0, 255, 10]), shuttingDown: '' },
      });
    }`;
  const postmaster = await startPostmaster({
    listen: TCP,
    preload: [moduleFile(source)],
    maxConnections: 1,
  });
  const address = await postmaster.address();
  const served = new TestClient(address);
  await postmaster.until('connect');
  expect(await turnedAway(address)).toBe('\x00\xff\n');
  postmaster.tell({ do: 'stop', mode: 'smart' });
  await postmaster.logged(/smart shutdown: no new/);
  expect(await turnedAway(address)).toBe('');
  served.vanishes();
  await postmaster.end();
});

test('clients that are refused and never leave cost a bounded number of descriptors, for a moment', async () => {
  const postmaster = await startPostmaster(
    setting('echo', { maxConnections: 1, log: { level: 'info' } }),
  );
  const address = (await postmaster.address()) as Extract<ListenAddress, { port: number }>;
  const served = new TestClient(address).say('x');
  await served.hears('x');
  const before = descriptorsOf(postmaster.pid).length;
  const stubborn: Socket[] = [];
  for (let i = 0; i < 300; i++) {
    const socket = connect({ ...address, allowHalfOpen: true });
    socket.on('error', () => {});
    stubborn.push(socket);
  }
  await postmaster.count('refuse', 300);
  expect(descriptorsOf(postmaster.pid).length - before).toBeLessThanOrEqual(101);
  // It drops them by itself, though they stay.
  const last = stubborn.at(-1);
  await new Promise((resolve) => last?.resume().once('end', resolve));
  await until(() => descriptorsOf(postmaster.pid).length === before);
  for (const socket of stubborn) socket.destroy();
  served.say('y');
  await served.hears('xy');
  await postmaster.stop();
});

/** The postmaster's own clock decides when, and nothing tells of it. */
async function until(isTrue: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!isTrue()) {
    if (performance.now() > deadline) throw new Error('it never came');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
