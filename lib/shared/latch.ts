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
import { foreignLatch, latchTaken, notAttached } from './messages.ts';
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

const OWNER = 0x7fff_ffff;
const SET = 1 << 31;

export class SharedLatch {
  readonly #process: ThisProcess;
  readonly #words: Int32Array;
  readonly #index: number;

  /** A latch anywhere in shared memory: word `index` of `words`. Zero is a latch of nobody. */
  constructor(process: ThisProcess, words: Int32Array, index: number) {
    this.#process = process;
    this.#words = words;
    this.#index = index;
  }

  /** The latch of the process in `slot`; without it, this process's own. */
  static ofProcess(process: ThisProcess, slot = process.slot): SharedLatch {
    if (!(Number.isInteger(slot) && slot >= 0 && slot < process.slotCount)) {
      throw new RangeError(`slot must be a whole number below ${process.slotCount}, got ${slot}`);
    }
    return new SharedLatch(process, process.port.processTable, slot * SLOT_WORDS + LATCH_WORD);
  }

  /** No effect if it is set already; the flag alone if nobody owns it. */
  set(): void {
    const old = Atomics.or(this.#words, this.#index, SET);
    // Set already: who set it wakes the owner, or has.
    if (old <= 0) return;
    const owner = old - 1;
    if (owner < this.#process.slotCount) this.#process.wake(owner);
  }

  /** By the owner, before looking for work, never after. */
  reset(): void {
    Atomics.and(this.#words, this.#index, OWNER);
  }

  get isSet(): boolean {
    return Atomics.load(this.#words, this.#index) < 0;
  }

  /** The owner's slot, -1 for nobody. */
  get owner(): number {
    return (Atomics.load(this.#words, this.#index) & OWNER) - 1;
  }

  /** Keeps the set bit. Throws if somebody owns it. Process latches are owned from the start. */
  own(): void {
    for (;;) {
      const old = Atomics.load(this.#words, this.#index);
      if ((old & OWNER) !== 0) {
        throw new BgworkerError('ERR_WRONG_STATE', latchTaken((old & OWNER) - 1));
      }
      const owned = (old & SET) | (this.#process.slot + 1);
      if (Atomics.compareExchange(this.#words, this.#index, old, owned) === old) return;
    }
  }

  /** By the owner. Others may go on setting it. */
  disown(): void {
    if (this.owner !== this.#process.slot) {
      throw new BgworkerError('ERR_WRONG_STATE', foreignLatch(this.owner));
    }
    Atomics.and(this.#words, this.#index, SET);
  }

  /** By the owner. Resolves at once if it is set already; it stays set. */
  wait(options: LatchWaitOptions = {}): Promise<LatchWaitResult> {
    const { timeoutMs, signal } = options;
    checkTimeout(timeoutMs);
    if (this.owner !== this.#process.slot) {
      throw new BgworkerError('ERR_WRONG_STATE', foreignLatch(this.owner));
    }
    const { waits } = this.#process;
    return waits
      .until(() => this.#look(), { timeoutMs, signal })
      .then((end) => ({
        latchSet: this.isSet,
        timeout: end === 'timeout',
        postmasterDeath: waits.isOrphaned,
      }));
  }

  #look(): boolean {
    // The segment in which it lay may have been detached meanwhile.
    if (this.#words.length === 0) throw new BgworkerError('ERR_WRONG_STATE', notAttached('latch'));
    return this.isSet;
  }

  /** For the worker's own wiring: the postmaster is dead. true if somebody was waiting to hear it. */
  orphan(): boolean {
    return this.#process.waits.orphan();
  }
}
