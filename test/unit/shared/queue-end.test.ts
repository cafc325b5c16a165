// How a message queue begins and ends: checks of the header, both ends, detach before, during and
// after, the death of a peer, and memory that somebody wrote over.

import { describe, expect, test } from 'vitest';
import { MessageQueue } from '../../../lib/shared/message-queue.ts';
import { HEADER_BYTES, pass, twoEnds } from './queue.ts';

const bytes = (length: number) => new Uint8Array(length).fill(7);

describe('a place that is no queue is refused', () => {
  const table: [what: string, change: object, sentence: RegExp][] = [
    ['not on a cache line', { byteOffset: 8 }, /multiple of 64 bytes, got 8/],
    ['before the buffer', { byteOffset: -64 }, /multiple of 64/],
    ['too small', { bytes: 199 }, /a whole number of bytes from 200 to .*, got 199/],
    ['too large', { bytes: 2 ** 31 }, /a whole number of bytes/],
    ['not whole', { bytes: 300.5 }, /a whole number of bytes/],
    ['beyond the buffer', { bytes: 512 }, /needs 512 bytes, and there are 448/],
  ];
  test.each(table)('%s', (_, change, sentence) => {
    const { processes, place } = twoEnds(256);
    expect(() => MessageQueue.create(processes[0], { ...place, ...change })).toThrow(sentence);
    expect(() => MessageQueue.open(processes[0], { ...place, ...change })).toThrow(sentence);
  });

  test('no magic, or another size', () => {
    const { processes, place, words } = twoEnds(256);
    const open = (size: number) => MessageQueue.open(processes[0], { ...place, bytes: size });
    expect(open(HEADER_BYTES + 256).ringBytes).toBe(256);
    expect(() => open(HEADER_BYTES + 248)).toThrow(/no message queue of this size/);
    words[0] = 0;
    expect(() => open(HEADER_BYTES + 256)).toThrow(/no message queue of this size/);
  });

  test('a size is rounded down to 8', () => {
    const { processes, place } = twoEnds(256);
    const queue = MessageQueue.create(processes[0], { ...place, bytes: HEADER_BYTES + 15 });
    expect(queue.ringBytes).toBe(8);
  });
});

test('the header is that of queue.h', () => {
  const { sending, receiving, words } = twoEnds(256);
  expect([...words.subarray(0, 5)]).toEqual([0x514d4742, 256, 0, 0, 0]);
  sending.trySend(bytes(5));
  receiving.tryReceive();
  expect([...words.subarray(0, 5)]).toEqual([0x514d4742, 256, 1, 2, 0]);
  expect([words[16], words[48], words[49], words[50]]).toEqual([16, 5, 0, 0x07070707]);
  sending.detach();
  expect([words[4], words[32]]).toEqual([1, 0]);
});

test('each end is taken once', () => {
  const { processes, place, sending, receiving } = twoEnds(256);
  sending.trySend(bytes(1));
  receiving.tryReceive();
  const third = MessageQueue.open(processes[1], place);
  expect(() => third.sender).toThrow(/has its sender already \(the process in slot 0\)/);
  expect(() => third.receiver).toThrow(/has its receiver already \(the process in slot 1\)/);
  third.detach();
  expect(() => third.sender).toThrow(/has detached/);
  expect(sending.sender.isDetached).toBe(false);
});

test('a message that is too large, or none, is refused and nothing is sent', async () => {
  const { sending, receiving } = twoEnds(256);
  const large = new Uint8Array(2 ** 30);
  const sentence = 'cannot send a message of size 1073741824 via a shared memory queue';
  expect(() => sending.trySend(large)).toThrow(sentence);
  await expect(sending.send(large)).rejects.toThrow(sentence);
  expect(() => sending.trySend('text' as never)).toThrow(/must be a Uint8Array, got 'text'/);
  expect(pass(sending.sender, receiving.receiver, bytes(3))).toEqual(bytes(3));
});

