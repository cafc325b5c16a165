// The control socket and its clients: whatever one of them sends, keeps back or does not read, it is
// cut off with a line in the log, and nobody else notices.

import { mkdirSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { encodeHead } from '../../lib/travel/frames.ts';
import { descriptorsOf } from '../harness/leftovers.ts';
import { Outsider, Wire } from '../harness/outsider.ts';
import {
  type PostmasterProgram,
  PostmasterProgram as Program,
  startPostmaster,
  temporaryDirectory,
} from '../harness/postmaster.ts';

/** Somebody else, who was there before and will be there after. */
async function bystander(postmaster: PostmasterProgram) {
  const outsider = new Outsider(postmaster);
  const handle = await outsider.register('live.idle', { name: 'bystander' });
  await postmaster.heard('bystander', 'idle');
  return async () => {
    expect((await handle.status()).status).toBe('STARTED');
    const another = await outsider.register('leave.returnAtOnce');
    expect(await another.waitForShutdown()).toEqual({ status: 'STOPPED' });
  };
}

const prefix = (headerBytes: number, bodyBytes: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(headerBytes, 0);
  bytes.writeUInt32LE(bodyBytes, 4);
  return bytes;
};

const frame = (header: string): Buffer =>
  Buffer.concat([prefix(Buffer.byteLength(header), 0), Buffer.from(header)]);

const random = (bytes: number): Buffer =>
  Buffer.from(Array.from({ length: bytes }, (_, i) => (i * 2654435761) >>> 13));

const GARBAGE: [what: string, bytes: Uint8Array, log: RegExp][] = [
  ['text', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /no message \(a header too long\)/],
  ['noise', random(10_000), /no message \(a (header|body) too long\)/],
  ['a header of 4 GiB', prefix(0xffff_ffff, 0), /no message \(a header too long\)/],
  ['a body of 4 GiB', prefix(2, 0xffff_ffff), /no message \(a body too long\)/],
  ['no JSON', Buffer.concat([prefix(3, 0), Buffer.from('{{{')]), /the header is no JSON object/],
  ['an empty header', prefix(0, 0), /the header is no JSON object/],
  ['no request', encodeHead({ id: 1, do: 'shutdown' }), /do is 'shutdown'/],
  ['a request without a number', encodeHead({ do: 'workers' }), /id is no whole number/],
  [
    'no handle',
    encodeHead({ id: 1, do: 'status', slot: 'x' }),
    /slot and generation are no handle/,
  ],
  ['a body where none belongs', encodeHead({ id: 1, do: 'workers' }, 5), /only a registration/],
  [
    'a hello of another postmaster',
    encodeHead({ do: 'hello', instance: 'x' }),
    /another postmaster/,
  ],
];

test.each(GARBAGE)('%s', async (_what, bytes, log) => {
  const postmaster = await startPostmaster({ cast: [] });
  const isWell = await bystander(postmaster);
  const before = descriptorsOf(postmaster.pid).length;
  const wire = new Wire(postmaster);
  wire.write(bytes);
  const reply = await wire.reply();
  expect(reply).toMatchObject({ kind: 'farewell', message: expect.stringMatching(log) });
  await wire.closed;
  await postmaster.logged(/WARN.*control socket: a client is cut off because/);
  await isWell();
  expect(descriptorsOf(postmaster.pid)).toHaveLength(before);
  await postmaster.stop();
});

test('a registration that is none is refused, and the client may go on', async () => {
  const postmaster = await startPostmaster({ cast: [] });
  const wire = new Wire(postmaster);
  const bad = [undefined, null, 7, 'w', [], {}, { name: 'a\nb' }, { name: 'w', __proto__: null }];
  for (const [id, options] of bad.entries()) {
    wire.send({ id, do: 'register', options });
    const code = 'ERR_INVALID_REGISTRATION';
    expect(await wire.reply()).toMatchObject({ kind: 'refusal', id, code });
  }
  wire.write(frame('{"id":9,"do":"register","options":{"__proto__":{"name":"w"},"module":"/w"}}'));
  expect(await wire.reply()).toMatchObject({ kind: 'refusal', id: 9 });
  wire.send({ id: 99, do: 'workers' });
  expect(await wire.reply()).toMatchObject({ kind: 'answer', id: 99 });
  wire.socket.end();
  await wire.closed;
  await postmaster.stop();
});

test('an argument that is garbage fails in the worker, and nowhere else', async () => {
  const postmaster = await startPostmaster({ cast: [] });
  const isWell = await bystander(postmaster);
  const wire = new Wire(postmaster);
  for (const [id, body] of [random(50), random(100_000), Buffer.alloc(1)].entries()) {
    const options = {
      name: `g${id}`,
      module: new URL(
        '../../dist-programs/test/fixtures/process/roles/register.js',
        import.meta.url,
      ),
      function: 'introduce',
      flags: ['SHMEM_ACCESS'],
      restartTime: 'never',
    };
    wire.send({ id, do: 'register', options }, body);
    expect(await wire.reply()).toMatchObject({ kind: 'answer', id });
    expect(await wire.reply()).toMatchObject({ kind: 'news', status: 'STARTED' });
    const end = await wire.reply();
    expect(end).toMatchObject({ kind: 'news', status: 'STOPPED', exit: { kind: 'code', code: 1 } });
  }
  expect(postmaster.all('crash')).toEqual([]);
  await isWell();
  await postmaster.stop();
});

test('many questions at once are answered in their order', async () => {
  const postmaster = await startPostmaster({ cast: [] });
  const wire = new Wire(postmaster);
  const many = 5_000;
  const heads = Array.from({ length: many }, (_, id) => encodeHead({ id, do: 'workers' }));
  wire.write(Buffer.concat(heads));
  for (let id = 0; id < many; id++) expect(await wire.reply()).toMatchObject({ id });
  await postmaster.stop();
});

test('who leaves in the middle of a message leaves nothing behind', async () => {
  const postmaster = await startPostmaster({ cast: [] });
  const isWell = await bystander(postmaster);
  const before = descriptorsOf(postmaster.pid).length;
  const whole = Buffer.concat([
    encodeHead({ id: 1, do: 'register', options: { name: 'w', module: '/w.js' } }, 1 << 20),
    Buffer.alloc(1 << 20),
  ]);
  for (const bytes of [1, 7, 8, 20, 100, 200_000, whole.length - 1]) {
    const wire = new Wire(postmaster);
    wire.write(whole.subarray(0, bytes));
    wire.socket.end();
    await wire.closed;
  }
  await isWell();
  expect((await postmaster.workers()).map(({ name }) => name)).toEqual(['bystander']);
  expect(descriptorsOf(postmaster.pid)).toHaveLength(before);
  await postmaster.stop();
});

test('who does not go on is cut off after a while', async () => {
  const postmaster = await startPostmaster({ cast: [] });
  const isWell = await bystander(postmaster);
  const wires = [
    Buffer.from([1]),
    prefix(100, 0),
    encodeHead({ id: 1, do: 'register', options: {} }, 100),
    encodeHead({ id: 1, do: 'register', options: {} }, 1 << 20),
  ].map((bytes) => {
    const wire = new Wire(postmaster);
    wire.write(bytes);
    return wire;
  });
  // Not because it is silent: this one has asked for nothing.
  const silent = new Wire(postmaster);
  for (const wire of wires) {
    const message = expect.stringMatching(/was not continued within 10 s/);
    expect(await wire.reply()).toMatchObject({ kind: 'farewell', message });
  }
  silent.send({ id: 5, do: 'workers' });
  expect(await silent.reply()).toMatchObject({ kind: 'answer', id: 5 });
  await isWell();
  await postmaster.stop();
});

test('who asks and asks and never reads is cut off', async () => {
  const postmaster = await startPostmaster({
    maxWorkerProcesses: 100,
    cast: [{ name: 'w'.repeat(80), main: 'idle', count: 50 }],
  });
  const isWell = await bystander(postmaster);
  const socket = connect(join(postmaster.dataDirectory, 'control.sock'));
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.on('close', resolve));
  // Nobody listens for 'data', so nothing is read; the system's own buffers fill up, then ours.
  const question = Buffer.concat(
    Array.from({ length: 1_000 }, (_, id) => encodeHead({ id, do: 'workers' })),
  );
  const ask = () => {
    if (!socket.destroyed) socket.write(question, ask);
  };
  ask();
  await postmaster.logged(/a client is cut off because it does not read its answers/);
  socket.resume();
  await closed;
  await isWell();
  await postmaster.stop();
});

