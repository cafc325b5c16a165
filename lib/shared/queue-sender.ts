// queue-sender.ts: the sending end of a message queue (queue_sender.cc, in JavaScript).
//
// Bytes first go into the ring, then they are published: `written` says up to where the receiver may
// look. To publish is two or three atomic operations, so who sends many small messages lets them
// gather: { flush: false } publishes when a quarter of the ring is pending, when the ring is full,
// at flush() and at detach().
//
// The receiver's counter is read only when the ring looks full by what we last saw of it: between
// two looks the two ends share no cache line but those of the messages.

import { BgworkerError } from '../errors.ts';
import { messageTooLarge, notBytes, notIdentical } from './messages.ts';
import { type EndOptions, QueueEnd, type QueueWaitOptions } from './queue-end.ts';
import {
  MAX_MESSAGE_BYTES,
  padded,
  QUEUE_ALIGNMENT,
  type QueueMemory,
  WORD,
} from './queue-memory.ts';
import type { ThisProcess } from './this-process.ts';

export type SendResult = 'SUCCESS' | 'WOULD_BLOCK' | 'DETACHED';

export interface SendOptions {
  /** false: publish only when a quarter of the ring is pending. Default: true. */
  readonly flush?: boolean;
}

// Most sends do not wait, and all of them end in one of two ways.
const SUCCESS = Promise.resolve('SUCCESS' as const);
const DETACHED = Promise.resolve('DETACHED' as const);
const nothing = () => {};

function isIdentical(one: Uint8Array, other: Uint8Array): boolean {
  return (
    one.buffer === other.buffer &&
    one.byteOffset === other.byteOffset &&
    one.length === other.length
  );
}

export class QueueSender extends QueueEnd {
  #ring: Uint8Array;
  #ringWords: Int32Array;
  readonly #ringBytes: number;
  readonly #quarter: number;
  /** Our place in the ring. */
  #position = 0;
  /** Bytes ever put there, modulo 2^32, as an int32; and how many of them are published. */
  #put = 0;
  #published = 0;
  /** `read`, when we last looked. */
  #read = 0;
  /** The message of which a part is in the ring, and how much of it. */
  #underWay: Uint8Array | null = null;
  #done = 0;
  /** The waiting sends, one behind the other. */
  #waiting = 0;
  #last: Promise<unknown> = SUCCESS;

  constructor(process: ThisProcess, memory: QueueMemory, options: EndOptions = {}) {
    super(process, memory, 'sender', options);
    this.#ring = memory.ring;
    this.#ringWords = memory.ringWords;
    this.#ringBytes = memory.ring.length;
    this.#quarter = Math.floor(memory.ring.length / 4);
  }

  /** Is a part of a message in the ring, the rest of which must be sent next? */
  get isUnderWay(): boolean {
    return this.#underWay !== null;
  }

  /** Is it a part of this very message? */
  isUnderWayWith(message: Uint8Array): boolean {
    return this.#underWay !== null && isIdentical(this.#underWay, message);
  }

