// waits.ts: everything that this process's event loop waits for in shared memory, in one list.
//
// A process has one doorbell, whatever it waits for. After each ring every wait looks at its own
// condition again, in the order in which the waits began. No ring is lost, because the mark
// "asleep" is set before the last look: who changes something after that look finds the mark, takes
// it and rings (process_table.h has the proof, which needs read-modify-writes on both sides).
//
// The mark is there only while somebody waits; a process that waits for nothing is never rung.
// A wait holds the event loop open: it is a reason to live.
//
// Who finds at once what he waits for goes on in the same turn of the event loop, and a loop of such
// waits would never let go of it: no signal, no timer, no end. So each thousandth gives way.

import { BgworkerError } from '../errors.ts';
import { hasLeft, timeoutRule } from './messages.ts';
import type { SharedPort } from './port.ts';

export type WaitEnd = 'satisfied' | 'timeout' | 'postmasterDeath';

export interface UntilOptions {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** false: the postmaster's death does not end it, as no wait for a lock is ended by that. */
  readonly postmasterDeath?: boolean;
}

interface Wait {
  /** Asked again and again; may have side effects once it says yes. What it throws ends the wait. */
  readonly holds: () => boolean;
  readonly endsWithPostmaster: boolean;
  readonly end: (how: WaitEnd) => void;
  readonly fail: (error: unknown) => void;
}

/** Words of a slot in the process table, and the values of its first. */
export const SLOT_WORDS = 272;
export const LATCH_WORD = 1;
const AWAKE = 0;
const WATCHING = 1;

/** The longest that a timer takes (INT_MAX). */
export const TIMEOUT_MAX_MS = 2_147_483_647;

/** @throws BgworkerError ERR_INVALID_OPTION; undefined is for ever. */
export function checkTimeout(timeoutMs: number | undefined): void {
  if (timeoutMs === undefined) return;
  if (typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs <= TIMEOUT_MAX_MS) return;
  throw new BgworkerError('ERR_INVALID_OPTION', timeoutRule(TIMEOUT_MAX_MS, timeoutMs));
}

/** So many waits in a row may go on in the same turn of the event loop. */
const AT_ONCE_MAX = 1_000;

export class Waits {
  readonly #port: SharedPort;
  readonly #asleep: number;
  readonly #waits = new Set<Wait>();
  #holdsOpen: NodeJS.Timeout | null = null;
  #isOrphaned = false;
  #hasLeft = false;
  #atOnce = 0;

  constructor(port: SharedPort) {
    this.#port = port;
    this.#asleep = port.slot * SLOT_WORDS;
    port.onWake(() => this.look());
  }

  get isOrphaned(): boolean {
    return this.#isOrphaned;
  }

  /**
   * Waits until `holds()`. With timeoutMs 0 it only looks. Rejects with the signal's reason, or with
   * what `holds` throws; whoever needs to undo something does so then.
   */
  until(holds: () => boolean, options: UntilOptions = {}): Promise<WaitEnd> {
    const { timeoutMs, signal, postmasterDeath = true } = options;
    return new Promise((resolve, reject) => {
      if (this.#hasLeft) throw new BgworkerError('ERR_WRONG_STATE', hasLeft);
      if (signal?.aborted) return reject(signal.reason);
      if (holds()) {
        const turn = this.giveWay();
        return turn === null ? resolve('satisfied') : void turn.then(() => resolve('satisfied'));
      }
      if (timeoutMs === 0) return resolve(this.#isOrphaned ? 'postmasterDeath' : 'timeout');
      if (this.#isOrphaned && postmasterDeath) {
        // Not at once: a loop that waits again without a look at this would never let go.
        setImmediate(() => resolve('postmasterDeath'));
        return undefined;
      }
      let timer: NodeJS.Timeout | undefined;
      const finish = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', aborted);
        this.#remove(wait);
      };
      const wait: Wait = {
        holds,
        endsWithPostmaster: postmasterDeath,
        end: (how) => {
          finish();
          resolve(how);
        },
        fail: (error) => {
          finish();
          reject(error);
        },
      };
      const aborted = () => wait.fail(signal?.reason);
      signal?.addEventListener('abort', aborted, { once: true });
      if (timeoutMs !== undefined) timer = setTimeout(() => wait.end('timeout'), timeoutMs);
      this.#add(wait);
      this.#markAsleep();
      this.#ask(wait);
      return undefined;
    });
  }

  /** By who need not wait: null, or, now and then, the next turn of the event loop. */
  giveWay(): Promise<void> | null {
    this.#atOnce += 1;
    if (this.#atOnce < AT_ONCE_MAX) return null;
    this.#atOnce = 0;
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** After each wake: everybody looks, and once more after the mark is set again. */
  look(): void {
    this.#askAll();
    if (this.#waits.size === 0) return;
    this.#markAsleep();
    this.#askAll();
  }

  /** The postmaster is dead. true if somebody was waiting to hear it. */
  orphan(): boolean {
    this.#isOrphaned = true;
    const waiting = [...this.#waits].filter((wait) => wait.endsWithPostmaster);
    for (const wait of waiting) wait.end('postmasterDeath');
    return waiting.length > 0;
  }

  /** The exit path: every wait is rejected, and there are no new ones. */
  leave(): void {
    this.#hasLeft = true;
    for (const wait of [...this.#waits]) {
      wait.fail(new BgworkerError('ERR_WRONG_STATE', hasLeft));
    }
    if (this.#holdsOpen !== null) clearInterval(this.#holdsOpen);
  }

  /** Until nobody gets on: the end of one wait may be what another one needs. */
  #askAll(): void {
    for (let before = -1; before !== this.#waits.size; ) {
      before = this.#waits.size;
      for (const wait of this.#waits) this.#ask(wait);
    }
  }

  #ask(wait: Wait): void {
    try {
      if (wait.holds()) wait.end('satisfied');
    } catch (error) {
      wait.fail(error);
    }
  }

  #add(wait: Wait): void {
    this.#waits.add(wait);
    if (this.#waits.size > 1) return;
    this.#holdsOpen ??= setInterval(() => {}, TIMEOUT_MAX_MS);
    this.#holdsOpen.ref();
  }

  #remove(wait: Wait): void {
    if (!this.#waits.delete(wait) || this.#waits.size > 0) return;
    this.#holdsOpen?.unref();
    Atomics.exchange(this.#port.processTable, this.#asleep, AWAKE);
  }

  #markAsleep(): void {
    Atomics.exchange(this.#port.processTable, this.#asleep, WATCHING);
  }
}
