// The doors: where a postmaster listens, what it does when it cannot, and what is left of them.

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { BackendOptions, ListenAddress } from '../../lib/index.ts';
import { native } from '../../lib/native.ts';
import { TestClient } from '../harness/client.ts';
import { compileProgram } from '../harness/native-library.ts';
import {
  moduleFile,
  type PostmasterProgram,
  refusedStart,
  type Setting,
  startPostmaster,
  temporaryDirectory,
} from '../harness/postmaster.ts';

const TCP = [{ host: '127.0.0.1', port: 0 }] as const;

function serve(
  setting: Partial<Setting> = {},
  options: BackendOptions = {},
  role = 'greet',
): Promise<PostmasterProgram> {
  return startPostmaster({ listen: TCP, serving: { role, options }, ...setting });
}

async function isServed(address: ListenAddress): Promise<void> {
  await new TestClient(address).hears('hello');
}

/** Somebody else's server. */
async function occupy(where: { readonly port: number } | { readonly path: string }) {
  const server = createServer().listen('path' in where ? where : { host: '127.0.0.1', ...where });
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  const address = server.address();
  return { port: typeof address === 'object' ? (address?.port ?? 0) : 0 };
}

const socketPath = () => join(temporaryDirectory(), 'socket');
const refused = (setting: Partial<Setting>) =>
  refusedStart({ listen: TCP, serving: { role: 'greet' }, ...setting });