describe('detach', () => {
  test('of the sender: every whole message comes, then DETACHED for ever', async () => {
    const { sending, receiving } = twoEnds(256);
    sending.trySend(bytes(3));
    sending.trySend(bytes(0), { flush: false });
    sending.trySend(bytes(1000));
    sending.detach();
    sending.detach();
    expect(receiving.tryReceive()).toEqual({ result: 'SUCCESS', message: bytes(3) });
    expect(receiving.tryReceive()).toEqual({ result: 'SUCCESS', message: bytes(0) });
    expect(receiving.tryReceive().result).toBe('DETACHED');
    expect(await receiving.receiver.receive()).toEqual({ result: 'DETACHED' });
    expect(sending.sender.trySend(bytes(1))).toBe('DETACHED');
    expect(await sending.sender.send(bytes(1))).toBe('DETACHED');
  });

  test('of the receiver: a send says so, even if the bytes were just written', async () => {
    const { sending, receiving } = twoEnds(256);
    expect(sending.trySend(bytes(1))).toBe('SUCCESS');
    receiving.tryReceive();
    receiving.detach();
    expect(sending.trySend(bytes(1))).toBe('DETACHED');
    expect(sending.trySend(bytes(1000))).toBe('DETACHED');
    expect(await sending.send(bytes(0))).toBe('DETACHED');
    expect(receiving.receiver.tryReceive().result).toBe('DETACHED');
  });

  test('while the other end waits', async () => {
    const one = twoEnds(256);
    const receiving = one.receiving.receiver.receive();
    one.sending.sender.detach();
    expect(await receiving).toEqual({ result: 'DETACHED' });
    const two = twoEnds(256);
    const sends = [two.sending.send(bytes(1000)), two.sending.send(bytes(1))];
    two.receiving.receiver.detach();
    expect(await Promise.all(sends)).toEqual(['DETACHED', 'DETACHED']);
  });

  test('while one waits oneself', async () => {
    const { sending, receiving } = twoEnds(256);
    const waits = [
      receiving.receiver.receive().then((got) => got.result),
      sending.send(bytes(999)),
    ];
    receiving.detach();
    sending.detach();
    expect(await Promise.all(waits)).toEqual(['DETACHED', 'DETACHED']);
  });

  test('in the middle of a message: a half-written one is lost', () => {
    const { sending, receiving } = twoEnds(64);
    const message = bytes(500);
    expect(sending.trySend(message)).toBe('WOULD_BLOCK');
    expect(receiving.tryReceive().result).toBe('WOULD_BLOCK');
    expect(sending.trySend(message)).toBe('WOULD_BLOCK');
    sending.detach();
    expect(receiving.tryReceive().result).toBe('DETACHED');
  });

  test('before the other end has come', () => {
    const one = twoEnds(256);
    one.sending.trySend(bytes(2));
    one.sending.detach();
    expect(one.receiving.tryReceive().result).toBe('SUCCESS');
    expect(one.receiving.tryReceive().result).toBe('DETACHED');
    const two = twoEnds(256);
    two.receiving.receiver.detach();
    expect(two.sending.trySend(bytes(2))).toBe('DETACHED');
  });

  test('by leave(), as the process exits', () => {
    const { sending, receiving, processes } = twoEnds(256);
    sending.trySend(bytes(2), { flush: false });
    processes[0].leave();
    expect(receiving.tryReceive().result).toBe('SUCCESS');
    expect(receiving.tryReceive().result).toBe('DETACHED');
  });
});

describe('a peer that dies before it comes', () => {
  test('is noticed by who waits for it', async () => {
    let isGone = false;
    const { sending, receiving, processes } = twoEnds(256, { isPeerGone: () => isGone });
    const waiting = receiving.receiver.receive();
    const attaching = receiving.receiver.waitForAttach();
    isGone = true;
    processes[1].waits.look();
    expect(await waiting).toEqual({ result: 'DETACHED' });
    expect(await attaching).toBe('DETACHED');
    expect(sending.trySend(bytes(1))).toBe('DETACHED');
  });

  test('is noticed by a sender once the ring is full', async () => {
    const { sending } = twoEnds(64, { isPeerGone: () => true });
    expect(sending.trySend(bytes(8))).toBe('SUCCESS');
    expect(await sending.send(bytes(80))).toBe('DETACHED');
  });

  test('counts no more once it has come', async () => {
    const { sending, receiving } = twoEnds(256, { isPeerGone: () => true });
    const { sender } = sending;
    expect(receiving.tryReceive().result).toBe('WOULD_BLOCK');
    expect(await receiving.receiver.waitForAttach()).toBe('SUCCESS');
    expect(sender.trySend(bytes(1))).toBe('SUCCESS');
  });

  test('waitForAttach() ends when it comes', async () => {
    const { sending, receiving } = twoEnds(256);
    const attaching = receiving.receiver.waitForAttach();
    sending.trySend(bytes(0));
    expect(await attaching).toBe('SUCCESS');
  });
});

describe('memory that somebody wrote over is not believed', () => {
  const table: [word: number, value: number, sentence: RegExp][] = [
    [16, 264, /contradicts itself/],
    [16, 12, /contradicts itself/],
    [16, -8, /contradicts itself/],
    [48, -1, /a length is over the limit/],
    [48, 0x4000_0000, /a length is over the limit/],
    [49, 1, /a length is over the limit/],
  ];
  test.each(table)('word %d is %d, for a receiver', (word, value, sentence) => {
    const { sending, receiving, words } = twoEnds(256);
    sending.trySend(bytes(8));
    words[word] = value;
    expect(() => receiving.tryReceive()).toThrow(sentence);
    receiving.detach();
  });

  test.each([72, -8, 3])('read is %d, for a sender that looks at it', (value) => {
    const { sending, words } = twoEnds(64);
    expect(sending.sender.trySend(bytes(0))).toBe('SUCCESS');
    words[32] = value;
    expect(() => sending.trySend(bytes(64))).toThrow(/contradicts itself/);
  });

  test('an end that is no slot', () => {
    const { sending, receiving, words } = twoEnds(256);
    words[2] = 99;
    expect(() => receiving.tryReceive()).toThrow(/its other end is no slot/);
    receiving.detach();
    sending.detach();
  });

  test('a length that is only claimed waits for its bytes', () => {
    const { sending, receiving, words } = twoEnds(256);
    sending.trySend(bytes(8));
    words[48] = 1000;
    expect(receiving.tryReceive().result).toBe('WOULD_BLOCK');
  });
});
