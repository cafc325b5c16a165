// Clients that are served: whatever they do, and whatever their backends do, it is between the two.

import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ListenAddress } from '../../lib/index.ts';
import { TestClient } from '../harness/client.ts';
import { commandOf } from '../harness/leftovers.ts';
import {
  type PostmasterProgram,
  type Setting,
  startPostmaster,
  temporaryDirectory,
} from '../harness/postmaster.ts';

const TCP = [{ host: '127.0.0.1', port: 0 }] as const;

function serve(role: string, setting: Partial<Setting> = {}): Promise<PostmasterProgram> {
  return startPostmaster({ listen: TCP, serving: { role }, ...setting });
}

describe.each(['fork', 'exec'] as const)('%s', (launch) => {
  test('a client and its backend talk, over TCP and through a socket file', async () => {
    const path = join(temporaryDirectory(), 'socket');
    const postmaster = await serve('introduce', { launch, listen: [...TCP, { path }] });
    const addresses = await postmaster.addresses();
    expect(addresses).toEqual([{ host: '127.0.0.1', port: expect.any(Number) }, { path }]);
    const clients = addresses.map((address) => new TestClient(address));
    const seen = await Promise.all(
      clients.map(async (client) => JSON.parse(await client.hears('\n'))),
    );
    const port = clients[0]?.socket.localPort;
    expect(seen[0]).toMatchObject({
      peer: { kind: 'inet', address: '127.0.0.1', port },
      name: 'client backend',
      type: 'client backend',
      title: `backend: 127.0.0.1(${port})`,
    });
    const { pid } = process;
    const [uid, gid] = [process.getuid?.(), process.getgid?.()];
    expect(seen[1]).toMatchObject({
      peer: { kind: 'local', pid, uid, gid },
      title: 'backend: [local]',
    });
    // Their slots come behind the workers'.
    expect(seen.map(({ slot }) => slot).sort()).toEqual([100, 101]);
    // What ps shows, and what the postmaster says.
    expect(commandOf(seen[0].pid)).toBe(`backend: 127.0.0.1(${port})`);
    const backends = await postmaster.backends();
    expect(backends.map((one) => one.pid).sort()).toEqual(seen.map((one) => one.pid).sort());
    expect(backends.find((one) => one.pid === seen[0].pid)).toMatchObject({
      standing: 'running',
      peer: seen[0].peer,
      isReserved: false,
    });
    for (const client of clients) {
      client.say('ping');
      await client.hears('ping');
      expect(await client.leaves()).toMatch(/ping$/);
    }
    const ends = await postmaster.count('disconnect', 2);
    expect(ends.map(({ how, cleanDetach }) => ({ how, cleanDetach }))).toEqual(
      Array(2).fill({ how: 'code 0', cleanDetach: true }),
    );
    expect(await postmaster.backends()).toEqual([]);
    await postmaster.stop();
  });

  test('what a backend wrote is sent to the last byte before it leaves', async () => {
    const postmaster = await serve('farewell', { launch });
    const client = new TestClient(await postmaster.address());
    client.socket.pause();
    // It waits for a client that does not read yet, and has said something that nobody reads.
    client.say('unread\n');
    await postmaster.until('connect');
    client.socket.resume();
    const { text, error } = await client.ended;
    expect(error).toBeNull();
    expect(text.length).toBe(8_000_000);
    expect((await postmaster.until('disconnect')).how).toBe('code 0');
    await postmaster.stop();
  });
});

test('many at once, and each hears its own words only', async () => {
  const count = 60;
  const postmaster = await serve('echo', { maxConnections: count, log: { level: 'info' } });
  const address = await postmaster.address();
  const clients = Array.from({ length: count }, () => new TestClient(address));
  const words = clients.map((_, index) => `${String(index).repeat(20_000)}.`);
  clients.forEach((client, index) => {
    client.say(words[index] ?? '');
  });
  for (const [index, client] of clients.entries()) {
    expect(await client.hears('.')).toBe(words[index]);
  }
  expect(await postmaster.backends()).toHaveLength(count);
  expect(new Set((await postmaster.backends()).map(({ slot }) => slot)).size).toBe(count);
  await Promise.all(clients.map((client) => client.leaves()));
  await postmaster.count('disconnect', count);
  await postmaster.stop();
});

test('a backend has its own randomness, latch and log; the latch is set when the client is gone', async () => {
  const postmaster = await serve('latch');
  const client = new TestClient(await postmaster.address());
  await client.hears('ready');
  client.socket.end();
  await postmaster.heard('backend', 'client is gone');
  expect((await postmaster.until('disconnect')).how).toBe('code 0');
  await postmaster.stop();
});

