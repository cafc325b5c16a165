// queue-receiver.ts: the receiving end of a message queue (queue_receiver.cc, in JavaScript).
//
// A message that lies in the ring in one piece is not copied: what the user gets is a view of the
// ring, valid until the next receive. One that wraps, or is longer than the ring, is put together
// in a buffer of ours, which the next one uses again. Either way: who wants to keep it, copies it.
//
// What was consumed is told the sender when it is a quarter of the ring, and before we wait.

import { BgworkerError } from '../errors.ts';
import { receiving } from './messages.ts';
import { type EndOptions, QueueEnd, type QueueWaitOptions } from './queue-end.ts';
import {
  MAX_MESSAGE_BYTES,
  padded,
  QUEUE_ALIGNMENT,
  type QueueMemory,
  WORD,
} from './queue-memory.ts';
import type { ThisProcess } from './this-process.ts';

export type Received<Message> =
  | { readonly result: 'SUCCESS'; readonly message: Message }
  /** The sender is gone, and every whole message that it sent has been received. */
  | { readonly result: 'DETACHED' };
export type TryReceived<Message> = Received<Message> | { readonly result: 'WOULD_BLOCK' };

const WOULD_BLOCK = Object.freeze({ result: 'WOULD_BLOCK' });
const DETACHED = Object.freeze({ result: 'DETACHED' });

export function asIteratorResult<Message>(
  received: Received<Message>,
): IteratorResult<Message, undefined> {
  return received.result === 'SUCCESS'
    ? { done: false, value: received.message }
    : { done: true, value: undefined };
}

export class QueueReceiver extends QueueEnd implements AsyncIterable<Uint8Array> {
  #ring: Uint8Array;
  #ringWords: Int32Array;
  readonly #ringBytes: number;
  readonly #quarter: number;
  /** Our place in the ring. */
  #position = 0;
  /** Bytes ever taken out, modulo 2^32, as an int32; and how many of them are published. */
  #taken = 0;
  #published = 0;
  /** `written`, when we last looked. */
  #written = 0;
  /** The length of the message under way, -1 for none; and how much of it is in the buffer. */
  #expected = -1;
  #copied = 0;
  #own = new Uint8Array(0);
  #isReceiving = false;

  constructor(process: ThisProcess, memory: QueueMemory, options: EndOptions = {}) {
    super(process, memory, 'receiver', options);
    this.#ring = memory.ring;
    this.#ringWords = memory.ringWords;
    this.#ringBytes = memory.ring.length;
    this.#quarter = Math.floor(memory.ring.length / 4);
  }

