// A message queue between two threads that run at the same time: this one and another.

import { describe, expect, test } from 'vitest';
import { MessageQueue } from '../../../lib/shared/message-queue.ts';
import { ThisProcess } from '../../../lib/shared/this-process.ts';
import { MemoryPort, makeWorld } from './memory-port.ts';
import { HEADER_BYTES } from './queue.ts';
import { randomBytes, randomFrom } from './random.ts';
import { inThread } from './threads.ts';

/** Slot 0 is this thread, which receives; slot 1 is the other one's alone, which sends. */
function hereAndThere(ringBytes: number) {
  const world = makeWorld(2);
  const bytes = HEADER_BYTES + ringBytes;
  const place = { buffer: new SharedArrayBuffer(bytes), byteOffset: 0, bytes };
  const process = new ThisProcess(new MemoryPort(world, 0));
  return { world, place, queue: MessageQueue.create(process, place) };
}

describe('random sizes come out byte for byte as they were sent', () => {
  const table: [ringBytes: number, largest: number, count: number, flush: boolean][] = [
    [8, 30, 2_000, true],
    [104, 300, 5_000, true],
    [1024, 700, 10_000, false],
    [32_768, 1_000, 10_000, true],
    [16_192, 270_000, 20, false],
  ];
  test.each(table)(
    'ring %d, sizes up to %d, %d messages, flush %s',
    async (...row) => {
      const [ringBytes, largest, count, flush] = row;
      const { world, place, queue } = hereAndThere(ringBytes);
      const sent = inThread('sendRandom', world, place, 7, count, largest, flush);
      const random = randomFrom(7);
      let received = 0;
      for await (const message of queue.receive()) {
        const expected = randomBytes(random, Math.floor(random() * (largest + 1)));
        if (Buffer.compare(message, expected) !== 0) throw new Error(`message ${received} differs`);
        received += 1;
      }
      expect(received).toBe(count);
      expect(await sent).toBe(count);
    },
    60_000,
  );
});

test('a receiver that goes in the middle ends the sender', async () => {
  const { world, place, queue } = hereAndThere(1024);
  const sent = inThread('sendRandom', world, place, 7, 1_000_000, 300, true);
  let received = 0;
  for await (const _ of queue.receive()) {
    received += 1;
    if (received === 5_000) break;
  }
  queue.detach();
  expect(await sent).toBeGreaterThanOrEqual(received - 1);
}, 60_000);
