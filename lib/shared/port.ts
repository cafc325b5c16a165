// port.ts: what lib/shared/ asks of the C core, and nothing more. The wiring implements it with the
// addon (class Attachment), the tests in memory.
//
// Everything quick is done here in TypeScript, with Atomics on the words that the headers of
// native/core/sync/ and native/core/ipc/ describe. The port is for what needs a system call or a
// wait list. A port is one process (one slot), and is used by one thread.
//
// Words are views whose first byte is the thing in question; it is alive as long as a wait for it
// is. Waits under way are numbers from 0, which are used again.

export type LockMode = 'shared' | 'exclusive';

/** lwlock::Begun, with the wait under way as a number from 0. */
export const LOCK_ACQUIRED = -1;
/** This process waits for too much already; it tries again once one of its waits has ended. */
export const NO_NODE = -2;
/** barrier::Arrival::Begun::released: this was the last to arrive. */
export const RELEASED_ELECTED = -1;

/** How a blocking sleep ended (WaitEnd). */
export type SleepEnd = 'satisfied' | 'timedOut' | 'interrupted' | 'postmasterDied';

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

  // The slow paths of LWLocks (lwlock.h). Nothing here keeps a list of held locks: lwlock.ts does.

  /** lwlock::tryAcquire(). */
  tryLock(lock: Int32Array, mode: LockMode): boolean;
  /** lwlock::begin(), not blocking: LOCK_ACQUIRED, NO_NODE, or the number of a wait. */
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

/** Condition variables (condition_variable.h). */
export interface ConditionPort {
  /** NO_NODE, or the number of a wait, which ends with cancelCondition(). */
  beginCondition(condition: Int32Array): number;
  /** true: woken, once; the waiter stands at the end of the list again, and looks now. */
  takeWake(wait: number): boolean;
  /** true: it had been woken and did not know. */
  cancelCondition(wait: number): boolean;
  signalCondition(condition: Int32Array): void;
  broadcastCondition(condition: Int32Array): void;
  /** Blocks; one condition variable at a time, until endSleep(). The first call only queues. */
  sleepOnCondition(condition: Int32Array, timeoutMs: number | undefined): SleepEnd;
  /** true: it had been woken and did not know. */
  endSleep(): boolean;
}

/** Barriers (barrier.h). The verbs assert what barrier.ts has checked. */
export interface BarrierPort {
  initBarrier(barrier: Int32Array, participants: number): void;
  attachBarrier(barrier: Int32Array): number;
  /** `arrivedIn`: the phase of an arrival whose end is not known; it is taken back. */
  detachBarrier(barrier: Int32Array, arrivedIn?: number): boolean;
  arriveAndDetach(barrier: Int32Array, arrivedIn?: number): boolean;
  arriveAndDetachExceptLast(barrier: Int32Array, arrivedIn?: number): boolean;
  barrierState(barrier: Int32Array): { phase: number; participants: number; isStatic: boolean };
  /** RELEASED_ELECTED, NO_NODE (it has not arrived), or the number of a wait. */
  beginArrival(barrier: Int32Array): number;
  /** Anything but 'waiting' frees the number. */
  arrivalState(wait: number): 'waiting' | 'elected' | 'notElected';
  /** Waits no longer, and has arrived all the same. */
  forgetArrival(wait: number): void;
  /** Blocks this thread. */
  arriveAndWait(barrier: Int32Array): 'elected' | 'notElected' | 'interrupted' | 'postmasterDied';
}

export type AttachedPort = SharedPort & ConditionPort & BarrierPort;
