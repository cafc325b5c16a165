// memory-port.ts: the port of lib/shared/ without the addon: a "process" is a thread (or just an
// object), shared memory is a SharedArrayBuffer, a doorbell is a counter with Atomics.waitAsync.
//
// The words are those of native/core/, so what runs in parallel here is what runs there, but for
// the slow path of locks: this one wakes every waiter, one of whom then wins.

import {
  LOCK_ACQUIRED,
  type LockMode,
  NO_NODE,
  type SharedPort,
} from '../../../lib/shared/port.ts';
import { SLOT_WORDS } from '../../../lib/shared/waits.ts';

export interface World {
  readonly slotCount: number;
  readonly table: SharedArrayBuffer;
  readonly bells: SharedArrayBuffer;
  readonly nodes: SharedArrayBuffer;
}

const NODES_PER_SLOT = 4;
const NODE_WORDS = 2;
const IDLE = 0;
const WAITING = 1;
const WOKEN = 2;
const EXCLUSIVE = 1 << 24;
const SHARED_MASK = (1 << 18) - 1;
const HAS_WAITERS = 1 << 29;

export function makeWorld(slotCount: number): World {
  return {
    slotCount,
    table: new SharedArrayBuffer(slotCount * SLOT_WORDS * 4),
    bells: new SharedArrayBuffer(slotCount * 4),
    nodes: new SharedArrayBuffer(slotCount * NODES_PER_SLOT * NODE_WORDS * 4),
  };
}

type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
) => { async: true; value: Promise<unknown> } | { async: false };
const { waitAsync } = Atomics as unknown as { waitAsync: WaitAsync };

export class MemoryPort implements SharedPort {
  readonly slot: number;
  readonly processTable: Int32Array;
  /** How often this process made a system call to wake somebody, had it been one. */
  rings = 0;
  readonly #bells: Int32Array;
  readonly #nodes: Int32Array;
  /** Of the waits of this process: the lock and the mode. */
  readonly #waits = new Map<number, { lock: Int32Array; mode: LockMode }>();

  constructor(world: World, slot: number) {
    this.slot = slot;
    this.processTable = new Int32Array(world.table);
    this.#bells = new Int32Array(world.bells);
    this.#nodes = new Int32Array(world.nodes);
    Atomics.or(this.processTable, slot * SLOT_WORDS + 1, slot + 1);
  }

  ring(slot: number): void {
    this.rings += 1;
    Atomics.add(this.#bells, slot, 1);
    Atomics.notify(this.#bells, slot);
  }

  onWake(listener: () => void): void {
    const watch = (seen: number) => {
      const wait = waitAsync(this.#bells, this.slot, seen);
      if (wait.async) void wait.value.then(wake);
      else setImmediate(wake);
    };
    const wake = () => {
      const seen = Atomics.load(this.#bells, this.slot);
      Atomics.exchange(this.processTable, this.slot * SLOT_WORDS, 0);
      listener();
      watch(seen);
    };
    watch(Atomics.load(this.#bells, this.slot));
  }

  tryLock(lock: Int32Array, mode: LockMode): boolean {
    const inTheWay = mode === 'exclusive' ? EXCLUSIVE | SHARED_MASK : EXCLUSIVE;
    const holding = mode === 'exclusive' ? EXCLUSIVE : 1;
    for (;;) {
      const state = Atomics.load(lock, 0);
      if ((state & inTheWay) !== 0) return false;
      if (Atomics.compareExchange(lock, 0, state, state + holding) === state) return true;
    }
  }

  beginLock(lock: Int32Array, mode: LockMode): number {
    if (this.tryLock(lock, mode)) return LOCK_ACQUIRED;
    const first = this.slot * NODES_PER_SLOT;
    for (let node = first; node < first + NODES_PER_SLOT; node += 1) {
      if (this.#waits.has(node)) continue;
      return this.#locked(lock, () => {
        this.#waits.set(node, { lock, mode });
        Atomics.store(this.#nodes, node * NODE_WORDS + 1, lock.byteOffset);
        Atomics.store(this.#nodes, node * NODE_WORDS, WAITING);
        Atomics.or(lock, 0, HAS_WAITERS);
        if (!this.tryLock(lock, mode)) return node;
        this.#end(node);
        return LOCK_ACQUIRED;
      });
    }
    return NO_NODE;
  }

  isGranted(node: number): boolean {
    if (Atomics.load(this.#nodes, node * NODE_WORDS) === WAITING) return false;
    const { lock, mode } = this.#waitOf(node);
    return this.#locked(lock, () => {
      Atomics.store(this.#nodes, node * NODE_WORDS, WAITING);
      if (!this.tryLock(lock, mode)) return false;
      this.#end(node);
      return true;
    });
  }

  cancelLock(node: number): boolean {
    this.#locked(this.#waitOf(node).lock, () => this.#end(node));
    return false;
  }

  acquireLock(lock: Int32Array, mode: LockMode): void {
    const node = this.beginLock(lock, mode);
    if (node === LOCK_ACQUIRED) return;
    for (;;) {
      const seen = Atomics.load(this.#bells, this.slot);
      Atomics.exchange(this.processTable, this.slot * SLOT_WORDS, 2);
      if (this.isGranted(node)) return;
      Atomics.wait(this.#bells, this.slot, seen);
    }
  }

  releaseLock(lock: Int32Array, mode: LockMode): void {
    const holding = mode === 'exclusive' ? EXCLUSIVE : 1;
    const state = Atomics.sub(lock, 0, holding) - holding;
    if ((state & (EXCLUSIVE | SHARED_MASK)) !== 0 || (state & HAS_WAITERS) === 0) return;
    this.#locked(lock, () => {
      for (const node of this.#waitersOf(lock)) {
        Atomics.store(this.#nodes, node * NODE_WORDS, WOKEN);
        const slot = Math.floor(node / NODES_PER_SLOT);
        if (Atomics.exchange(this.processTable, slot * SLOT_WORDS, 0) !== 0) this.ring(slot);
      }
    });
  }

  #waitOf(node: number): { lock: Int32Array; mode: LockMode } {
    const wait = this.#waits.get(node);
    if (wait === undefined) throw new Error(`there is no wait ${node}`);
    return wait;
  }

  #waitersOf(lock: Int32Array): number[] {
    return Array.from({ length: this.#nodes.length / NODE_WORDS }, (_, node) => node).filter(
      (node) =>
        Atomics.load(this.#nodes, node * NODE_WORDS) !== IDLE &&
        Atomics.load(this.#nodes, node * NODE_WORDS + 1) === lock.byteOffset,
    );
  }

  #end(node: number): void {
    const { lock } = this.#waitOf(node);
    this.#waits.delete(node);
    Atomics.store(this.#nodes, node * NODE_WORDS, IDLE);
    if (this.#waitersOf(lock).length === 0) Atomics.and(lock, 0, ~HAS_WAITERS);
  }

  #locked<Result>(lock: Int32Array, act: () => Result): Result {
    while (Atomics.exchange(lock, 1, 1) !== 0);
    try {
      return act();
    } finally {
      Atomics.store(lock, 1, 0);
    }
  }
}
