// this-process.ts: the calling process as the others in shared memory know it: what it waits for,
// how it wakes others, which locks it holds, and what it does last.
//
// One object for each attachment. The wiring makes it when a process has attached, and calls
// leave() before it detaches; latches, locks and queues hang on it.

import { HeldLocks } from './held-locks.ts';
import type { SharedPort } from './port.ts';
import { Uses } from './uses.ts';
import { LATCH_WORD, SLOT_WORDS, Waits } from './waits.ts';

export class ThisProcess {
  readonly port: SharedPort;
  readonly slot: number;
  readonly slotCount: number;
  readonly waits: Waits;
  readonly uses: Uses;
  readonly locks: HeldLocks;
  readonly #table: Int32Array;
  readonly #lastActs = new Set<() => void>();

  constructor(port: SharedPort) {
    this.port = port;
    this.slot = port.slot;
    this.slotCount = Math.floor(port.processTable.length / SLOT_WORDS);
    this.waits = new Waits(port);
    this.uses = new Uses(() => this.waits.look());
    this.locks = new HeldLocks(port, this.waits, this.uses);
    this.#table = port.processTable;
  }

  /** What the caller wrote before is seen by `slot` when it looks. No system call unless it sleeps. */
  wake(slot: number): void {
    if (slot === this.slot) {
      this.waits.look();
      return;
    }
    const asleep = Atomics.exchange(this.#table, slot * SLOT_WORDS, 0);
    if (asleep !== 0) this.port.ring(slot, asleep);
  }

  /** Sets the process latch, too; wakes even if that was set before. A number from shared memory that
   *  is no slot wakes nobody. */
  wakeWithLatch(slot: number): void {
    if (!(slot >= 0 && slot < this.slotCount)) return;
    Atomics.or(this.#table, slot * SLOT_WORDS + LATCH_WORD, 1 << 31);
    this.wake(slot);
  }

  /** Called by leave(), the latest first. Returns what takes it back. */
  onLeave(act: () => void): () => void {
    this.#lastActs.add(act);
    return () => this.#lastActs.delete(act);
  }

  /** Before a part of shared memory is unmapped: waits for what lies in it end, locks are released. */
  leaveMemory(buffer: ArrayBufferLike): void {
    this.uses.endWithin(buffer);
    this.waits.look();
    this.locks.releaseWithin(buffer);
  }

  /** The exit path, before the memory is detached: waits end, locks are released, what was registered
   *  by onLeave() is done. All of it; the first thing that went wrong is thrown then. */
  leave(): void {
    this.waits.leave();
    this.uses.endAll();
    // First: a callback may want one of them that whoever called exit() held.
    this.locks.releaseAll();
    const problems: unknown[] = [];
    for (const act of [...this.#lastActs].reverse()) {
      try {
        act();
      } catch (error) {
        problems.push(error);
      }
    }
    this.#lastActs.clear();
    this.locks.leave();
    if (problems.length > 0) throw problems[0];
  }
}
