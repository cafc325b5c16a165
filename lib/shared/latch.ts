// latch.ts: a one-bit doorbell in shared memory. Any process may set a latch; only its owner waits on
// it. Sets fold into one, so after each wake the owner looks at all of its work, not at "the" thing
// that set it.
//
//     for (;;) { latch.reset(); await doAllWork(); await latch.wait({ timeoutMs }); }
//
// Reset, look, sleep, in that order: resetting last would lose the set that came in between. A set
// before the wait is not lost; it is a level, not an edge.
//
// The word (latch.h): bit 31 set, the rest the owner's slot + 1, 0 for nobody. Every change is a
// read-modify-write, so what a setter wrote before is seen after the reset, even if the latch was
// set already. set() costs no system call unless the owner sleeps.

import { BgworkerError } from '../errors.ts';
import { foreignLatch, latchTaken, noSuchSlot, notAttached } from './messages.ts';
import type { ThisProcess } from './this-process.ts';
import { checkTimeout, LATCH_WORD, SLOT_WORDS } from './waits.ts';

/** What ended a wait. More than one may be true. */
export interface LatchWaitResult {
  readonly latchSet: boolean;
  readonly timeout: boolean;
  /** The postmaster is dead: leave soon, before the launcher ends what is left. */
  readonly postmasterDeath: boolean;
}

export interface LatchWaitOptions {
  /** Milliseconds, 0 to 2 147 483 647; 0 only looks. Default: for ever. */
  readonly timeoutMs?: number;
  /** Its abort rejects the wait with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** sizeof(SharedLatch); zero is a latch of nobody that is not set. */
export const LATCH_BYTES = 4;

const OWNER = 0x7fff_ffff;
const SET = 1 << 31;

export class SharedLatch {
  readonly #process: ThisProcess;
  /** Empty once the segment that they lie in is detached. */
  readonly #words: Int32Array;
  readonly #index: number;
  readonly #what: string;

  /** A latch anywhere in shared memory: word `index` of `words`. Zero is a latch of nobody. */
  constructor(process: ThisProcess, words: Int32Array, index: number, what = 'the process latch') {
    this.#process = process;
    this.#words = words;
    this.#index = index;
    this.#what = what;
  }

  /** The latch of the process in `slot`; without it, this process's own. */
  static ofProcess(process: ThisProcess, slot = process.slot): SharedLatch {
    if (!(Number.isInteger(slot) && slot >= 0 && slot < process.slotCount)) {
      throw new BgworkerError('ERR_INVALID_OPTION', noSuchSlot(process.slotCount, slot));
    }
    return new SharedLatch(process, process.port.processTable, slot * SLOT_WORDS + LATCH_WORD);
  }

  /** No effect if it is set already; the flag alone if nobody owns it. */
  set(): void {
    const old = Atomics.or(this.#mapped, this.#index, SET);
    const owner = (old & OWNER) - 1;
    // Set already: who set it wakes the owner, or has. Our own waits look all the same: they may
    // ask for what only this process knows, such as whether the peer of a queue has gone.
    if (old < 0 && owner !== this.#process.slot) return;
    if (owner >= 0 && owner < this.#process.slotCount) this.#process.wake(owner);
  }

  /** By the owner, before looking for work, never after. */
  reset(): void {
    this.#requireOwner();
    Atomics.and(this.#words, this.#index, OWNER);
  }

  get isSet(): boolean {
    return Atomics.load(this.#mapped, this.#index) < 0;
  }

  /** The owner's slot, -1 for nobody. */
  get owner(): number {
    return (Atomics.load(this.#mapped, this.#index) & OWNER) - 1;
  }

  /** Keeps the set bit. Throws if somebody owns it. Process latches are owned from the start. */
  own(): void {
    for (;;) {
      const old = Atomics.load(this.#mapped, this.#index);
      if ((old & OWNER) !== 0) {
        throw new BgworkerError('ERR_WRONG_STATE', latchTaken(this.#what, (old & OWNER) - 1));
      }
      const owned = (old & SET) | (this.#process.slot + 1);
      if (Atomics.compareExchange(this.#words, this.#index, old, owned) === old) return;
    }
  }

  /** By the owner. Others may go on setting it. */
  disown(): void {
    this.#requireOwner();
    Atomics.and(this.#words, this.#index, SET);
  }

  /** Before the memory is unmapped: nobody else must take this process for its owner for ever. */
  leave(): void {
    if (this.owner === this.#process.slot) this.disown();
  }

  /** By the owner. Resolves at once if it is set already; it stays set. */
  wait(options: LatchWaitOptions = {}): Promise<LatchWaitResult> {
    const { timeoutMs, signal } = options;
    checkTimeout(timeoutMs);
    this.#requireOwner();
    const { waits } = this.#process;
    return waits
      .until(() => this.isSet, { timeoutMs, signal })
      .then((end) => ({
        latchSet: this.isSet,
        timeout: end === 'timeout',
        postmasterDeath: waits.isOrphaned,
      }));
  }

  /** For the worker's own wiring: the postmaster is dead. true if somebody was waiting to hear it. */
  orphan(): boolean {
    return this.#process.waits.orphan();
  }

  #requireOwner(): void {
    const { owner } = this;
    if (owner === this.#process.slot) return;
    throw new BgworkerError('ERR_WRONG_STATE', foreignLatch(this.#what, owner));
  }

  get #mapped(): Int32Array {
    if (this.#words.length > 0) return this.#words;
    throw new BgworkerError('ERR_WRONG_STATE', notAttached(this.#what));
  }
}
