// lwlock.ts: a lock in shared memory that is shared or exclusive (PostgreSQL's LWLock).
//
//     await lock.with('exclusive', async () => hits.count.add(1n));
//     using held = lock.tryAcquire('shared') ?? undefined;
//
// Not reentrant, no upgrade, no deadlock detection: whoever acquires a lock that he holds waits for
// himself (acquireSync(), which would never come back, throws instead). acquire() waits on the event
// loop, in the order of the lock's queue; acquireSync() blocks the thread.
//
// While nobody is in the way, taking and giving back are one atomic operation each on the lock's
// first word (lwlock.h has the bits); everything else is the C core's, through the port.
//
// A lock is named where shared memory is requested, and bound in each process, as structs are.

import { BgworkerError } from '../errors.ts';
import type { HeldLocks, Hold } from './held-locks.ts';
import {
  doesNotFit,
  misplaced,
  notAttached,
  notHeld,
  unknownLockMode,
  waitsForItself,
} from './messages.ts';
import type { LockMode } from './port.ts';
import type { ThisProcess } from './this-process.ts';

export type { LockMode } from './port.ts';

/** sizeof(SharedLwlock); arrays of them are padded to 64. */
export const LWLOCK_BYTES = 24;

export interface AcquireOptions {
  /** Its abort rejects the wait with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A lock that is held, until it is released once or disposed of. */
export class Held implements Disposable, AsyncDisposable, Hold {
  readonly mode: LockMode;
  /** For the list of held locks: where the lock is. */
  readonly words: Int32Array;
  readonly #name: string;
  readonly #locks: HeldLocks;

  constructor(name: string, locks: HeldLocks, words: Int32Array, mode: LockMode) {
    this.mode = mode;
    this.words = words;
    this.#name = name;
    this.#locks = locks;
  }

  get isHeld(): boolean {
    return this.#locks.holds(this);
  }

  /** Throws if it was released before. */
  release(): void {
    if (!this.#locks.release(this)) {
      throw new BgworkerError('ERR_WRONG_STATE', notHeld(this.#name));
    }
  }

  /** Releases what was not released yet. */
  [Symbol.dispose](): void {
    this.#locks.release(this);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#locks.release(this);
  }
}

export class Lwlock {
  readonly name: string;
  #process: ThisProcess | null = null;
  #words: Int32Array | null = null;

  constructor(name: string) {
    this.name = name;
  }

  /** By the wiring, in an attached process: `byteOffset` of the SharedLwlock in the buffer. */
  bind(process: ThisProcess, buffer: ArrayBufferLike, byteOffset: number): void {
    const what = `lock "${this.name}"`;
    if (!Number.isInteger(byteOffset) || byteOffset < 0 || byteOffset % 4 !== 0) {
      throw new BgworkerError('ERR_INVALID_OPTION', misplaced(what, 4, byteOffset));
    }
    const room = Math.max(0, buffer.byteLength - byteOffset);
    if (room < LWLOCK_BYTES) {
      throw new BgworkerError('ERR_INVALID_OPTION', doesNotFit(what, LWLOCK_BYTES, room));
    }
    this.#words = new Int32Array(buffer, byteOffset, LWLOCK_BYTES / 4);
    this.#process = process;
  }

  /** Before the memory is unmapped. */
  unbind(): void {
    this.#words = null;
    this.#process = null;
  }

  /**
   * null: somebody is in the way, and nothing was done (LWLockConditionalAcquire).
   *
   * @throws BgworkerError ERR_WRONG_STATE where it is not mapped, and for the 201st lock that this
   * process holds or waits for, which is PostgreSQL's limit; so do the verbs below.
   */
  tryAcquire(mode: LockMode): Held | null {
    const held = this.#hold(mode);
    return this.#locks().tryAcquire(held) ? held : null;
  }

  /**
   * Waits on the event loop until the lock is ours (LWLockAcquire), in the order of its queue. The
   * postmaster's death does not end it. Rejects with the signal's reason, or with ERR_WRONG_STATE if
   * the memory goes meanwhile.
   */
  async acquire(mode: LockMode, options: AcquireOptions = {}): Promise<Held> {
    options.signal?.throwIfAborted();
    const locks = this.#locks();
    // Before it is held: others may want it meanwhile.
    const turn = locks.giveWay();
    if (turn !== null) await turn;
    const held = this.#hold(mode);
    if (!locks.tryAcquire(held)) await locks.acquire(held, options.signal);
    return held;
  }

  /**
   * Blocks this thread, and its event loop with it, until the lock is ours. Not interruptible.
   *
   * @throws BgworkerError ERR_WRONG_STATE if this very process holds it or waits for it.
   */
  acquireSync(mode: LockMode): Held {
    const held = this.#hold(mode);
    const locks = this.#locks();
    if (locks.tryAcquire(held)) return held;
    if (locks.isInvolved(held.words)) {
      throw new BgworkerError('ERR_WRONG_STATE', waitsForItself(this.name));
    }
    locks.acquireBlocking(held);
    return held;
  }

  /** Calls `act` with the lock held, and releases it whatever comes of that. */
  async with<Result>(
    mode: LockMode,
    act: () => Result | PromiseLike<Result>,
    options: AcquireOptions = {},
  ): Promise<Result> {
    const held = await this.acquire(mode, options);
    try {
      return await act();
    } finally {
      held[Symbol.dispose]();
    }
  }

  /**
   * Releases the latest hold that this process has of it (LWLockRelease).
   *
   * @throws BgworkerError ERR_WRONG_STATE if it has none.
   */
  release(): void {
    const locks = this.#locks();
    const hold = locks.latestOf(this.#memory());
    if (hold === undefined || !locks.release(hold)) {
      throw new BgworkerError('ERR_WRONG_STATE', notHeld(this.name));
    }
  }

  /** Does this process hold it? */
  get isHeld(): boolean {
    return this.#locks().latestOf(this.#memory()) !== undefined;
  }

  #hold(mode: LockMode): Held {
    if (mode !== 'exclusive' && mode !== 'shared') {
      throw new BgworkerError('ERR_INVALID_OPTION', unknownLockMode(mode));
    }
    return new Held(this.name, this.#locks(), this.#memory(), mode);
  }

  #memory(): Int32Array {
    if (this.#words === null) throw this.#unbound();
    return this.#words;
  }

  #locks(): HeldLocks {
    if (this.#process === null) throw this.#unbound();
    return this.#process.locks;
  }

  #unbound(): BgworkerError {
    return new BgworkerError('ERR_WRONG_STATE', notAttached(`lock "${this.name}"`));
  }
}
