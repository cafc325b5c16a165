// The two examples of servers, as a user starts them: what they answer, how they end, what is left.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { Agent, get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFailed, onTestFinished, test, vi } from 'vitest';
import { TestClient } from '../harness/client.ts';
import { MARK, marked } from '../harness/leftovers.ts';

vi.setConfig({ testTimeout: 60_000 });

interface Example {
  readonly child: ChildProcess;
  readonly port: number;
  /** Its socket file, if it has one. */
  readonly path: string;
  said(): string;
  /** SIGINT, and its end: nothing is left. */
  end(signal?: NodeJS.Signals): Promise<void>;
}

async function start(name: string): Promise<Example> {
  const temporary = realpathSync(mkdtempSync(join(tmpdir(), 'bgworker-example-')));
  onTestFinished(() => rmSync(temporary, { recursive: true, force: true }));
  const program = new URL(`../../dist-programs/examples/${name}/start.js`, import.meta.url);
  const id = randomUUID();
  const child = spawn(process.execPath, [fileURLToPath(program), '--port', '0'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: temporary, [MARK]: id },
  });
  let said = '';
  const listening = new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data) => {
        said += data;
        if (/listening on .*\d\n/.test(said)) resolve();
      });
    }
    child.once('exit', () => reject(new Error(said)));
  });
  onTestFailed(() => console.error(said));
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  await listening;
  const exited = once(child, 'exit');
  return {
    child,
    port: Number(/listening on \S+ (\d+)/.exec(said)?.[1]),
    path: /listening on (\/\S+)/.exec(said)?.[1] ?? '',
    said: () => said,
    end: async (signal = 'SIGINT') => {
      child.kill(signal);
      expect(await exited).toEqual([0, null]);
      expect(marked(id)).toEqual([]);
      expect(readdirSync(temporary)).toEqual([]);
    },
  };
}

describe('counter-server', () => {
  test('counts for everybody, says what it does not understand, and says goodbye', async () => {
    const server = await start('counter-server');
    const one = new TestClient({ host: '127.0.0.1', port: server.port });
    const other = new TestClient({ path: server.path });
    one.say('incr apples\nincr apples 41\n');
    await one.hears('1\n42\n');
    other.say('get apples\nincr pears -3\nlist\n');
    await other.hears('42\n-3\napples=42 pears=-3\n');
    one.say('stats\n');
    await one.hears(/clients=2 commands=6\n$/);
    for (const line of [
      'incr',
      'incr a b',
      'get',
      'incr a 1 2',
      'fly',
      '',
      `get ${'x'.repeat(65)}`,
    ]) {
      const before = one.text.length;
      one.say(`${line}\n`);
      await one.hears(new RegExp(`^[^]{${before}}error: [^\\n]+\\n$`));
    }
    other.say('quit\n');
    expect((await other.ended).error).toBeNull();
    // A line without an end is not kept for ever.
    const endless = new TestClient({ path: server.path }).say('x'.repeat(100_000));
    await endless.ended;
    await server.end();
    expect((await one.ended).text).toMatch(/error: shutting down\n$/);
  });

  test('SIGTERM waits for the last client', async () => {
    const server = await start('counter-server');
    const client = new TestClient({ host: '127.0.0.1', port: server.port }).say('incr a\n');
    await client.hears('1\n');
    server.child.kill('SIGTERM');
    await vi.waitFor(() => expect(server.said()).toMatch(/smart shutdown: no new connections/));
    const late = new TestClient({ host: '127.0.0.1', port: server.port });
    expect((await late.ended).text).toBe('error: shutting down\n');
    client.say('incr a\n');
    await client.hears('1\n2\n');
    client.say('quit\n');
    await client.ended;
    await server.end('SIGTERM');
  });
});

describe('http-server', () => {
  const fetch = (port: number, path: string, agent?: Agent) =>
    new Promise<{ status: number; body: string; headers: IncomingMessage['headers'] }>(
      (resolve, reject) => {
        get({ host: '127.0.0.1', port, path, agent: agent ?? false }, async (response) => {
          const { statusCode: status = 0, headers } = response;
          resolve({ status, headers, body: await text(response) });
        }).on('error', reject);
      },
    );

  test('answers, several requests on one connection; a crash is that connection’s', async () => {
    const server = await start('http-server');
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const first = await fetch(server.port, '/', agent);
    expect(first).toMatchObject({
      status: 200,
      body: expect.stringMatching(/^served by process \d+\n$/),
    });
    expect((await fetch(server.port, '/', agent)).body).toBe(first.body);
    expect((await fetch(server.port, '/')).body).not.toBe(first.body);
    expect((await fetch(server.port, '/no/such')).status).toBe(404);
    for (const path of ['/crash', '/throw']) {
      await expect(fetch(server.port, path)).rejects.toMatchObject({ code: 'ECONNRESET' });
    }
    expect((await fetch(server.port, '/', agent)).body).toBe(first.body);
    expect(server.said()).toMatch(/client backend of .* was terminated by signal SIGABRT/);
    expect(server.said()).toMatch(/client backend of .* failed: a request that fails/);
    // An idle connection is closed, and a request that is under way is answered.
    const slow = fetch(server.port, '/slow');
    await vi.waitFor(() => expect(server.said()).not.toBe(''));
    const idle = new TestClient({ host: '127.0.0.1', port: server.port });
    idle.say('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await idle.hears('served by');
    await server.end();
    expect(await slow).toMatchObject({ status: 200, body: 'at last\n' });
    await idle.ended;
    agent.destroy();
  });
});
