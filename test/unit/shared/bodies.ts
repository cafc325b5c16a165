// bodies.ts: what the threads of these tests do. Each is a process of a world of its own number.

import { SharedLatch } from '../../../lib/shared/latch.ts';
import { Lwlock } from '../../../lib/shared/lwlock.ts';
import { MessageQueue, type QueuePlace } from '../../../lib/shared/message-queue.ts';
import { defineStruct } from '../../../lib/shared/struct.ts';
import { ThisProcess } from '../../../lib/shared/this-process.ts';
import { MemoryPort, type World } from './memory-port.ts';
import { randomBytes, randomFrom } from './random.ts';

export function attach(world: World, slot: number): ThisProcess {
  return new ThisProcess(new MemoryPort(world, slot));
}

/** Adds one to a plain number, so often, under a lock. */
export async function countUnderLock(
  world: World,
  slot: number,
  memory: SharedArrayBuffer,
  turns: number,
  how: 'async' | 'sync',
): Promise<number> {
  const lock = new Lwlock('counter');
  lock.bind(attach(world, slot), memory, 0);
  const counter = new Float64Array(memory, 64, 1);
  const add = () => {
    counter[0] = (counter[0] as number) + 1;
  };
  for (let turn = 0; turn < turns; turn += 1) {
    if (how === 'async') {
      await lock.with('exclusive', add);
    } else {
      const held = lock.acquireSync('exclusive');
      add();
      held.release();
    }
    if (turn % 16 === 0) await lock.with('shared', () => {});
  }
  return turns;
}

/** Adds one to an atomic field, so often. */
export function countAtomically(memory: SharedArrayBuffer, turns: number): void {
  const struct = defineStruct('hits', { count: 'u64' });
  struct.bind(memory, 0);
  for (let turn = 0; turn < turns; turn += 1) struct.fields.count.add(1n);
}

/**
 * Ping-pong by latches: a lost wake-up would be the end of it. `words`: [turn of 0, turn of 1].
 * Between look and sleep nothing is waited for, so over many turns every interleaving occurs.
 */
export async function playPingPong(
  world: World,
  slot: 0 | 1,
  memory: SharedArrayBuffer,
  turns: number,
): Promise<number> {
  const process = attach(world, slot);
  const mine = SharedLatch.ofProcess(process);
  const theirs = SharedLatch.ofProcess(process, 1 - slot);
  const words = new Int32Array(memory);
  for (let turn = 1; turn <= turns; turn += 1) {
    if (slot === 0) {
      Atomics.store(words, 0, turn);
      theirs.set();
    }
    for (;;) {
      mine.reset();
      if (Atomics.load(words, 1 - slot) >= turn) break;
      const woken = await mine.wait({ timeoutMs: 10_000 });
      if (woken.timeout) throw new Error(`slot ${slot} was not woken in turn ${turn}`);
    }
    if (slot === 1) {
      Atomics.store(words, 1, turn);
      theirs.set();
    }
    // Now and then be late, so that the other one really sleeps.
    if (turn % 64 === slot) await new Promise((resolve) => setImmediate(resolve));
  }
  return turns;
}

/** Sends `count` messages of random sizes from a seed, each of its own bytes. */
export async function sendRandom(
  world: World,
  place: QueuePlace,
  seed: number,
  count: number,
  largest: number,
  flush: boolean,
): Promise<number> {
  const queue = MessageQueue.open(attach(world, 1), place);
  const random = randomFrom(seed);
  for (let sent = 0; sent < count; sent += 1) {
    const message = randomBytes(random, Math.floor(random() * (largest + 1)));
    const result = await queue.send(message, { flush });
    if (result !== 'SUCCESS') return sent;
  }
  queue.detach();
  return count;
}
