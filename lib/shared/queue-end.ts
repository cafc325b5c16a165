// queue-end.ts: what the sender and the receiver of a message queue have in common: each is taken
// once, finds the other, wakes it, and detaches once, for ever.
//
// Who looks for the other end does so with a read-modify-write as long as there is none: so either
// it sees the new end and wakes it, or the new end's own exchange comes later and finds everything
// that was published before.

import { BgworkerError } from '../errors.ts';
import { endTaken, postmasterDied, queueCorrupted } from './messages.ts';
import { type QueueMemory, WORD } from './queue-memory.ts';
import type { ThisProcess } from './this-process.ts';

export interface EndOptions {
  /** Is the other end's process gone, or will it never start? Asked after each wake of this process
   *  (whoever learns of it sets his own latch), until that end has attached; from then on only its
   *  own detach counts. */
  readonly isPeerGone?: () => boolean;
  /** How often a wait looks again, blocking the event loop, before it sleeps. Default: 0. */
  readonly spins?: number;
  /** For the wiring: who calls the end off before its memory goes, in place of the exit. */
  readonly onLeave?: (act: () => void) => () => void;
}

export interface QueueWaitOptions {
  /** Its abort rejects with the signal's reason. A part of a message stays where it is: the next
   *  call continues with it. */
  readonly signal?: AbortSignal;
}

export abstract class QueueEnd {
  /** Views of nothing after detach(): the memory may be unmapped. */
  protected header: Int32Array;
  protected readonly process: ThisProcess;
  readonly #other: number;
  /** Looked at each time, for it may be said later. */
  readonly #options: EndOptions;
  readonly #forgetLeave: () => void;
  /** The slot of the other end, -1 until it is known. */
  #peer = -1;
  #hasLeft = false;

  constructor(
    process: ThisProcess,
    memory: QueueMemory,
    end: 'sender' | 'receiver',
    options: EndOptions,
  ) {
    this.process = process;
    this.header = memory.header;
    this.#other = end === 'sender' ? WORD.receiver : WORD.sender;
    this.#options = options;
    const before = Atomics.compareExchange(memory.header, WORD[end], 0, process.slot + 1);
    if (before !== 0) throw new BgworkerError('ERR_WRONG_STATE', endTaken(end, before - 1));
    const { onLeave = (act) => process.onLeave(act) } = options;
    this.#forgetLeave = onLeave(() => this.detach());
    this.wakePeer();
  }

  /** Has either end detached, or did the other one die before it came? */
  get isDetached(): boolean {
    return this.#hasLeft || Atomics.load(this.header, WORD.detached) !== 0;
  }

  /** Resolves when the other end has attached: 'SUCCESS', or will not: 'DETACHED'. */
  async waitForAttach(options: QueueWaitOptions = {}): Promise<'SUCCESS' | 'DETACHED'> {
    await this.wait(() => this.isDetached || this.isPeerHere() || this.isPeerGone(), options);
    return this.isDetached || !this.isPeerHere() ? 'DETACHED' : 'SUCCESS';
  }

  /** Publishes what is pending, says so, wakes the other end. Idempotent. */
  detach(): void {
    if (this.#hasLeft) return;
    this.finish();
    this.markDetached();
    this.wakePeer();
    this.#hasLeft = true;
    this.#forgetLeave();
    this.header = new Int32Array(0);
    // Our own waits for this queue have something to hear, too.
    this.process.waits.look();
  }

  [Symbol.dispose](): void {
    this.detach();
  }

  /** Last words of this end, while the memory is there. */
  protected abstract finish(): void;

  protected get hasLeft(): boolean {
    return this.#hasLeft;
  }

  protected isPeerHere(): boolean {
    if (this.#peer >= 0) return true;
    if (this.#hasLeft) return false;
    const peer = Atomics.or(this.header, this.#other, 0) - 1;
    if (peer >= this.process.slotCount || peer < -1)
      throw this.corrupted('its other end is no slot');
    this.#peer = peer;
    return peer >= 0;
  }

  /** Asked while the other end is not here. */
  protected isPeerGone(): boolean {
    if (this.isDetached) return true;
    if (this.#options.isPeerGone?.() !== true) return false;
    // It may have come, sent all it had and gone between our two looks.
    if (this.isPeerHere()) return false;
    this.markDetached();
    return true;
  }

  protected markDetached(): void {
    Atomics.exchange(this.header, WORD.detached, 1);
  }

  protected wakePeer(): void {
    // A peer that is no slot wakes nobody: on the way out there is no use in an error.
    const peer = this.#peer >= 0 ? this.#peer : Atomics.or(this.header, this.#other, 0) - 1;
    this.process.wakeWithLatch(peer);
  }

  /** Spins, then sleeps, until `holds`. */
  protected async wait(holds: () => boolean, { signal }: QueueWaitOptions): Promise<void> {
    signal?.throwIfAborted();
    const { spins = 0 } = this.#options;
    for (let spin = 0; spin < spins; spin += 1) {
      if (holds()) return;
    }
    const end = await this.process.waits.until(holds, { signal });
    if (end === 'postmasterDeath') throw new BgworkerError('ERR_WRONG_STATE', postmasterDied);
  }

  protected corrupted(problem: string): BgworkerError {
    return new BgworkerError('ERR_SHMEM_CORRUPT', queueCorrupted(problem));
  }
}