  /**
   * Never waits. After 'WOULD_BLOCK' a part of the message may have been sent (isUnderWay): the
   * identical one, the same bytes in the same place, must be sent next. 'DETACHED', even if the bytes were just written: nobody will read them.
   */
  trySend(message: Uint8Array, options?: SendOptions): SendResult {
    // Those who wait are first. Nothing of this message was sent then.
    if (this.#waiting > 0) return 'WOULD_BLOCK';
    return this.#send(message, options === undefined || options.flush !== false);
  }

  /**
   * Waits until the message is in the ring. The bytes must not change before. Sends that wait go in
   * the order of their calls; an abort rejects once its send's turn has come.
   */
  send(
    message: Uint8Array,
    options: SendOptions & QueueWaitOptions = {},
  ): Promise<'SUCCESS' | 'DETACHED'> {
    if (this.#waiting === 0 && options.signal?.aborted !== true) {
      try {
        const result = this.#send(message, options.flush !== false);
        const end = result === 'DETACHED' ? DETACHED : SUCCESS;
        if (result !== 'WOULD_BLOCK') return this.process.waits.giveWay()?.then(() => end) ?? end;
      } catch (error) {
        return Promise.reject(error);
      }
    }
    this.#waiting += 1;
    const sent = this.#last.then(() => this.#sendWaiting(message, options));
    this.#last = sent.then(nothing, nothing);
    return sent;
  }

  /** Publishes what is pending, and wakes the receiver. */
  flush(): void {
    if (this.hasLeft || this.#put === this.#published) return;
    this.#publish();
    this.wakePeer();
  }

  protected override finish(): void {
    if (this.#put !== this.#published) this.#publish();
    this.#ring = new Uint8Array(0);
    this.#ringWords = new Int32Array(0);
  }

  async #sendWaiting(
    message: Uint8Array,
    options: SendOptions & QueueWaitOptions,
  ): Promise<'SUCCESS' | 'DETACHED'> {
    try {
      for (;;) {
        options.signal?.throwIfAborted();
        const result = this.#send(message, options.flush !== false);
        if (result !== 'WOULD_BLOCK') return result;
        await this.wait(() => this.#canContinue(), options);
      }
    } finally {
      this.#waiting -= 1;
    }
  }

  #send(message: Uint8Array, flush: boolean): SendResult {
    if (!(message instanceof Uint8Array)) {
      throw new BgworkerError('ERR_INVALID_OPTION', notBytes(message));
    }
    if (this.hasLeft) return 'DETACHED';
    const length = message.length;
    if (this.#underWay !== null || length >= this.#quarter) return this.#stream(message, flush);
    const whole = QUEUE_ALIGNMENT + padded(length);
    if (whole > this.#freeBytes(whole)) return this.#stream(message, flush);
    this.#putLength(length);
    const at = this.#position;
    const straight = this.#ringBytes - at;
    if (length <= straight) {
      this.#ring.set(message, at);
    } else {
      this.#ring.set(message.subarray(0, straight), at);
      this.#ring.set(message.subarray(straight), 0);
    }
    this.#advance(whole - QUEUE_ALIGNMENT);
    if (Atomics.load(this.header, WORD.detached) !== 0) return 'DETACHED';
    this.#flushIf(flush);
    return 'SUCCESS';
  }

  /** A message that is long, or does not fit in now, or is under way: piece by piece. */
  #stream(message: Uint8Array, flush: boolean): SendResult {
    const length = message.length;
    if (length > MAX_MESSAGE_BYTES) {
      throw new BgworkerError('ERR_INVALID_OPTION', messageTooLarge(length, MAX_MESSAGE_BYTES));
    }
    if (this.#underWay !== null && !isIdentical(this.#underWay, message)) {
      throw new BgworkerError('ERR_WRONG_STATE', notIdentical);
    }
    while (this.#underWay === null || this.#done < length) {
      if (this.isDetached) return this.#forget();
      const free = this.#freeBytes(QUEUE_ALIGNMENT);
      if (free === 0) {
        if (this.#isStuck()) return this.isDetached ? this.#forget() : 'WOULD_BLOCK';
        continue;
      }
      // By quarters of the ring, so that the other end reads one while we write the next.
      if (this.#pending() > this.#quarter) this.flush();
      if (this.#underWay === null) {
        // A length word is 8 bytes in a ring of whole 8 bytes: it goes in one piece or not at all.
        this.#putLength(length);
        this.#underWay = message;
        this.#done = 0;
      } else {
        this.#putPiece(message, free);
      }
    }
    this.#underWay = null;
    if (this.isDetached) return 'DETACHED';
    this.#flushIf(flush);
    return 'SUCCESS';
  }

  #putLength(length: number): void {
    const at = this.#position >> 2;
    this.#ringWords[at] = length;
    this.#ringWords[at + 1] = 0;
    this.#advance(QUEUE_ALIGNMENT);
  }

  #putPiece(message: Uint8Array, free: number): void {
    const left = message.length - this.#done;
    const straight = this.#ringBytes - this.#position;
    const bytes = Math.min(left, free, padded(this.#quarter + 1), straight);
    this.#ring.set(message.subarray(this.#done, this.#done + bytes), this.#position);
    this.#done += bytes;
    this.#advance(padded(bytes));
  }

  #advance(bytes: number): void {
    this.#put = (this.#put + bytes) | 0;
    const position = this.#position + bytes;
    this.#position = position >= this.#ringBytes ? position - this.#ringBytes : position;
  }

  /** The ring is full. Tells the other end what there is, even before it has come. */
  #isStuck(): boolean {
    this.flush();
    // It may have read before we saw it.
    if (!this.isPeerHere()) return this.isPeerGone() || !this.isPeerHere();
    return this.#freeBytes(QUEUE_ALIGNMENT) === 0;
  }

  #canContinue(): boolean {
    if (this.isDetached || this.#freeBytes(QUEUE_ALIGNMENT) > 0) return true;
    return !this.isPeerHere() && this.isPeerGone();
  }

  /** At least; looks at the receiver's counter only if it seems fewer than `needed`. */
  #freeBytes(needed: number): number {
    const free = this.#ringBytes - ((this.#put - this.#read) | 0);
    if (free >= needed) return free;
    // Pairs with the receiver's publish: we do not overwrite what it still reads.
    this.#read = Atomics.load(this.header, WORD.read);
    const used = (this.#put - this.#read) | 0;
    if (used < 0 || used > this.#ringBytes || used % QUEUE_ALIGNMENT !== 0) {
      throw this.corrupted('more was read than was written');
    }
    return this.#ringBytes - used;
  }

  #pending(): number {
    return (this.#put - this.#published) | 0;
  }

  #flushIf(flush: boolean): void {
    if (!flush && this.#pending() <= this.#quarter) return;
    this.#publish();
    this.wakePeer();
  }

  #publish(): void {
    Atomics.store(this.header, WORD.written, this.#put);
    this.#published = this.#put;
  }

  #forget(): 'DETACHED' {
    this.#underWay = null;
    return 'DETACHED';
  }
}