describe('start() is refused, with the address and the remedy', () => {
  test('another program has the port', async () => {
    const { port } = await occupy({ port: 0 });
    const { refusal, program } = await refused({ listen: [...TCP, { host: '127.0.0.1', port }] });
    expect(refusal.code).toBe('ERR_LISTEN_FAILED');
    expect(refusal.message).toMatch(
      new RegExp(
        `^could not listen on 127\\.0\\.0\\.1:${port}: EADDRINUSE.*stop it, or listen somew`,
      ),
    );
    // Nothing was loaded for it.
    expect(program.all('phase').map(({ phase }) => phase)).not.toContain('STARTUP');
  });

  test('a postmaster has the socket file', async () => {
    const path = socketPath();
    const first = await serve({ listen: [{ path }] });
    const { refusal } = await refused({ listen: [{ path }] });
    expect(refusal.code).toBe('ERR_LOCK_FILE');
    expect(refusal.message).toContain(`lock file "${path}.lock" already exists`);
    expect(refusal.message).toContain(`(PID ${first.pid})`);
    expect(refusal.message).toMatch(/Stop it \(bgworker stop -D .*\), or name another path$/);
    await isServed({ path });
    await first.stop();
  });

  test('another program has the socket file', async () => {
    const path = socketPath();
    await occupy({ path });
    const { refusal } = await refused({ listen: [{ path }] });
    expect(refusal).toMatchObject({
      code: 'ERR_LISTEN_FAILED',
      message: `could not listen on "${path}": another program listens there. Stop it, or name another path`,
    });
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  test('there is something else at the path', async () => {
    const path = socketPath();
    writeFileSync(path, 'precious');
    const { refusal } = await refused({ listen: [{ path }] });
    expect(refusal.message).toMatch(/there is something else than a socket at this path/);
    expect(readFileSync(path, 'utf8')).toBe('precious');
  });

  const bad: [what: string, listen: () => NonNullable<Setting['listen']>, message: RegExp][] = [
    [
      'no such address',
      () => [{ host: '192.0.2.1', port: 0 }],
      /^could not listen on 192\.0\.2\.1:0: EADDRNOTAVAIL.*This machine has no such address/,
    ],
    [
      'no such name',
      () => [{ host: 'no-such-host.invalid', port: 0 }],
      /^could not listen on "no-such-host\.invalid": its name has no address/,
    ],
    [
      'no such directory',
      () => [{ path: join(temporaryDirectory(), 'missing', 'socket') }],
      /^could not listen on ".*\/missing\/socket": ENOENT.*Make its directory first/,
    ],
    [
      'nothing from systemd',
      () => [{ systemd: true }],
      /^could not listen: this process was given no socket by systemd/,
    ],
    [
      'nothing of that name from systemd',
      () => [{ systemd: 'web' }],
      /given no socket named "web" by systemd.*FileDescriptorName=web/,
    ],
  ];
  test.each(bad)('%s', async (_what, listen, message) => {
    const { refusal } = await refused({ listen: listen() });
    expect(refusal.code).toBe('ERR_LISTEN_FAILED');
    expect(refusal.message).toMatch(message);
  });

  test('nobody could serve', async () => {
    const { refusal } = await refusedStart({ listen: TCP, cast: [{ name: 'one', main: 'idle' }] });
    expect(refusal.code).toBe('ERR_INVALID_REGISTRATION');
    expect(refusal.message).toMatch(/no preload module has called server\.registerBackend\(\)/);
  });

  test('what serves is registered badly, or twice', async () => {
    const register = (body: string) => [moduleFile(`export function init(server) { ${body} }`)];
    const { refusal } = await refusedStart({
      listen: TCP,
      preload: register(`server.registerBackend(() => {}, { noDelay: 'yes' });`),
    });
    expect(refusal).toMatchObject({
      code: 'ERR_INVALID_REGISTRATION',
      message: `registerBackend(): noDelay must be true or false, got 'yes'`,
    });
    const twice = await refusedStart({
      listen: TCP,
      preload: register('server.registerBackend(() => {}); server.registerBackend(() => {});'),
    });
    expect(twice.refusal.code).toBe('ERR_PRELOAD_FAILED');
    expect(twice.refusal.message).toMatch(/registerBackend\(\) can be called once/);
  });
});

test('a backend and nowhere to listen: a remark', async () => {
  const postmaster = await startPostmaster({ serving: { role: 'greet' } });
  await postmaster.logged(/WARN .*give the postmaster the option listen/);
  expect(await postmaster.addresses()).toEqual([]);
  await postmaster.stop();
});

describe('a socket file', () => {
  test('has its mode, is named in the lock file, and is gone at the end', async () => {
    const path = socketPath();
    const postmaster = await serve({ listen: [{ path, mode: 0o640 }, ...TCP] });
    expect(lstatSync(path).mode & 0o777).toBe(0o640);
    await isServed({ path });
    const [lockPid] = readFileSync(`${path}.lock`, 'utf8').split('\n');
    expect(lockPid).toBe(String(postmaster.pid));
    const lines = readFileSync(join(postmaster.dataDirectory, 'postmaster.pid'), 'utf8').split(
      '\n',
    );
    const [, inet] = (await postmaster.addresses()) as [unknown, { host: string; port: number }];
    expect(lines.slice(3, 6)).toEqual([String(inet.port), join(path, '..'), '127.0.0.1']);
    await postmaster.stop();
    expect([path, `${path}.lock`].map((one) => existsSync(one))).toEqual([false, false]);
  });

  test('that a killed program has left is replaced', async () => {
    const path = socketPath();
    const killed = await serve({ listen: [{ path }] });
    killed.kill('SIGKILL');
    await killed.exited;
    expect(existsSync(`${path}.lock`)).toBe(true);
    const next = await serve({ listen: [{ path }] });
    await isServed({ path });
    await next.stop();
  });

  test('that somebody has put in its place is not removed', async () => {
    const path = socketPath();
    const postmaster = await serve({ listen: [{ path }] });
    execFileSync('rm', [path]);
    await occupy({ path });
    await postmaster.stop();
    expect(existsSync(path)).toBe(true);
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  test('through a link to its directory is one and the same', async () => {
    const directory = temporaryDirectory();
    mkdirSync(join(directory, 'real'));
    symlinkSync('real', join(directory, 'link'));
    const postmaster = await serve({ listen: [{ path: join(directory, 'real/s') }] });
    const { refusal } = await refused({ listen: [{ path: join(directory, 'link/s') }] });
    expect(refusal.code).toBe('ERR_LOCK_FILE');
    await postmaster.stop();
  });
});

test('all addresses of a name, on one port', async () => {
  const postmaster = await serve({ listen: [{ port: 0 }, { host: '*', port: 0 }] });
  const addresses = (await postmaster.addresses()) as { host: string; port: number }[];
  expect(addresses.map(({ host }) => host)).toContain('127.0.0.1');
  expect(addresses.map(({ host }) => host)).toContain('0.0.0.0');
  const [local] = addresses;
  const all = addresses.find(({ host }) => host === '0.0.0.0');
  for (const { port } of [local, all] as { port: number }[]) {
    await isServed({ host: '127.0.0.1', port });
  }
  const six = addresses.find(({ host }) => host === '::');
  if (six !== undefined) {
    expect(six.port).toBe(all?.port);
    await isServed({ host: '::1', port: six.port });
  }
  await postmaster.stop();
});

test('who connects before anybody can serve waits in the kernel, and is served', async () => {
  const source = `
    import { setTimeout } from 'node:timers/promises';
    export async function init(server) {
      process.stdout.write('{"kind":"say","name":"module","pid":0,"text":"loading"}\\n');
      await setTimeout(200);
      server.registerBackend((connection) => { connection.end('hello\\n'); });
    }`;
  const path = socketPath();
  const starting = startPostmaster({ listen: [{ path }], preload: [moduleFile(source)] });
  while (!existsSync(path)) await new Promise((resolve) => setImmediate(resolve));
  const client = new TestClient({ path });
  expect((await client.ended).text).toBe('hello\n');
  const postmaster = await starting;
  expect(postmaster.all('refuse')).toEqual([]);
  await postmaster.stop();
});

const GETSOCKOPT = `
  #include <netinet/in.h>
  #include <netinet/tcp.h>
  #include <stdio.h>
  #include <sys/socket.h>
  int main(void) {
    const struct { const char* name; int level; int option; } asked[] = {
      {"noDelay", IPPROTO_TCP, TCP_NODELAY}, {"keepAlive", SOL_SOCKET, SO_KEEPALIVE},
      {"idle", IPPROTO_TCP, TCP_KEEPIDLE}, {"interval", IPPROTO_TCP, TCP_KEEPINTVL},
      {"count", IPPROTO_TCP, TCP_KEEPCNT}};
    char separator = '{';
    for (unsigned i = 0; i < sizeof asked / sizeof *asked; ++i) {
      int value = -1;
      socklen_t size = sizeof value;
      getsockopt(3, asked[i].level, asked[i].option, &value, &size);
      printf("%c\\"%s\\":%d", separator, asked[i].name, value);
      separator = ',';
    }
    puts("}");
  }`;

describe('what the kernel is told', () => {
  const system = (name: string) =>
    Number(readFileSync(`/proc/sys/net/ipv4/tcp_keepalive_${name}`, 'utf8'));
  const DEFAULTS = { idle: system('time'), interval: system('intvl'), count: system('probes') };
  const cases: [options: BackendOptions, told: Record<string, number>][] = [
    [{}, { noDelay: 1, keepAlive: 1, ...DEFAULTS }],
    [
      { noDelay: false, keepAlive: false },
      { noDelay: 0, keepAlive: 0, ...DEFAULTS },
    ],
    [
      { keepAlive: { idle: 30, interval: 5, count: 4 } },
      { noDelay: 1, keepAlive: 1, idle: 30, interval: 5, count: 4 },
    ],
    [{ keepAlive: { idle: 40 } }, { noDelay: 1, keepAlive: 1, ...DEFAULTS, idle: 40 }],
  ];

  test.each(cases)('of a connection: %o', async (options, told) => {
    const env = { BGWORKER_TEST_GETSOCKOPT: compileProgram(GETSOCKOPT) };
    const postmaster = await serve({ env, spareBackends: 1 }, options, 'options');
    const address = await postmaster.address();
    // One that was forked for it or was there already, it is the same.
    for (let i = 0; i < 2; i++) {
      expect(JSON.parse((await new TestClient(address).ended).text)).toEqual(told);
    }
    await postmaster.stop();
  });

  test('of the backlog', async () => {
    const postmaster = await serve({
      listen: [...TCP, { host: '127.0.0.1', port: 0, backlog: 7 }],
      maxConnections: 300,
    });
    const ports = (await postmaster.addresses()).map((one) => ('port' in one ? one.port : 0));
    const backlogs = ports.map((port) => {
      const shown = execFileSync('ss', ['-Hltn', `sport = :${port}`], { encoding: 'utf8' });
      return Number(shown.trim().split(/\s+/)[2]);
    });
    expect(backlogs).toEqual([600, 7]);
    await postmaster.stop();
  });
});

test('no descriptor is left to accept with: told once, and tried again until there is one', async () => {
  const postmaster = await serve();
  const address = await postmaster.address();
  const limit = (soft: number | string) =>
    execFileSync('prlimit', ['--pid', String(postmaster.pid), `--nofile=${soft}:`]);
  // What is open stays so, and what is closed meanwhile makes no room.
  limit(3);
  const client = new TestClient(address);
  await postmaster.logged(/ERROR .*could not accept new connections on 127\.0\.0\.1:\d+: EMFILE/);
  limit(4096);
  await client.hears('hello');
  expect(postmaster.log.match(/could not accept new connections/g)).toHaveLength(1);
  await postmaster.stop();
});

test('more clients than the process may have descriptors: the start is refused', async () => {
  const command = 'ulimit -n 1700; exec "$@"';
  const wrapper = { command, descriptors: [] };
  const { refusal, program } = await refused({ maxConnections: 500, wrapper });
  expect(refusal.code).toBe('ERR_INVALID_OPTION');
  expect(refusal.message).toMatch(/maxConnections 500 may take 2056 .* may open 1700: raise its/);
  expect(program.all('phase')).toEqual([]);
});

describe('systemd', () => {
  /** Sockets as systemd opens them, from descriptor 3 on, for the process that has this pid. */
  function activated(descriptors: readonly number[], setting: Partial<Setting>) {
    for (const one of descriptors) onTestFinished(() => closeSync(one));
    const count = descriptors.length;
    const command = `export LISTEN_PID=$$ LISTEN_FDS=${count} LISTEN_FDNAMES=web:admin; exec "$@"`;
    return { ...setting, wrapper: { command, descriptors } };
  }

  const listenInet = () => native.listenInet('127.0.0.1', 0, 16);
  const nameOf = (descriptor: number) => {
    const { kind: _, ...name } = native.listenerName(descriptor);
    return 'port' in name ? { host: name.address, port: name.port } : name;
  };

  test('its sockets are listened on, by name, and stay when the postmaster is gone', async () => {
    const path = socketPath();
    const sockets = [listenInet(), native.listenLocal(path, null, 16)];
    const listen = [{ systemd: 'web' }, { systemd: 'admin', reserved: true }];
    const setting = activated(sockets, { listen, maxConnections: 2, reservedConnections: 1 });
    const postmaster = await serve(setting);
    const addresses = await postmaster.addresses();
    expect(addresses).toEqual(sockets.map(nameOf));
    for (const address of addresses) await isServed(address);
    const reserved = (await postmaster.backends()).map(({ isReserved }) => isReserved);
    expect(reserved.sort()).toEqual([false, true]);
    await postmaster.stop();
    expect(existsSync(path)).toBe(true);
    // Who comes now waits for the next one.
    const client = new TestClient({ path });
    const all = { listen: [{ systemd: true }], reservedConnections: 0 } as const;
    const next = await serve({ ...setting, ...all });
    expect(await next.addresses()).toHaveLength(2);
    await client.hears('hello');
    await next.stop();
  });

  test('what is no listener is refused, with its number', async () => {
    const [one, other] = native.streamPair();
    onTestFinished(() => closeSync(other));
    const setting = activated([listenInet(), one], { listen: [{ systemd: true }] });
    const { refusal } = await refused(setting);
    expect(refusal.code).toBe('ERR_LISTEN_FAILED');
    expect(refusal.message).toMatch(
      /^could not listen on descriptor 4 from systemd: EINVAL.*Accept=no/,
    );
  });
});
