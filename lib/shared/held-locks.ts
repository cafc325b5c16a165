// held-locks.ts: the LWLocks that this process holds or waits for, so that an error or the exit can
// release them.
//
// Memory of this process only. A wait counts as a lock held: it keeps a place in the list, so that
// what is granted can always be put down. Locks are mostly nested, so looks go from the latest
// backwards.

import { BgworkerError } from '../errors.ts';
import { hasLeft, tooManyLocks } from './messages.ts';
import { LOCK_ACQUIRED, type LockMode, NO_NODE, type SharedPort } from './port.ts';
import type { Uses } from './uses.ts';
import type { Waits } from './waits.ts';

/** PostgreSQL's limit of LWLocks per process. */
export const MAX_HELD_LOCKS = 200;

const EXCLUSIVE = 1 << 24;
const SHARED_MASK = (1 << 18) - 1;

/** A lock that this process holds. */
export interface Hold {
  readonly words: Int32Array;
  readonly mode: LockMode;
}

/** Takes the lock if nobody stands in the way, without a call of the core. */
export function takeQuickly(words: Int32Array, mode: LockMode): boolean {
  if (mode === 'exclusive') return Atomics.compareExchange(words, 0, 0, EXCLUSIVE) === 0;
  const state = Atomics.load(words, 0);
  return (
    state >= 0 &&
    state < SHARED_MASK &&
    Atomics.compareExchange(words, 0, state, state + 1) === state
  );
}

/** The same the other way; false if others wait, or if others came and went meanwhile. */
function giveBackQuickly(words: Int32Array, mode: LockMode): boolean {
  if (mode === 'exclusive') {
    return Atomics.compareExchange(words, 0, EXCLUSIVE, 0) === EXCLUSIVE;
  }
  const state = Atomics.load(words, 0);
  return (
    state > 0 &&
    state <= SHARED_MASK &&
    Atomics.compareExchange(words, 0, state, state - 1) === state
  );
}

/** Views of the same word are the same lock. */
function isSameLock(one: Int32Array, other: Int32Array): boolean {
  return one.buffer === other.buffer && one.byteOffset === other.byteOffset;
}

export class HeldLocks {
  readonly #port: SharedPort;
  readonly #waits: Waits;
  readonly #uses: Uses;
  readonly #held: Hold[] = [];
  /** Waits under way, each with a place kept in the list, and the number that the core gave it. */
  readonly #waiting = new Map<Hold, number>();
  #hasLeft = false;

  constructor(port: SharedPort, waits: Waits, uses: Uses) {
    this.#port = port;
    this.#waits = waits;
    this.#uses = uses;
  }

  get count(): number {
    return this.#held.length;
  }

  holds(hold: Hold): boolean {
    return this.#held.lastIndexOf(hold) >= 0;
  }

  /** The latest hold of the lock at this place. */
  latestOf(words: Int32Array): Hold | undefined {
    return this.#held.findLast((hold) => isSameLock(hold.words, words));
  }

  /** Does this process hold it, or wait for it on the event loop? Then it must not block for it. */
  isInvolved(words: Int32Array): boolean {
    return [...this.#held, ...this.#waiting.keys()].some((hold) => isSameLock(hold.words, words));
  }

  /** See waits.ts. */
  giveWay(): Promise<void> | null {
    return this.#waits.giveWay();
  }

  /** Without waiting and without side effects if it fails. */
  tryAcquire(hold: Hold): boolean {
    this.#requireRoom();
    const { words, mode } = hold;
    if (!takeQuickly(words, mode)) {
      // What the word says without doubt needs no call: somebody is in the way.
      const inTheWay = mode === 'exclusive' ? EXCLUSIVE | SHARED_MASK : EXCLUSIVE;
      if ((Atomics.load(words, 0) & inTheWay) !== 0) return false;
      if (!this.#port.tryLock(words, mode)) return false;
    }
    this.#held.push(hold);
    return true;
  }

  /** Blocks this thread. The caller has seen that it does not wait for itself. */
  acquireBlocking(hold: Hold): void {
    this.#requireRoom();
    if (!takeQuickly(hold.words, hold.mode)) this.#port.acquireLock(hold.words, hold.mode);
    this.#held.push(hold);
  }

  /** Waits on the event loop. An abort gives up the place in the queue. */
  async acquire(hold: Hold, signal: AbortSignal | undefined): Promise<void> {
    this.#requireRoom();
    this.#waiting.set(hold, NO_NODE);
    const use = this.#uses.begin(hold.words.buffer, () => this.#cancel(hold));
    const isGranted = () => {
      use.check();
      if (!this.#isGranted(hold)) return false;
      use.done();
      return true;
    };
    try {
      await this.#waits.until(isGranted, { signal, postmasterDeath: false });
    } finally {
      use.end();
    }
  }

  /** false: it is not held, and nothing was done. */
  release(hold: Hold): boolean {
    const at = this.#held.lastIndexOf(hold);
    if (at < 0) return false;
    if (at === this.#held.length - 1) this.#held.pop();
    else this.#held.splice(at, 1);
    if (!giveBackQuickly(hold.words, hold.mode)) this.#port.releaseLock(hold.words, hold.mode);
    return true;
  }

  /** The latest first. What the locks protected may be half changed: that is the caller's worry. */
  releaseAll(): void {
    for (let last = this.#held.at(-1); last !== undefined; last = this.#held.at(-1)) {
      this.release(last);
    }
  }

  /** Before this memory goes. */
  releaseWithin(buffer: ArrayBufferLike): void {
    for (const hold of this.#held.filter(({ words }) => words.buffer === buffer).reverse()) {
      this.release(hold);
    }
  }

  /** The exit path, once the waits have ended: nothing is acquired any more. */
  leave(): void {
    this.#hasLeft = true;
    this.releaseAll();
  }

  /** Asked after each wake. From its yes on, the lock is in the list. */
  #isGranted(hold: Hold): boolean {
    let wait = this.#waiting.get(hold) ?? NO_NODE;
    if (wait === NO_NODE) {
      // Without a wait node there is no place in the lock's queue; one is free when a wait ends.
      wait = this.#port.beginLock(hold.words, hold.mode);
      this.#waiting.set(hold, wait);
    }
    if (wait === NO_NODE || (wait !== LOCK_ACQUIRED && !this.#port.isGranted(wait))) {
      return false;
    }
    this.#waiting.delete(hold);
    this.#held.push(hold);
    return true;
  }

  #cancel(hold: Hold): void {
    const wait = this.#waiting.get(hold);
    this.#waiting.delete(hold);
    if (wait !== undefined && wait !== NO_NODE) this.#port.cancelLock(wait);
  }

  #requireRoom(): void {
    if (this.#hasLeft) throw new BgworkerError('ERR_WRONG_STATE', hasLeft);
    if (this.#held.length + this.#waiting.size >= MAX_HELD_LOCKS) {
      throw new BgworkerError('ERR_WRONG_STATE', tooManyLocks(MAX_HELD_LOCKS));
    }
  }
}
