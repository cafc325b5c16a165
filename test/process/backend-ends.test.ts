// How clients fare when things end: each shutdown, a crash, the launcher's death, the postmaster's.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { BackendOptions } from '../../lib/index.ts';
import { TestClient } from '../harness/client.ts';
import { isGone } from '../harness/leftovers.ts';
import {
  type PostmasterProgram,
  type Setting,
  startPostmaster,
  temporaryDirectory,
} from '../harness/postmaster.ts';
import { DEATH_MS } from '../harness/program.ts';

const TCP = [{ host: '127.0.0.1', port: 0 }] as const;
const ATTACHED = { flags: ['SHMEM_ACCESS'] } as const satisfies BackendOptions;

function serve(
  role: string,
  setting: Partial<Setting> = {},
  options: BackendOptions = {},
): Promise<PostmasterProgram> {
  return startPostmaster({ listen: TCP, serving: { role, options }, ...setting });
}

async function clientsOf(postmaster: PostmasterProgram, count: number): Promise<TestClient[]> {
  const address = await postmaster.address();
  const clients = Array.from({ length: count }, () => new TestClient(address).say('x'));
  for (const client of clients) await client.hears(/./s);
  return clients;
}

const howOf = (postmaster: PostmasterProgram) => postmaster.all('disconnect').map(({ how }) => how);

describe('a smart shutdown', () => {
  test('waits for the last client, and workers run until then', async () => {
    const postmaster = await serve('echo', {
      cast: [{ name: 'one', main: 'idle', restartTime: 0 }],
    });
    const [first, second] = await clientsOf(postmaster, 2);
    await postmaster.heard('one', 'idle');
    postmaster.tell({ do: 'stop', mode: 'smart' });
    await postmaster.logged(/received smart shutdown request/);
    await postmaster.logged(/the shutdown begins when the last client has left/);
    await first?.leaves();
    await postmaster.count('disconnect', 1);
    // A worker that fails is started again: a client may need it.
    const after = postmaster.mark();
    process.kill(postmaster.pidOf('one'), 'SIGKILL');
    await postmaster.heard('one', 'idle', { after });
    second?.say('y');
    await second?.hears('xy');
    expect(postmaster.all('stopped')).toEqual([]);
    expect(postmaster.all('phase').at(-1)?.phase).toBe('RUN');
    await second?.leaves();
    expect(await postmaster.until('stopped')).toMatchObject({ mode: 'smart', lockFile: false });
    expect(await postmaster.end()).toEqual({ code: 0, signal: null });
  });

  test('a stronger one does not wait', async () => {
    const postmaster = await serve('echo');
    const [client] = await clientsOf(postmaster, 1);
    postmaster.tell({ do: 'stop', mode: 'smart' });
    await postmaster.logged(/received smart shutdown request/);
    postmaster.tell({ do: 'stop', mode: 'fast' });
    await postmaster.count('stopped', 2);
    await client?.ended;
    expect(howOf(postmaster)).toEqual(['code 1']);
    await postmaster.end();
  });

  test('a crash does not wait', async () => {
    const postmaster = await serve('echo', {
      cast: [{ name: 'victim', main: 'linger', flags: ['SHMEM_ACCESS'] }],
    });
    const [client] = await clientsOf(postmaster, 1);
    await postmaster.heard('victim', 'lingering');
    postmaster.tell({ do: 'stop', mode: 'smart' });
    await postmaster.logged(/received smart shutdown request/);
    process.kill(postmaster.pidOf('victim'), 'SIGKILL');
    await client?.ended;
    expect(await postmaster.end()).toEqual({ code: 1, signal: null });
  });
});

describe('a fast shutdown', () => {
  test('ends every client’s backend; one that takes SIGTERM may say goodbye', async () => {
    const postmaster = await serve('obey');
    const clients = await clientsOf(postmaster, 3);
    postmaster.tell({ do: 'stop', mode: 'fast' });
    for (const client of clients) {
      expect(await client.ended).toEqual({ text: 'ready\ngoodbye\n', error: null });
    }
    expect(await postmaster.end()).toEqual({ code: 0, signal: null });
    expect(howOf(postmaster)).toEqual(Array(3).fill('code 0'));
  });

  test('by default the client is let go with a line in the log', async () => {
    const postmaster = await serve('echo', {}, ATTACHED);
    const [client] = await clientsOf(postmaster, 1);
    await postmaster.stop('fast');
    await client?.ended;
    expect(howOf(postmaster)).toEqual(['code 1']);
    expect(postmaster.log).toMatch(/terminating connection due to administrator command/);
    expect(postmaster.all('crash')).toEqual([]);
  });

  test('is not held up by one that takes no notice', async () => {
    const postmaster = await serve('ignoreSigterm', { shutdownTimeout: 1 });
    const [client] = await clientsOf(postmaster, 1);
    await postmaster.stop('fast');
    await client?.ended;
    await postmaster.heard('backend', 'SIGTERM');
    expect(howOf(postmaster)).toEqual(['code 2']);
  });
});

