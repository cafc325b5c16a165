// What goes into a message queue comes out of it: every place in the ring, every size, any order.

import { describe, expect, test } from 'vitest';
import { MessageQueue } from '../../../lib/shared/message-queue.ts';
import { pass, twoEnds } from './queue.ts';
import { randomBytes, randomFrom } from './random.ts';

const numbered = (length: number, from = 1) =>
  Uint8Array.from({ length }, (_, index) => (from + index) & 0xff);

describe.each([8, 16, 24, 64, 104])('a ring of %d bytes', (ringBytes) => {
  test('passes every length at every position', () => {
    for (let position = 0; position < ringBytes; position += 8) {
      for (let length = 0; length <= 2 * ringBytes + 9; length += 1) {
        const { sending, receiving } = twoEnds(ringBytes);
        for (let at = 0; at < position; at += 8) {
          pass(sending.sender, receiving.receiver, new Uint8Array(0));
        }
        const message = numbered(length, position);
        expect(pass(sending.sender, receiving.receiver, message)).toEqual(message);
        expect(pass(sending.sender, receiving.receiver, numbered(3))).toEqual(numbered(3));
      }
    }
  });
});

test.each([1, 2, 3, 4])('random sizes come out byte for byte as a model says (seed %d)', (seed) => {
  const random = randomFrom(seed);
  const { sending, receiving } = twoEnds(8 * (1 + Math.floor(random() * 40)));
  const model: Uint8Array[] = [];
  let next: Uint8Array | null = null;
  let received = 0;
  const { sender, receiver } = { sender: sending.sender, receiver: receiving.receiver };
  while (received < 3_000) {
    if (random() < 0.5) {
      next ??= randomBytes(random, Math.floor(random() ** 3 * 500));
      if (sender.trySend(next, { flush: random() < 0.3 }) === 'SUCCESS') {
        model.push(next);
        next = null;
      }
    } else {
      const got = receiver.tryReceive();
      if (got.result === 'SUCCESS') {
        expect(got.message).toEqual(model.shift());
        received += 1;
      } else {
        sender.flush();
      }
    }
  }
});

test("test_shm_mq's workloads", () => {
  const tiny = twoEnds(1024 - 192);
  for (let turn = 0; turn < 2_000; turn += 1) {
    const message = numbered(turn % 2, turn);
    expect(pass(tiny.sending.sender, tiny.receiving.receiver, message)).toEqual(message);
  }
  const large = twoEnds(16_384 - 192);
  const message = randomBytes(randomFrom(1), 270_000);
  for (let turn = 0; turn < 5; turn += 1) {
    const got = pass(large.sending.sender, large.receiving.receiver, message, turn % 2 === 0);
    expect(Buffer.compare(got, message)).toBe(0);
  }
});

test('the counters wrap around at 2^32', () => {
  const { sending, receiving, words } = twoEnds(1 << 20);
  const message = new Uint8Array(250_000);
  const stamps = new Uint32Array(message.buffer, 0, 1);
  const turns = Math.ceil(2 ** 32 / message.length) + 10;
  let negative = 0;
  for (let turn = 0; turn < turns; turn += 1) {
    stamps[0] = turn;
    const got = pass(sending.sender, receiving.receiver, message);
    if (got[0] !== (turn & 0xff) || got[1] !== ((turn >> 8) & 0xff)) throw new Error(`${turn}`);
    if ((words[16] as number) < 0) negative += 1;
  }
  expect(negative).toBeGreaterThan(1_000);
  expect(words[16]).toBeGreaterThan(0);
});

test('a message in one piece is a view of the ring, and of the next one too', () => {
  const { sending, receiving, buffer } = twoEnds(256);
  const first = pass(sending.sender, receiving.receiver, numbered(16));
  expect(first.buffer).toBe(buffer);
  // After 24 of 256 bytes this one wraps, and is put together elsewhere.
  const second = pass(sending.sender, receiving.receiver, numbered(230));
  expect(second.buffer).not.toBe(buffer);
  expect(second).toEqual(numbered(230));
});

describe('when bytes become visible', () => {
  test('with flush at once, without it from a quarter of the ring on', () => {
    const { sending, receiving } = twoEnds(256);
    const { receiver } = receiving;
    sending.trySend(numbered(8));
    expect(receiver.tryReceive().result).toBe('SUCCESS');
    for (let bytes = 16; bytes <= 64; bytes += 16) {
      expect(sending.trySend(numbered(8), { flush: false })).toBe('SUCCESS');
      expect(receiver.tryReceive().result).toBe('WOULD_BLOCK');
    }
    sending.trySend(numbered(8), { flush: false });
    expect(receiver.tryReceive().result).toBe('SUCCESS');
    for (let left = 0; left < 4; left += 1) expect(receiver.tryReceive().result).toBe('SUCCESS');
    sending.trySend(numbered(8), { flush: false });
    sending.flush();
    expect(receiver.tryReceive().result).toBe('SUCCESS');
  });

  test('what was consumed is told from a quarter of the ring on, and before a wait', () => {
    const { sending, receiving, words } = twoEnds(256);
    const { receiver } = receiving;
    for (let sent = 0; sent < 8; sent += 1) sending.trySend(numbered(8));
    const told: (number | undefined)[] = [];
    for (let got = 0; got < 6; got += 1) {
      receiver.tryReceive();
      told.push(words[32]);
    }
    expect(told).toEqual([0, 0, 0, 0, 0, 80]);
    for (let got = 0; got < 3; got += 1) receiver.tryReceive();
    expect(words[32]).toBe(128);
  });

  test('what is sent before there is a receiver waits for it, until the ring is full', () => {
    const { sending, receiving } = twoEnds(64);
    const message = numbered(24);
    expect(sending.trySend(message)).toBe('SUCCESS');
    expect(sending.trySend(message, { flush: false })).toBe('SUCCESS');
    expect(sending.trySend(message)).toBe('WOULD_BLOCK');
    for (let got = 0; got < 2; got += 1) {
      expect(receiving.tryReceive()).toEqual({ result: 'SUCCESS', message });
    }
    expect(receiving.tryReceive().result).toBe('WOULD_BLOCK');
  });
});