describe('a backend that fails', () => {
  const cases: [line: string, how: string, log: RegExp | null][] = [
    ['throw', 'code 1', /client backend of 127\.0\.0\.1\(\d+\) failed: told to throw/],
    ['throw later', 'code 1', /client backend of 127\.0\.0\.1\(\d+\) failed: thrown from a timer/],
    ['reject', 'code 1', /client backend of 127\.0\.0\.1\(\d+\) failed: nobody waits for this/],
    ['exit 1', 'code 1', null],
    [
      'exit 7',
      'code 7',
      /client backend of 127\.0\.0\.1\(\d+\) \(PID \d+\) exited with exit code 7/,
    ],
    ['abort', 'SIGKILL', /client backend of .* was terminated by signal SIGKILL/],
  ];

  test.each(cases)('"%s": %s, and nobody else notices', async (line, how, log) => {
    const postmaster = await serve('lines');
    const address = await postmaster.address();
    const other = new TestClient(address).say('hello\n');
    await other.hears('5 hello\n');
    const client = new TestClient(address).say(`${line}\n`);
    expect((await client.ended).text).toMatch(/^(\d+ .*\n)?$/);
    expect((await postmaster.until('disconnect')).how).toBe(how);
    if (log !== null) await postmaster.logged(log);
    other.say('again\n');
    await other.hears('5 again\n');
    const next = new TestClient(address).say('next\nquit\n');
    expect((await next.ended).text).toBe('4 next\n');
    expect(postmaster.all('crash')).toEqual([]);
    await postmaster.stop();
  });

  test('before it reads: logged, the client is let go', async () => {
    const postmaster = await serve('throwAtOnce');
    const client = new TestClient(await postmaster.address()).say('hello?\n');
    await client.ended;
    expect((await postmaster.until('disconnect')).how).toBe('code 1');
    await postmaster.logged(/client backend of .* failed: thrown before anything was read/);
    await postmaster.stop();
  });

  test('that never reads costs nobody anything, however much it is sent', async () => {
    const postmaster = await serve('neverReads');
    const address = await postmaster.address();
    const flood = new TestClient(address);
    await postmaster.heard('backend', 'not reading');
    // Until nothing more goes in: the kernel's buffers are full, and nobody else's.
    let taken = 0;
    while (flood.socket.write(Buffer.alloc(65_536)) || taken < 1_000_000) taken += 65_536;
    const other = new TestClient(address);
    await postmaster.count('connect', 2);
    expect(await postmaster.backends()).toHaveLength(2);
    other.vanishes();
    await postmaster.stop();
    expect(postmaster.all('disconnect').map(({ how }) => how)).toEqual(['code 1', 'code 1']);
  });
});

describe('a client', () => {
  test('that sends garbage is its backend’s affair', async () => {
    const postmaster = await serve('lines');
    const address = await postmaster.address();
    const garbage = new TestClient(address);
    garbage.say(Buffer.from([0, 255, 254, 10, 0, 0, 13, 10, 128, 10]));
    await garbage.hears(/\n.*\n.*\n/s);
    const next = new TestClient(address).say('next\nquit\n');
    expect((await next.ended).text).toBe('4 next\n');
    await garbage.leaves();
    await postmaster.stop();
  });

  test('that is slow is waited for, byte by byte', async () => {
    const postmaster = await serve('lines');
    const client = new TestClient(await postmaster.address());
    client.socket.setNoDelay(true);
    for (const byte of 'slowly\n') {
      client.say(byte);
      await postmaster.backends(); // A turn of its loop, in which nothing happens for this client.
    }
    await client.hears('6 slowly\n');
    client.say('quit\n');
    await client.ended;
    await postmaster.stop();
  });

  test.each([true, false])('that has no more to say: allowHalfOpen %s', async (allowHalfOpen) => {
    const serving = { role: 'lines', options: { allowHalfOpen } };
    const postmaster = await serve('lines', { serving });
    const client = new TestClient(await postmaster.address(), { allowHalfOpen: true });
    client.say('one\ntwo\n');
    client.socket.end();
    await client.ended;
    expect(client.text).toBe('3 one\n3 two\n');
    expect((await postmaster.until('disconnect')).how).toBe('code 0');
    await postmaster.stop();
  });

  test('that is cut off is no failure', async () => {
    const postmaster = await serve('echo');
    const client = new TestClient(await postmaster.address()).say('x');
    await client.hears('x');
    client.vanishes();
    expect((await postmaster.until('disconnect')).how).toBe('code 0');
    await postmaster.logged(/connection to client 127\.0\.0\.1\(\d+\) lost: read ECONNRESET/);
    expect(postmaster.log).not.toMatch(/failed/);
    await postmaster.stop();
  });

  test('that has left before it was accepted leaves nothing', async () => {
    const postmaster = await serve('echo');
    const address = (await postmaster.address()) as Extract<ListenAddress, { port: number }>;
    process.kill(postmaster.pid, 'SIGSTOP');
    const gone = Array.from({ length: 10 }, () => connect(address));
    await Promise.all(
      gone.map(
        (socket, index) =>
          new Promise<void>((resolve) => {
            socket.once('connect', () => {
              socket.once('close', () => resolve());
              if (index % 2 === 0) socket.resetAndDestroy();
              else socket.destroy();
            });
          }),
      ),
    );
    process.kill(postmaster.pid, 'SIGCONT');
    const next = new TestClient(address).say('x');
    await next.hears('x');
    await next.leaves();
    // All the others have come and gone as well.
    await postmaster.until('disconnect', undefined, { after: 0 });
    const { length: count } = postmaster.all('connect');
    const ends = await postmaster.count('disconnect', count);
    expect(ends.map(({ how }) => how)).toEqual(Array(count).fill('code 0'));
    await postmaster.stop();
  });
});
