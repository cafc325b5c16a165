// port.ts: what lib/shared/ asks of the C core, and nothing more. The wiring implements it with the
// addon (class Attachment), the tests in memory.
//
// Everything quick is done here in TypeScript, with Atomics on the words that the headers of
// native/core/sync/ and native/core/ipc/ describe. The port is for what needs a system call or a
// wait list. A port is one process (one slot), and is used by one thread.

export type LockMode = 'shared' | 'exclusive';

/** lwlock::Begun, with the wait under way as a number from 0. */
export const LOCK_ACQUIRED = -1;
/** This process waits for too much already; it tries again once one of its waits has ended. */
export const LOCK_NO_NODE = -2;

export interface SharedPort {
  /** This process's slot, which it has taken: its latch word carries slot + 1. */
  readonly slot: number;

  /** The process table (process_table.h): 272 words for each slot, `length` is our own count. */
  readonly processTable: Int32Array;

  /**
   * ThisProcess::ring(): the system call that wakes `slot`, which may be our own. `asleep` is what
   * the exchange that took the sleeper's mark gave, and is not 0. Called from any turn.
   */
  ring(slot: number, asleep: number): void;

  /**
   * Once: from now on `listener` is called, on the event loop, after each ring of this process's
   * doorbell. The port has called loopWatches(true), and calls consume() each time before: the mark
   * is taken back and the doorbell is silent when the listener looks. It never holds the event loop
   * open; whoever waits does that. Microtasks run when the listener returns.
   */
  onWake(listener: () => void): void;

  // The slow paths of LWLocks (lwlock.h). `lock` is a view whose first byte is the SharedLwlock; it
  // is alive as long as the wait is. Nothing here keeps a list of held locks: lwlock.ts does.

  /** lwlock::tryAcquire(). */
  tryLock(lock: Int32Array, mode: LockMode): boolean;
  /** lwlock::begin(), not blocking: LOCK_ACQUIRED, LOCK_NO_NODE, or the number of a wait. */
  beginLock(lock: Int32Array, mode: LockMode): number;
  /** lwlock::isGranted(), asked after each wake. true: the lock is ours and the number is free. */
  isGranted(wait: number): boolean;
  /** lwlock::cancel(). Frees the number. true: it had been granted, and was released. */
  cancelLock(wait: number): boolean;
  /** lwlock::acquire(): blocks this thread. */
  acquireLock(lock: Int32Array, mode: LockMode): void;
  /** lwlock::release(), by a holder. */
  releaseLock(lock: Int32Array, mode: LockMode): void;
}
