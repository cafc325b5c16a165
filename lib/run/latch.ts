// latch.ts: a worker's doorbell. Rings fold into one, so after each wake the owner looks at all of
// its work, not at "the" thing that rang.
//
//     for (;;) { latch.reset(); await doAllWork(); await latch.wait({ timeoutMs }); }
//
// Reset, look, sleep, in that order: resetting last would lose the ring that came in between.
// Signals set it after their handlers have run; the worker's own code may set it from anywhere.

/** What ended a wait. More than one may be true. */
export interface WaitResult {
  readonly latchSet: boolean;
  readonly timeout: boolean;
  /** The postmaster is dead: leave soon, before the launcher ends what is left. */
  readonly postmasterDeath: boolean;
}

export interface WaitOptions {
  /** Milliseconds, 0 to 2 147 483 647; 0 only looks. Default: for ever. */
  readonly timeoutMs?: number;
  /** Its abort rejects the wait with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** The longest wait that a timer takes (INT_MAX). */
const TIMEOUT_MAX_MS = 2_147_483_647;

export class Latch {
  #isSet = false;
  #isOrphaned = false;
  #waiters = new Set<() => void>();

  /** Rings. No effect if it is set already. */
  set(): void {
    this.#isSet = true;
    this.#wake();
  }

  /** Before looking for work, never after. */
  reset(): void {
    this.#isSet = false;
  }

  get isSet(): boolean {
    return this.#isSet;
  }

  /** Resolves at once if it is set already: a ring before the wait is not lost. */
  wait(options: WaitOptions = {}): Promise<WaitResult> {
    const { timeoutMs, signal } = options;
    if (timeoutMs !== undefined && !(timeoutMs >= 0 && timeoutMs <= TIMEOUT_MAX_MS)) {
      throw new RangeError(
        `timeoutMs must be a number of milliseconds from 0 to ${TIMEOUT_MAX_MS}, got ${timeoutMs}`,
      );
    }
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

  #result(timeout: boolean): WaitResult {
    return { latchSet: this.#isSet, timeout, postmasterDeath: this.#isOrphaned };
  }
}