  /** Never waits. The message before is gone from here on, whatever the result. */
  tryReceive(): TryReceived<Uint8Array> {
    if (this.#isReceiving) throw new BgworkerError('ERR_WRONG_STATE', receiving);
    return this.#receive();
  }

  /** Waits for a message. One at a time. */
  receive(options: QueueWaitOptions = {}): Promise<Received<Uint8Array>> {
    try {
      options.signal?.throwIfAborted();
      const received = this.tryReceive();
      if (received.result === 'WOULD_BLOCK') return this.#receiveWaiting(options);
      return this.process.waits.giveWay()?.then(() => received) ?? Promise.resolve(received);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * The messages until the sender detaches, each valid until the next is asked for. Nothing is read
   * ahead: who is slow keeps the ring full, and the sender waiting. A break leaves the end attached.
   */
  iterate(options: QueueWaitOptions = {}): AsyncIterableIterator<Uint8Array, undefined> {
    // By hand: an async generator costs two more turns of the microtask queue for each message.
    return {
      next: () => this.receive(options).then(asIteratorResult),
      return: () => Promise.resolve({ done: true, value: undefined }),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array, undefined> {
    return this.iterate();
  }

  protected override finish(): void {
    if (this.#pending() > 0) this.#publish();
    this.#ring = this.#own = new Uint8Array(0);
    this.#ringWords = new Int32Array(0);
  }

  async #receiveWaiting(options: QueueWaitOptions): Promise<Received<Uint8Array>> {
    this.#isReceiving = true;
    try {
      for (;;) {
        await this.wait(() => this.#canContinue(), options);
        const received = this.#receive();
        if (received.result !== 'WOULD_BLOCK') return received;
      }
    } finally {
      this.#isReceiving = false;
    }
  }

  #receive(): TryReceived<Uint8Array> {
    if (this.hasLeft) return DETACHED;
    // The message before this one is not looked at any more.
    if (this.#pending() > this.#quarter) this.#tell();
    if (this.#expected < 0) {
      let used = this.#used(QUEUE_ALIGNMENT);
      while (used === 0) {
        const end = this.#whyNothing();
        if (end !== null) return end;
        used = this.#used(QUEUE_ALIGNMENT);
      }
      const length = this.#lengthHere();
      const body = padded(length);
      const after = this.#position + QUEUE_ALIGNMENT;
      const at = after === this.#ringBytes ? 0 : after;
      const whole = QUEUE_ALIGNMENT + body;
      if (at + body <= this.#ringBytes && (used >= whole || this.#used(whole) >= whole)) {
        this.#consume(whole);
        return { result: 'SUCCESS', message: this.#view(at, length) };
      }
      this.#consume(QUEUE_ALIGNMENT);
      this.#expected = length;
      this.#copied = 0;
    }
    return this.#assemble();
  }

  /** The rest of a message that is not here in one piece yet, or never will be. */
  #assemble(): TryReceived<Uint8Array> {
    const expected = this.#expected;
    for (;;) {
      const needed = this.#nextPiece();
      const used = this.#used(needed);
      const straight = this.#ringBytes - this.#position;
      if (used < needed && used < straight) {
        const end = this.#whyNothing();
        if (end !== null) return end;
        continue;
      }
      const chunk = Math.min(used, straight);
      if (this.#copied === 0 && chunk >= expected) {
        const at = this.#position;
        this.#consume(padded(expected));
        this.#expected = -1;
        return { result: 'SUCCESS', message: this.#view(at, expected) };
      }
      this.#growOwn(expected);
      const bytes = Math.min(chunk, expected - this.#copied);
      this.#own.set(this.#view(this.#position, bytes), this.#copied);
      this.#copied += bytes;
      this.#consume(padded(bytes));
      if (this.#copied === expected) {
        this.#expected = -1;
        return { result: 'SUCCESS', message: this.#own.subarray(0, expected) };
      }
      if (this.#pending() > this.#quarter) this.#tell();
    }
  }

  /** How much of the message to wait for: all that is left, if it can lie in one piece and so need
   *  not be copied; else a quarter of the ring, to copy it while the sender writes the next. */
  #nextPiece(): number {
    const left = this.#expected - this.#copied;
    const inOnePiece = this.#copied === 0 && left <= this.#ringBytes - this.#position;
    const quarter = padded(this.#quarter);
    return inOnePiece || left < quarter ? left : quarter;
  }

  /** There is not enough to go on with; null if there is, now. */
  #whyNothing(): typeof WOULD_BLOCK | typeof DETACHED | null {
    // In this order: what was published before the end is still delivered.
    const written = this.#written;
    const isOver = this.isDetached || (!this.isPeerHere() && this.isPeerGone());
    if (Atomics.load(this.header, WORD.written) !== written) return null;
    if (isOver) return DETACHED;
    if (this.#pending() > 0) {
      this.#tell();
      // Perhaps the sender waited for just that.
      if (Atomics.load(this.header, WORD.written) !== written) return null;
    }
    return WOULD_BLOCK;
  }

  #canContinue(): boolean {
    if (this.isDetached) return true;
    const needed = this.#expected < 0 ? QUEUE_ALIGNMENT : this.#nextPiece();
    const used = this.#used(needed);
    if (used >= needed || used >= this.#ringBytes - this.#position) return true;
    return !this.isPeerHere() && this.isPeerGone();
  }

  /** The length word at our place, believed only if it can be one. */
  #lengthHere(): number {
    const at = this.#position >> 2;
    const length = this.#ringWords[at] as number;
    if (this.#ringWords[at + 1] !== 0 || length < 0 || length > MAX_MESSAGE_BYTES) {
      throw this.corrupted('a length is over the limit');
    }
    return length;
  }

  /** At least; looks at the sender's counter only if it seems fewer than `needed`. */
  #used(needed: number): number {
    const used = (this.#written - this.#taken) | 0;
    if (used >= needed && used > 0) return used;
    // Pairs with the sender's publish: the bytes stand before it.
    this.#written = Atomics.load(this.header, WORD.written);
    const now = (this.#written - this.#taken) | 0;
    if (now < 0 || now > this.#ringBytes || now % QUEUE_ALIGNMENT !== 0) {
      throw this.corrupted('more was written than there is room for');
    }
    return now;
  }

  #view(at: number, length: number): Uint8Array {
    return new Uint8Array(this.#ring.buffer, this.#ring.byteOffset + at, length);
  }

  #consume(bytes: number): void {
    this.#taken = (this.#taken + bytes) | 0;
    const position = this.#position + bytes;
    this.#position = position >= this.#ringBytes ? position - this.#ringBytes : position;
  }

  #pending(): number {
    return (this.#taken - this.#published) | 0;
  }

  #publish(): void {
    Atomics.store(this.header, WORD.read, this.#taken);
    this.#published = this.#taken;
  }

  #tell(): void {
    this.#publish();
    this.wakePeer();
  }

  /** To the next power of two. Only before the first bytes of a message: nothing of it is needed. */
  #growOwn(bytes: number): void {
    if (bytes <= this.#own.length) return;
    this.#own = new Uint8Array(2 ** Math.ceil(Math.log2(bytes)));
  }
}
