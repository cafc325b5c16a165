// latch.ts: a worker's doorbell: in shared memory, where every attached process can ring it
// (shared/latch.ts), or, without, in the worker's own. Rings fold into one, so after each wake the owner looks at all of
// its work, not at "the" thing that rang.
//
//     for (;;) { latch.reset(); await doAllWork(); await latch.wait({ timeoutMs }); }
//
// Reset, look, sleep, in that order: resetting last would lose the ring that came in between.
// Signals set it after their handlers have run; the worker's own code may set it from anywhere.

import type { LatchWaitOptions, LatchWaitResult } from '../shared/latch.ts';
import { checkTimeout, TIMEOUT_MAX_MS } from '../shared/waits.ts';

export type { LatchWaitOptions, LatchWaitResult };

/** A worker's own latch (MyLatch), wherever it lies. */
export interface Latch {
  /** Rings. No effect if it is set already. */
  set(): void;
  /** Before looking for work, never after. */
  reset(): void;
  readonly isSet: boolean;
  /** Resolves at once if it is set already: a ring before the wait is not lost. */
  wait(options?: LatchWaitOptions): Promise<LatchWaitResult>;
}

/** The one of a worker without shared memory, in its own. */
export class PrivateLatch implements Latch {
  #isSet = false;
  #isOrphaned = false;
  #waiters = new Set<() => void>();

  set(): void {
    this.#isSet = true;
    this.#wake();
  }

  reset(): void {
    this.#isSet = false;
  }

  get isSet(): boolean {
    return this.#isSet;
  }

  wait(options: LatchWaitOptions = {}): Promise<LatchWaitResult> {
    const { timeoutMs, signal } = options;
    checkTimeout(timeoutMs);
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      if (this.#isSet || timeoutMs === 0) {
        return resolve(this.#result(!this.#isSet && !this.#isOrphaned));
      }
      if (this.#isOrphaned) {
        // Not at once: a loop that waits again without a look at this would never let go.
        setImmediate(() => resolve(this.#result(false)));
        return undefined;
      }
      const end = () => {
        clearTimeout(timer);
        this.#waiters.delete(woken);
        signal?.removeEventListener('abort', aborted);
      };
      const woken = () => {
        end();
        resolve(this.#result(false));
      };
      const aborted = () => {
        end();
        reject(signal?.reason);
      };
      // Without a timeout the timer only holds the event loop open: a wait is a reason to live.
      const timer = setTimeout(() => {
        end();
        resolve(this.#result(true));
      }, timeoutMs ?? TIMEOUT_MAX_MS);
      this.#waiters.add(woken);
      signal?.addEventListener('abort', aborted, { once: true });
    });
  }

  /** For the worker's own wiring: the postmaster is dead. true if somebody was waiting to hear it. */
  orphan(): boolean {
    const hadWaiters = this.#waiters.size > 0;
    this.#isOrphaned = true;
    this.#wake();
    return hadWaiters;
  }

  #wake(): void {
    for (const woken of [...this.#waiters]) woken();
  }

  #result(timeout: boolean): LatchWaitResult {
    return { latchSet: this.#isSet, timeout, postmasterDeath: this.#isOrphaned };
  }
}
