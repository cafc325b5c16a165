// connectTo() against servers of our own making: which hosts it asks, what it sends, what it says.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { BgworkerError } from '../../lib/errors.ts';
import { type ConnectOptions, connectTo } from '../../lib/postgres/connect/connect.ts';
import {
  type ConninfoEnvironment,
  processEnvironment,
  resolveConninfo,
} from '../../lib/postgres/conninfo/index.ts';
import { type Behaviour, FakeServer } from '../fixtures/libpq/fake-server.ts';

const ROOTS = fileURLToPath(new URL('../fixtures/libpq/tls/root.crt', import.meta.url));
const BASE = "user=me dbname='app' sslmode=disable";

/** No variables, no home: nothing of the machine that runs the test. */
const environment: ConninfoEnvironment = {
  ...processEnvironment({}),
  homeDirectory: null,
  userName: 'nobody',
};

const servers: FakeServer[] = [];
async function serve(behaviour: Behaviour = {}, path?: string): Promise<FakeServer> {
  const server = await FakeServer.start(behaviour, path);
  servers.push(server);
  return server;
}
afterEach(async () => {
  vi.unstubAllEnvs();
  const all = servers.splice(0);
  try {
    // No test may leave a socket of ours behind.
    for (const server of all) await server.deserted();
  } finally {
    for (const server of all) await server[Symbol.asyncDispose]();
  }
});

function connect(conninfo: string, options: ConnectOptions = {}) {
  return connectTo(resolveConninfo(conninfo, environment), { environment, ...options });
}

async function connectAndEnd(conninfo: string, options: ConnectOptions = {}): Promise<void> {
  const client = await connect(conninfo, options);
  await client.end();
}

async function failure(conninfo: string, options: ConnectOptions = {}): Promise<BgworkerError> {
  const error = await connect(conninfo, options).then(
    () => new Error('it connected'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BgworkerError)) throw error;
  return error;
}

function at(...list: readonly { port: number }[]): string {
  const hosts = list.map(() => '127.0.0.1').join(',');
  return `${BASE} host=${hosts} port=${list.map(({ port }) => port).join(',')}`;
}

/** A port that nothing listens on: it was free a moment ago. */
async function closedPort(): Promise<{ port: number }> {
  const server = await FakeServer.start();
  const { port } = server;
  await server[Symbol.asyncDispose]();
  return { port };
}