describe('waiting', () => {
  test('sends wait in their order, and the iterator gives what they sent', async () => {
    const { sending, receiving } = twoEnds(64);
    const sizes = [0, 1, 500, 7, 40, 64, 3, 1000];
    const sends = sizes.map((size) => sending.send(numbered(size)));
    expect(sending.trySend(numbered(1))).toBe('WOULD_BLOCK');
    const all = Promise.all(sends).then((results) => {
      sending.detach();
      return results;
    });
    const got: number[] = [];
    for await (const message of receiving.receive()) {
      expect(message).toEqual(numbered(message.length));
      got.push(message.length);
    }
    expect(got).toEqual(sizes);
    expect(new Set(await all)).toEqual(new Set(['SUCCESS']));
  });

  test('one receive at a time', async () => {
    const { sending, receiving } = twoEnds(64);
    const first = receiving.receiver.receive();
    await expect(receiving.receiver.receive()).rejects.toThrow(/somebody waits for a message/);
    expect(() => receiving.tryReceive()).toThrow(/somebody waits for a message/);
    await sending.send(numbered(1));
    expect(await first).toEqual({ result: 'SUCCESS', message: numbered(1) });
  });

  test('an abort ends a wait, and the identical message goes on', async () => {
    const { sending, receiving } = twoEnds(64);
    const message = numbered(200);
    const controller = new AbortController();
    const sent = sending.send(message, { signal: controller.signal });
    const behind = sending.send(numbered(200, 9));
    controller.abort(new Error('enough'));
    await expect(sent).rejects.toThrow('enough');
    await expect(behind).rejects.toThrow(/the identical message/);
    const again = sending.send(message);
    expect((await receiving.receive().next()).value).toEqual(message);
    expect(await again).toBe('SUCCESS');
    const waiting = receiving.receiver.receive({ signal: AbortSignal.timeout(5) });
    await expect(waiting).rejects.toThrow(/timeout/);
    expect(pass(sending.sender, receiving.receiver, message)).toEqual(message);
  });

  test('the death of the postmaster ends a wait', async () => {
    const { processes, receiving } = twoEnds(64);
    const waiting = receiving.receiver.receive();
    processes[1].waits.orphan();
    await expect(waiting).rejects.toThrow(/the postmaster is dead/);
  });

  test('a send rings only a receiver that sleeps', async () => {
    const { sending, receiving, ports } = twoEnds(256);
    const { receiver } = receiving;
    for (let sent = 0; sent < 4; sent += 1) sending.trySend(numbered(8));
    expect(ports[0].rings).toBe(0);
    for (let got = 0; got < 4; got += 1) receiver.tryReceive();
    const waiting = receiver.receive();
    sending.trySend(numbered(8));
    sending.trySend(numbered(8));
    expect(ports[0].rings).toBe(1);
    expect((await waiting).result).toBe('SUCCESS');
  });

  test('spins find what is there without a sleep', async () => {
    const { sending, receiving, ports } = twoEnds(256, { spins: 100 });
    const waiting = receiving.receiver.receive();
    await sending.send(numbered(8));
    expect((await waiting).result).toBe('SUCCESS');
    expect(ports[0].rings).toBe(1);
    let looks = 0;
    const isPeerGone = () => {
      looks += 1;
      return looks === 50;
    };
    const gone = twoEnds(256, { spins: 100, isPeerGone });
    expect((await gone.receiving.receiver.receive()).result).toBe('DETACHED');
    expect([looks, gone.ports[1].rings]).toEqual([50, 0]);
  });
});

describe('values', () => {
  test('are copies of what was sent', async () => {
    const { processes, place } = twoEnds(512);
    const sending = MessageQueue.create<unknown>(processes[0], place, { values: true });
    const receiving = MessageQueue.open<unknown>(processes[1], place, { values: true });
    const values = [
      1,
      'DETACHED',
      null,
      undefined,
      { a: [new Date(0), 5n] },
      numbered(9),
      new Map(),
    ];
    const sends = values.map((value) => sending.send(value));
    const got: unknown[] = [];
    for await (const value of receiving.receive()) {
      got.push(value);
      if (got.length === values.length) break;
    }
    expect(got.map((value) => (value instanceof Uint8Array ? Array.from(value) : value))).toEqual(
      values.map((value) => (value instanceof Uint8Array ? Array.from(value) : value)),
    );
    expect((got[5] as Uint8Array).buffer).not.toBe(place.buffer);
    await Promise.all(sends);
  });

  test('the identical value goes on after WOULD_BLOCK, as it was', () => {
    const { processes, place } = twoEnds(64);
    const sending = MessageQueue.create<object>(processes[0], place, { values: true });
    const receiving = MessageQueue.open<object>(processes[1], place, { values: true });
    const value = { text: 'x'.repeat(200), late: 0 };
    expect(sending.trySend(value)).toBe('WOULD_BLOCK');
    value.late = 1;
    expect(() => sending.trySend({})).toThrow(/the identical value/);
    for (;;) {
      const got = receiving.tryReceive();
      if (got.result === 'SUCCESS') {
        expect(got.message).toEqual({ ...value, late: 0 });
        break;
      }
      sending.trySend(value);
    }
    expect(sending.trySend({})).toBe('SUCCESS');
  });
});