test('more clients than there may be are turned away, and the others stay', async () => {
  const postmaster = await startPostmaster({ maxWorkerProcesses: 2, cast: [] });
  const isWell = await bystander(postmaster);
  const wires = Array.from({ length: 100 }, () => new Wire(postmaster));
  await postmaster.logged(/WARN.*control socket: there are 66 clients already/);
  const turnedAway = new Outsider(postmaster);
  await expect(turnedAway.workers()).rejects.toMatchObject({
    code: 'ERR_CONTROL_SOCKET',
    message: expect.stringMatching(/there are 66 clients already/),
  });
  await isWell();
  for (const wire of wires) wire.socket.destroy();
  await Promise.all(wires.map(({ closed }) => closed));
  // What is asked after that is answered after the postmaster has seen them go.
  await isWell();
  // He knows why, and may try again.
  expect((await turnedAway.workers()).map(({ name }) => name)).toEqual(['bystander']);
  await postmaster.stop();
});

describe('the socket', () => {
  test('is for its owner alone, and gone after the end', async () => {
    const postmaster = await startPostmaster({ cast: [] });
    const path = join(postmaster.dataDirectory, 'control.sock');
    expect(statSync(path).mode & 0o7777).toBe(0o600);
    await postmaster.stop();
    expect(() => statSync(path)).toThrow('ENOENT');
  });

  test('is reached in a directory deeper than a socket’s name may be', async () => {
    const deep = join(temporaryDirectory(), 'd'.repeat(100), 'e'.repeat(100));
    mkdirSync(deep, { recursive: true, mode: 0o700 });
    const postmaster = await startPostmaster({
      dataDirectory: deep,
      cast: [
        {
          name: 'host',
          main: 'registrant',
          arg: {
            steps: [
              {
                do: 'register',
                as: 'guest',
                options: { module: 'roles/live', function: 'idle', restartTime: 'never' },
              },
              { do: 'waitForStartup', of: 'guest' },
            ],
          },
        },
      ],
    });
    const outsider = new Outsider(postmaster);
    expect((await postmaster.heard('host', 'guest waitForStartup')).value).toMatchObject({
      status: 'STARTED',
    });
    expect((await outsider.workers()).map(({ name }) => name)).toEqual(['host', 'guest']);
    const after = descriptorsOf(postmaster.pid).length;
    await new Outsider(postmaster).workers();
    expect(descriptorsOf(postmaster.pid).length).toBeLessThanOrEqual(after + 1);
    await postmaster.stop();
  });

  test('that cannot be made is the failure of the start', async () => {
    const dataDirectory = join(temporaryDirectory(), 'data');
    mkdirSync(join(dataDirectory, 'control.sock', 'in the way'), { recursive: true, mode: 0o700 });
    const postmaster = new Program({ cast: [], dataDirectory });
    const refusal = await postmaster.until('refused');
    expect(refusal).toMatchObject({
      code: 'ERR_DATA_DIRECTORY',
      message: expect.stringMatching(/^could not listen on the control socket ".*control\.sock": /),
    });
    await postmaster.end();
    expect(() => statSync(join(dataDirectory, 'postmaster.pid'))).toThrow('ENOENT');
  });
});