describe('what it sends', () => {
  test('is what the target says, and nothing from PG* variables or pg.defaults', async () => {
    for (const name of ['OPTIONS', 'APPNAME', 'USER', 'DATABASE', 'PASSWORD', 'REPLICATION']) {
      vi.stubEnv(`PG${name}`, 'from-the-environment');
    }
    vi.stubEnv('PGSSLMODE', 'require');
    vi.stubEnv('PGSSLNEGOTIATION', 'nonsense');
    vi.stubEnv('PGPORT', '1');
    vi.stubEnv('PGHOST', '/nowhere');
    const server = await serve();
    await connectAndEnd(at(server));
    expect(server.seen).toEqual([
      {
        parameters: { user: 'me', database: 'app', client_encoding: 'UTF8' },
        tls: false,
        serverName: null,
      },
    ]);
  });

  test('includes options, replication and the application name', async () => {
    const server = await serve();
    const conninfo = `${at(server)} options='-c geqo=off' replication=database`;
    await connectAndEnd(`${conninfo} fallback_application_name=f`);
    await connectAndEnd(`${conninfo} application_name=mine`, { fallbackApplicationName: 'x' });
    await connectAndEnd(`${conninfo} application_name=mine`, { applicationName: 'worker' });
    await connectAndEnd(conninfo, { fallbackApplicationName: 'worker' });
    expect(server.seen.map(({ parameters }) => parameters.application_name)).toEqual([
      'f',
      'mine',
      'worker',
      'worker',
    ]);
    expect(server.seen[0]?.parameters).toMatchObject({
      options: '-c geqo=off',
      replication: 'database',
    });
  });

  test('reaches a Unix socket, and never asks for TLS there', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'bgworker-socket-'));
    try {
      const server = await serve({}, join(directory, '.s.PGSQL.6543'));
      await connectAndEnd(`user=me host=${directory} port=6543 sslmode=require`);
      expect(server.seen).toMatchObject([{ tls: false }]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('connects to hostaddr without looking up host', async () => {
    const server = await serve();
    await connectAndEnd(`${BASE} host=no.such.host.invalid hostaddr=127.0.0.1 port=${server.port}`);
    expect(server.connections).toBe(1);
  });

  test('answers with the password of the host, and says so if there is none', async () => {
    const server = await serve({ onStartup: { kind: 'password', expected: 'right' } });
    await connectAndEnd(`${at(server)} password=right`);
    expect(await failure(`${at(server)} password=wrong`)).toMatchObject({
      code: 'ERR_SERVER_REFUSED',
      cause: { code: '28P01' },
      message: expect.not.stringContaining('wrong'),
    });
    vi.stubEnv('PGPASSWORD', 'right');
    const error = await failure(at(server));
    expect(error.code).toBe('ERR_SERVER_REFUSED');
    expect(error.message).toContain('asks for a password');
    expect(server.passwords).toEqual(['right', 'wrong']);
  });

  test('leaves a client without listeners of ours', async () => {
    const server = await serve();
    const client = await connect(at(server));
    expect(client.listenerCount('error')).toBe(0);
    await client.end();
  });
});

describe('which server it takes', () => {
  const primary: Behaviour = {};
  const standby: Behaviour = { inRecovery: true };
  const frozen: Behaviour = { readOnly: true };
  const table: [string, Behaviour[], number | 'none'][] = [
    ['any', [standby, primary], 0],
    ['read-write', [standby, frozen, primary], 2],
    ['read-write', [standby, frozen], 'none'],
    ['read-only', [primary, frozen], 1],
    ['read-only', [primary, standby], 1],
    ['primary', [standby, frozen], 1],
    ['primary', [standby], 'none'],
    ['standby', [primary, frozen, standby], 2],
    ['standby', [primary], 'none'],
    ['prefer-standby', [primary, standby], 1],
    ['prefer-standby', [primary, frozen], 0],
  ];
  test.each(table)('%s of %j: number %s', async (attrs, behaviours, expected) => {
    const list = await Promise.all(behaviours.map((behaviour) => serve(behaviour)));
    const conninfo = `${at(...list)} target_session_attrs=${attrs}`;
    if (expected === 'none') {
      expect(await failure(conninfo)).toMatchObject({ code: 'ERR_SERVER_REFUSED' });
    } else {
      const client = await connect(conninfo);
      expect(client.port).toBe(list[expected]?.port);
      await client.end();
    }
  });

  const refusals: [string, Behaviour['onStartup'], 'next' | 'stop'][] = [
    ['wrong password', { kind: 'error', code: '28P01', message: 'no' }, 'stop'],
    ['no such database', { kind: 'error', code: '3D000', message: 'no' }, 'stop'],
    ['too many clients', { kind: 'error', code: '53300', message: 'no' }, 'stop'],
    ['starting up', { kind: 'error', code: '57P03', message: 'no' }, 'next'],
    ['a closed connection', { kind: 'hang up' }, 'next'],
    ['silence', { kind: 'silence' }, 'next'],
  ];
  test.each(refusals)('after %s: %j: %s', async (_name, onStartup, then) => {
    const first = await serve(onStartup === undefined ? {} : { onStartup });
    const second = await serve();
    const conninfo = `${at(first, second)} connect_timeout=1`;
    if (then === 'next') await connectAndEnd(conninfo);
    else expect(await failure(conninfo)).toMatchObject({ code: 'ERR_SERVER_REFUSED' });
    expect(second.connections).toBe(then === 'next' ? 1 : 0);
  });

  test('load_balance_hosts=random asks any of them first', async () => {
    const [first, second] = [await serve(), await serve()];
    const conninfo = `${at(first, second)} load_balance_hosts=random`;
    // The chance that a fair coin shows one side only, 64 times, is nil.
    for (let times = 0; times < 64; times++) await connectAndEnd(conninfo);
    expect(first.connections).toBeGreaterThan(0);
    expect(second.connections).toBeGreaterThan(0);
  });
});

describe('what it says', () => {
  test('names each host and what became of it; unreachable if none answered', async () => {
    const [one, two] = [await closedPort(), await closedPort()];
    const error = await failure(at(one, two));
    expect(error).toMatchObject({
      code: 'ERR_SERVER_UNREACHABLE',
      cause: { code: 'ECONNREFUSED', port: one.port },
    });
    expect(error.message).toContain('database "app" as user "me"');
    expect(error.message).toContain(`127.0.0.1:${one.port}: connect ECONNREFUSED`);
    expect(error.message).toContain(`127.0.0.1:${two.port}: connect ECONNREFUSED`);
  });

  test('refused if one answered, and the cause is what that one said', async () => {
    const [one, two] = [
      await closedPort(),
      await serve({ onStartup: { kind: 'error', code: '3D000', message: 'no such database' } }),
    ];
    const error = await failure(at(one, two));
    expect(error).toMatchObject({ code: 'ERR_SERVER_REFUSED', cause: { code: '3D000' } });
    expect(error.message).toContain(`127.0.0.1:${one.port}: connect ECONNREFUSED`);
    expect(error.message).toContain(`127.0.0.1:${two.port}: no such database`);
  });

  test('a missing socket and a name that does not exist are unreachable', async () => {
    const error = await failure(`${BASE} host=/nowhere,no.such.host.invalid`);
    expect(error).toMatchObject({ code: 'ERR_SERVER_UNREACHABLE', cause: { code: 'ENOENT' } });
    expect(error.message).toContain('/nowhere/.s.PGSQL.5432: connect ENOENT');
    expect(error.message).toMatch(/no\.such\.host\.invalid:5432: getaddrinfo/);
    // A machine without a network may take its time to find that out.
  }, 30_000);

  test('connect_timeout ends a server that says nothing', async () => {
    const silent = await serve({ onStartup: { kind: 'silence' } });
    const error = await failure(`${at(silent)} connect_timeout=1`);
    expect(error.code).toBe('ERR_SERVER_UNREACHABLE');
    expect(error.message).toContain('no connection within connect_timeout (1 s)');
  });

  test.each([
    ['require_auth=scram-sha-256', 'require_auth'],
    ['gssencmode=require', 'gssencmode'],
    ['channel_binding=require', 'channel_binding'],
    ['requirepeer=postgres', 'requirepeer'],
    ['min_protocol_version=3.2', 'min_protocol_version'],
    ['host=@abstract', 'abstract'],
  ])('refuses %s rather than pretend', async (extra, word) => {
    const server = await serve();
    const error = await failure(`${at(server)} ${extra} port=5432`);
    expect(error.code).toBe('ERR_CONNINFO');
    expect(error.message).toContain(word);
    expect(server.connections).toBe(0);
  });
});

describe('an AbortSignal', () => {
  test('that has aborted already: no connection', async () => {
    const server = await serve();
    const reason = new Error('never mind');
    const signal = AbortSignal.abort(reason);
    await expect(connect(at(server), { signal })).rejects.toBe(reason);
    expect(server.connections).toBe(0);
  });

  const silences: [string, Behaviour, string][] = [
    ['the request for TLS', { tls: 'silence' }, 'require'],
    ['the startup packet', { onStartup: { kind: 'silence' } }, ''],
    ['the startup packet over TLS', { tls: 'yes', onStartup: { kind: 'silence' } }, 'require'],
  ];
  test.each(silences)('ends it while %s is unanswered', async (_name, behaviour, mode) => {
    const server = await serve(behaviour);
    const controller = new AbortController();
    const other = await serve();
    const conninfo = `${at(server, other)} ${mode === '' ? '' : `sslmode=${mode}`}`;
    const connecting = connect(conninfo, { signal: controller.signal });
    await server.connected();
    const reason = new Error('never mind');
    controller.abort(reason);
    await expect(connecting).rejects.toBe(reason);
    // No socket is left: afterEach waits until the server is deserted.
    await server.deserted();
    expect(other.connections).toBe(0);
  });

  test('ends it before a socket is made', async () => {
    const server = await serve();
    const controller = new AbortController();
    const connecting = connect(at(server), { signal: controller.signal });
    controller.abort();
    await expect(connecting).rejects.toMatchObject({ name: 'AbortError' });
    expect(server.seen).toEqual([]);
  });

  test('does nothing once there is a client', async () => {
    const server = await serve();
    const controller = new AbortController();
    const client = await connect(at(server), { signal: controller.signal });
    controller.abort();
    await expect(client.query('SELECT pg_is_in_recovery()')).resolves.toBeDefined();
    await client.end();
  });
});

describe('a request to cancel', () => {
  const ways: [string, Behaviour['tls'], boolean][] = [
    ['sslmode=disable', 'no', false],
    ['sslmode=require', 'yes', true],
  ];
  test.each(ways)('%s goes the way of the session, with its key', async (mode, tls, isTls) => {
    const server = await serve(tls === undefined ? {} : { tls });
    const client = await connect(`user=me host=127.0.0.1 port=${server.port} ${mode}`);
    await client.requestCancel();
    expect(server.cancels).toEqual([{ processId: 4711, secretKey: 4712, tls: isTls }]);
    await client.end();
  });

  test('to a server that is gone fails, and leaves nothing open', async () => {
    const server = await serve();
    const client = await connect(at(server));
    client.on('error', () => {});
    await server[Symbol.asyncDispose]();
    servers.splice(servers.indexOf(server), 1);
    await expect(client.requestCancel()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('can be called off', async () => {
    const server = await serve();
    const client = await connect(at(server));
    const reason = new Error('enough');
    await expect(client.requestCancel(AbortSignal.abort(reason))).rejects.toBe(reason);
    await client.end();
  });
});

describe('sslmode', () => {
  const roots = `sslrootcert=${ROOTS}`;
  const named = 'host=db.example hostaddr=127.0.0.1';
  const misnamed = 'host=other.example hostaddr=127.0.0.1';
  type Outcome = 'plain' | 'TLS' | 'refused';
  const table: [string, string, Behaviour['tls'], Outcome][] = [
    ['disable', named, 'yes', 'plain'],
    ['disable', named, 'only', 'refused'],
    ['allow', named, 'yes', 'plain'],
    ['allow', named, 'only', 'TLS'],
    ['allow', named, 'no', 'plain'],
    ['prefer', named, 'yes', 'TLS'],
    ['prefer', named, 'no', 'plain'],
    ['require', named, 'yes', 'TLS'],
    ['require', named, 'no', 'refused'],
    ['require', `${misnamed} ${roots}`, 'yes', 'TLS'],
    ['verify-ca', `${misnamed} ${roots}`, 'yes', 'TLS'],
    ['verify-ca', `${named} ${roots}`, 'no', 'refused'],
    ['verify-full', `${named} ${roots}`, 'yes', 'TLS'],
    ['verify-full', `${misnamed} ${roots}`, 'yes', 'refused'],
    ['verify-full', `${named} sslrootcert=system`, 'yes', 'refused'],
    ['verify-full', `hostaddr=127.0.0.1 ${roots}`, 'yes', 'refused'],
  ];
  test.each(table)('%s, %s, server does TLS: %s → %s', async (mode, host, tls, expected) => {
    const server = await serve(tls === undefined ? {} : { tls });
    const conninfo = `user=me dbname=app port=${server.port} ${host} sslmode=${mode}`;
    if (expected === 'refused') {
      expect(await failure(conninfo)).toMatchObject({ code: 'ERR_SERVER_REFUSED' });
    } else {
      await connectAndEnd(conninfo);
      expect(server.seen.at(-1)).toMatchObject({ tls: expected === 'TLS' });
    }
  });

  test('prefer: a bad certificate where roots are known leads to plain', async () => {
    const server = await serve({ tls: 'yes' });
    const conninfo = `user=me port=${server.port} ${named} sslmode=prefer sslrootcert=${ROOTS}`;
    await connectAndEnd(conninfo.replace(ROOTS, ROOTS.replace('root.crt', 'stranger.crt')));
    expect(server.seen.map(({ tls }) => tls)).toEqual([false]);
  });

  test('sends the name of the host, unless sslsni=0 or it is an address', async () => {
    const server = await serve({ tls: 'yes' });
    const base = `user=me sslmode=require port=${server.port}`;
    await connectAndEnd(`${base} ${named}`);
    await connectAndEnd(`${base} ${named} sslsni=0`);
    await connectAndEnd(`${base} host=127.0.0.1`);
    expect(server.seen.map(({ serverName }) => serverName)).toEqual(['db.example', null, null]);
  });

  test('verify-full without root certificates names the file and the remedy', async () => {
    const error = await failure('user=me host=h hostaddr=127.0.0.1 port=1 sslmode=verify-full');
    expect(error.code).toBe('ERR_CONNINFO');
    expect(error.message).toContain('root.crt" does not exist');
  });

  test('a wrong password over prefer is told for both ways, once each', async () => {
    const server = await serve({
      tls: 'yes',
      onStartup: { kind: 'error', code: '28P01', message: 'wrong password' },
    });
    const error = await failure(`user=me port=${server.port} host=127.0.0.1 sslmode=prefer`);
    expect(error).toMatchObject({ code: 'ERR_SERVER_REFUSED', cause: { code: '28P01' } });
    expect(error.message).toContain('with SSL: wrong password');
    expect(error.message).toContain('without SSL: wrong password');
  });
});
