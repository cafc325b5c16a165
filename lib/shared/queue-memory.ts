// queue-memory.ts: a place in shared memory that holds a message queue, its header checked.
//
// The layout is queue.h's, on whose essay everything rests. Words of 4 bytes: magic 0, ringBytes 1,
// sender 2, receiver 3 (slot + 1, 0 for nobody yet), detached 4, written 16, read 32; the ring
// starts at byte 192. ringBytes is compared with the size of the place once; from then on everybody
// uses a copy of his own, and no offset that is read from shared memory leads out of the ring.

import { BgworkerError } from '../errors.ts';
import { doesNotFit, misplaced, noQueueHere, queueTooSmall } from './messages.ts';

export const WORD = {
  magic: 0,
  ringBytes: 1,
  sender: 2,
  receiver: 3,
  detached: 4,
  written: 16,
  read: 32,
} as const;

const MAGIC = 0x514d4742; // "BGMQ" in memory
const HEADER_BYTES = 192;
const MAX_RING_BYTES = 2 ** 30;

/** Lengths and positions are multiples of this, in the ring and out of it. */
export const QUEUE_ALIGNMENT = 8;
/** The payload of one message: PostgreSQL's MaxAllocSize. */
export const MAX_MESSAGE_BYTES = 0x3fff_ffff;
/** The smallest place that is a queue: the header, and a length word. */
export const MIN_QUEUE_BYTES = HEADER_BYTES + QUEUE_ALIGNMENT;
const MAX_QUEUE_BYTES = HEADER_BYTES + MAX_RING_BYTES;

/** Where a queue lies. */
export interface QueuePlace {
  readonly buffer: ArrayBufferLike;
  /** On a cache line: a multiple of 64. */
  readonly byteOffset: number;
  /** Rounded down to 8; the same for create() and open(). */
  readonly bytes: number;
}

/** The views that both ends work with. */
export interface QueueMemory {
  readonly header: Int32Array;
  readonly ring: Uint8Array;
  /** The ring as words, for the length words. */
  readonly ringWords: Int32Array;
}

export function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** Makes a queue in this place, whatever was there before. */
export function createQueue(place: QueuePlace): QueueMemory {
  const memory = viewsOf(place);
  const { header, ring } = memory;
  for (const name of ['sender', 'receiver', 'detached', 'written', 'read'] as const) {
    Atomics.store(header, WORD[name], 0);
  }
  Atomics.store(header, WORD.ringBytes, ring.length);
  Atomics.store(header, WORD.magic, MAGIC);
  return memory;
}

/** The queue that was made in this place, with the same number of bytes. */
export function openQueue(place: QueuePlace): QueueMemory {
  const memory = viewsOf(place);
  const { header, ring } = memory;
  if (
    Atomics.load(header, WORD.magic) !== MAGIC ||
    Atomics.load(header, WORD.ringBytes) !== ring.length
  ) {
    throw new BgworkerError('ERR_WRONG_STATE', noQueueHere);
  }
  return memory;
}

function viewsOf({ buffer, byteOffset, bytes }: QueuePlace): QueueMemory {
  const refuse = (problem: string) => {
    throw new BgworkerError('ERR_INVALID_OPTION', problem);
  };
  if (!Number.isInteger(byteOffset) || byteOffset < 0 || byteOffset % 64 !== 0) {
    refuse(misplaced('a message queue', 64, byteOffset));
  }
  const whole = Math.floor(bytes / QUEUE_ALIGNMENT) * QUEUE_ALIGNMENT;
  if (!Number.isInteger(bytes) || whole < MIN_QUEUE_BYTES || whole > MAX_QUEUE_BYTES) {
    refuse(queueTooSmall(MIN_QUEUE_BYTES, MAX_QUEUE_BYTES, bytes));
  }
  const room = Math.max(0, buffer.byteLength - byteOffset);
  if (bytes > room) refuse(doesNotFit('a message queue', bytes, room));
  const ringBytes = whole - HEADER_BYTES;
  return {
    header: new Int32Array(buffer, byteOffset, HEADER_BYTES / 4),
    ring: new Uint8Array(buffer, byteOffset + HEADER_BYTES, ringBytes),
    ringWords: new Int32Array(buffer, byteOffset + HEADER_BYTES, ringBytes / 4),
  };
}