test('an immediate shutdown ends every client’s backend without a word', async () => {
  const postmaster = await serve('obey');
  const clients = await clientsOf(postmaster, 3);
  await postmaster.stop('immediate');
  for (const client of clients) expect((await client.ended).text).toBe('ready\n');
  expect(howOf(postmaster)).toEqual(Array(3).fill('code 2'));
});

test('SIGTERM to a backend is its client’s affair alone', async () => {
  const postmaster = await serve('echo');
  const [one, other] = await clientsOf(postmaster, 2);
  const [first] = postmaster.all('connect');
  process.kill(first?.pid ?? 0, 'SIGTERM');
  await postmaster.until('disconnect');
  expect(howOf(postmaster)).toEqual(['code 1']);
  const left = (await postmaster.backends()).map(({ pid }) => pid);
  expect(left).toHaveLength(1);
  const survivors = [one, other].filter((client) => client?.socket.destroyed === false);
  expect(survivors).not.toHaveLength(0);
  await postmaster.stop();
});

describe('a crash', () => {
  test('of one attached backend takes all of them down, memory is new, and it goes on', async () => {
    const postmaster = await serve(
      'count',
      {
        cast: [
          { name: 'attached', main: 'linger', flags: ['SHMEM_ACCESS'] },
          { name: 'alone', main: 'idle' },
        ],
      },
      ATTACHED,
    );
    const clients = await clientsOf(postmaster, 3);
    await postmaster.heard('attached', 'lingering');
    await postmaster.heard('alone', 'idle');
    const alone = postmaster.pidOf('alone');
    const slots = clients.map(({ text }) => text.split(' ')[1]?.trim()).sort();
    expect(slots).toEqual(['100', '101', '102']);
    const after = postmaster.mark();
    clients[1]?.say('\nabort\n');
    await Promise.all(clients.map((client) => client.ended));
    await postmaster.until('crash', undefined, { after });
    await postmaster.logged(/client backend of .* was terminated by signal SIGKILL/);
    await postmaster.until('phase', ({ phase }) => phase === 'RUN', { after });
    expect(howOf(postmaster).sort()).toEqual(['SIGKILL', 'code 2', 'code 2']);
    // Nothing is left of what was counted.
    const [next] = await clientsOf(postmaster, 1);
    expect(next?.text).toBe('0 100\n');
    await postmaster.heard('attached', 'lingering', { after });
    expect(postmaster.pidOf('alone')).toBe(alone);
    await postmaster.stop();
  });

  test('of an attached worker takes attached backends down, too', async () => {
    const postmaster = await serve(
      'count',
      { cast: [{ name: 'victim', main: 'linger', flags: ['SHMEM_ACCESS'] }] },
      ATTACHED,
    );
    const [client] = await clientsOf(postmaster, 1);
    await postmaster.heard('victim', 'lingering');
    process.kill(postmaster.pidOf('victim'), 'SIGKILL');
    await client?.ended;
    expect((await postmaster.until('disconnect')).how).toBe('code 2');
    await postmaster.stop();
  });

  test('leaves a backend alone that has no part in shared memory', async () => {
    const postmaster = await serve('echo', {
      cast: [{ name: 'victim', main: 'linger', flags: ['SHMEM_ACCESS'] }],
    });
    const [client] = await clientsOf(postmaster, 1);
    await postmaster.heard('victim', 'lingering');
    const after = postmaster.mark();
    process.kill(postmaster.pidOf('victim'), 'SIGKILL');
    await postmaster.heard('victim', 'lingering', { after });
    client?.say('y');
    await client?.hears('xy');
    expect(postmaster.all('disconnect')).toEqual([]);
    await postmaster.stop();
  });
});

test('the launcher dies: its backends with it; then clients are served again', async () => {
  const postmaster = await serve('echo', { spareBackends: 1 });
  const clients = await clientsOf(postmaster, 2);
  const after = postmaster.mark();
  process.kill(postmaster.launcherPid, 'SIGKILL');
  await Promise.all(clients.map((client) => client.ended));
  await postmaster.until('phase', ({ phase }) => phase === 'RUN', { after });
  expect(howOf(postmaster)).toEqual(['lost', 'lost']);
  await clientsOf(postmaster, 1);
  await postmaster.stop();
});

test('the postmaster dies: nothing is left, the client sees the end, and the next start succeeds', async () => {
  const path = join(temporaryDirectory(), 'socket');
  const listen = [{ path }];
  const postmaster = await serve('echo', { listen, spareBackends: 2 });
  const [client] = await clientsOf(postmaster, 1);
  const pids = (await postmaster.backends()).map(({ pid }) => pid ?? 0);
  postmaster.kill('SIGKILL');
  await postmaster.empty({ withinMs: DEATH_MS });
  await client?.ended;
  expect(pids.every((pid) => isGone(pid))).toBe(true);
  // A killed one cannot remove its socket file; the next one replaces it.
  expect(existsSync(path)).toBe(true);
  const { dataDirectory } = postmaster;
  const next = await serve('echo', { listen, dataDirectory });
  await clientsOf(next, 1);
  await next.stop();
  expect(existsSync(path)).toBe(false);
  expect(existsSync(`${path}.lock`)).toBe(false);
});
