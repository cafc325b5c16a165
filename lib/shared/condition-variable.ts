// condition-variable.ts: to wait until somebody says that something has changed.
//
//     await changed.wait(() => jobs.count.load() > 0);          // here
//     jobs.count.add(1); changed.signal();                      // there
//
// The condition is something else in shared memory, which whoever changes it changes before he
// signals. A waiter stands in the list from before its first look to its last, so no signal is lost
// between a look and a sleep; each wake that it takes puts it back at the end. signal() wakes the
// oldest waiter, broadcast() all who wait at this moment. Spurious wakes are allowed for, because
// the condition is asked again after each.

import { BgworkerError } from '../errors.ts';
import { invalidOption } from '../messages.ts';
import type { Attached } from './attached.ts';
import { conditionWaits, doesNotFit, misplaced, notAttached, postmasterDied } from './messages.ts';
import { NO_NODE } from './port.ts';
import { checkTimeout } from './waits.ts';

/** sizeof(SharedConditionVariable); zero at first. */
export const CONDITION_VARIABLE_BYTES = 16;

export interface ConditionWaitOptions {
  /** Milliseconds, 0 to 2 147 483 647; 0 only looks. Default: for ever. */
  readonly timeoutMs?: number;
  /** Its abort rejects the wait with the signal's reason. */
  readonly signal?: AbortSignal;
}

export class ConditionVariable {
  readonly name: string;
  #attached: Attached | null = null;
  #words: Int32Array | null = null;

  constructor(name: string) {
    this.name = name;
  }

  /** By the wiring, in an attached process: `byteOffset` of the SharedConditionVariable. */
  bind(attached: Attached, buffer: ArrayBufferLike, byteOffset: number): void {
    this.#words = placeWords(this.#what, buffer, byteOffset, CONDITION_VARIABLE_BYTES);
    this.#attached = attached;
  }

  /** Before the memory is unmapped. */
  unbind(): void {
    this.#words = null;
    this.#attached = null;
  }

  /** Wakes the oldest waiter, if there is one (ConditionVariableSignal). */
  signal(): void {
    const { port, words } = this.#bound();
    port.signalCondition(words);
  }

  /** Wakes all who wait at this moment (ConditionVariableBroadcast). */
  broadcast(): void {
    const { port, words } = this.#bound();
    port.broadcastCondition(words);
  }

  /**
   * Waits on the event loop until `condition()`, which is asked at once and after each wake, and may
   * be asynchronous, so that it can take a lock. true: it holds; false: the time is over.
   *
   * @throws BgworkerError ERR_INVALID_OPTION for the time; ERR_WRONG_STATE where it is not mapped, or
   * goes meanwhile, or the postmaster is dead; the signal's reason; what `condition` throws.
   */
  async wait(
    condition: () => boolean | PromiseLike<boolean>,
    { timeoutMs, signal }: ConditionWaitOptions = {},
  ): Promise<boolean> {
    checkTimeout(timeoutMs);
    this.#checkCondition(condition);
    signal?.throwIfAborted();
    const turn = this.#bound().process.waits.giveWay();
    if (turn !== null) await turn;
    const { port, words, process } = this.#bound();
    const until = timeoutMs === undefined ? null : performance.now() + timeoutMs;
    let wait = port.beginCondition(words);
    const use = process.uses.begin(words.buffer, () => {
      // A wake that came while it did not wait any more is passed on: it was meant for one waiter.
      if (wait !== NO_NODE && port.cancelCondition(wait)) port.signalCondition(words);
    });
    const isWoken = () => {
      use.check();
      if (wait !== NO_NODE) return port.takeWake(wait);
      // Without a wait node there is no place in the list; one is free when another wait ends.
      wait = port.beginCondition(words);
      return wait !== NO_NODE;
    };
    try {
      while (!(await condition())) {
        const leftMs = until === null ? undefined : Math.max(0, until - performance.now());
        const end = await process.waits.until(isWoken, { timeoutMs: leftMs, signal });
        if (end === 'postmasterDeath') throw new BgworkerError('ERR_WRONG_STATE', postmasterDied);
        if (end === 'timeout') return await condition();
      }
      return true;
    } finally {
      use.end();
    }
  }

  /** The same, blocking this thread and its event loop. One at a time in a process, as in PostgreSQL:
   *  within a condition, no other waitSync(). */
  waitSync(condition: () => boolean, { timeoutMs }: { readonly timeoutMs?: number } = {}): boolean {
    checkTimeout(timeoutMs);
    this.#checkCondition(condition);
    const { port, words, process } = this.#bound();
    const holds = () => this.#synchronous(condition());
    const until = timeoutMs === undefined ? null : performance.now() + timeoutMs;
    const use = process.uses.begin(words.buffer, () => {
      if (port.endSleep()) port.signalCondition(words);
    });
    try {
      while (!holds()) {
        use.check();
        const leftMs =
          until === null ? undefined : Math.max(0, Math.ceil(until - performance.now()));
        const end = port.sleepOnCondition(words, leftMs);
        if (end === 'postmasterDied') throw new BgworkerError('ERR_WRONG_STATE', postmasterDied);
        if (end === 'timedOut') return holds();
      }
      return true;
    } finally {
      use.end();
    }
  }

  #checkCondition(condition: unknown): void {
    if (typeof condition === 'function') return;
    const problem = invalidOption(this.#what, 'condition', 'must be a function', condition);
    throw new BgworkerError('ERR_INVALID_OPTION', problem);
  }

  /** A promise is true, whatever comes of it. */
  #synchronous(answer: boolean): boolean {
    if (typeof answer !== 'object' || answer === null) return answer;
    throw new BgworkerError('ERR_INVALID_OPTION', conditionWaits(this.name));
  }

  get #what(): string {
    return `condition variable "${this.name}"`;
  }

  #bound() {
    if (this.#attached === null || this.#words === null) {
      throw new BgworkerError('ERR_WRONG_STATE', notAttached(this.#what));
    }
    const { port, process } = this.#attached;
    return { port, process, words: this.#words };
  }
}

/** The words of a thing of so many bytes in this place; throws if it does not fit there. */
export function placeWords(
  what: string,
  buffer: ArrayBufferLike,
  byteOffset: number,
  byteLength: number,
): Int32Array {
  if (!Number.isInteger(byteOffset) || byteOffset < 0 || byteOffset % 4 !== 0) {
    throw new BgworkerError('ERR_INVALID_OPTION', misplaced(what, 4, byteOffset));
  }
  const room = Math.max(0, buffer.byteLength - byteOffset);
  if (room < byteLength) {
    throw new BgworkerError('ERR_INVALID_OPTION', doesNotFit(what, byteLength, room));
  }
  return new Int32Array(buffer, byteOffset, byteLength / 4);
}
