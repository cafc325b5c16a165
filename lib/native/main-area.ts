// main-area.ts: the main shared memory, as the addon hands it over: what its slots show, and what
// else lies in it.

/** The pid a slot shows. -1: not started yet; 0: not running; above: the process. */
export type SlotPid = number;

/** What lies in shared memory (inventory.h). Sound, whatever stands there; names are raw text. */
export interface Inventory {
  /** Of the mapped part, all of it; by offset. */
  readonly allocations: readonly {
    readonly kind: 'fixed' | 'struct' | 'anonymous' | 'free';
    /** '' but for fixed parts and structs. */
    readonly name: string;
    /** null: anonymous. */
    readonly offset: number | null;
    readonly bytes: number;
    readonly allocatedBytes: number;
  }[];
  readonly segments: readonly {
    readonly handle: number;
    readonly bytes: number;
    readonly allocatedBytes: number;
    readonly pinned: boolean;
  }[];
  readonly names: readonly {
    readonly name: string;
    readonly kind: 'segment' | 'area' | 'hash';
    /** null: not initialised. */
    readonly bytes: number | null;
  }[];
}

/** The main shared memory: header, slots, processes, activities, directory and tables of segments. */
export interface MainArea {
  readonly descriptor: number;
  /** Of the fixed part, which is what is mapped. */
  readonly bytes: number;
  readonly slotCount: number;
  /** What it was made for; the directory's structures fit in it. */
  readonly structBytes: number;
  /** Postmaster only: the slot is in use by this generation, with this pid. */
  publish(slot: number, generation: bigint, pid: SlotPid): void;
  /** Postmaster only: the slot is free; its generation stays. */
  release(slot: number): void;
  /** Worker only, first thing: arms the dead-man switch. */
  attach(slot: number): void;
  /** Worker only, last thing before it leaves: disarms the dead-man switch. */
  detach(slot: number): void;
  /** Postmaster only: is the dead-man switch of this slot still armed? Disarms it. */
  takeDeadMan(slot: number): boolean;
  /** Anyone attached: what the slot shows. */
  read(slot: number): { inUse: boolean; generation: bigint; pid: SlotPid };
  /** Worker only: the database it is connected to and what it runs, UTF-8, cut off at the room. */
  reportActivity(slot: number, database: Uint8Array, activity: Uint8Array): void;
  /** Postmaster only, when the process of that slot has been reaped. */
  clearActivity(slot: number): void;
  /** Anyone: what stands there, which may be any bytes. null: it is being written, without an end. */
  readActivity(slot: number): { database: Buffer; activity: Buffer } | null;
  /** Who has made it only: what lies in it. Without a lock; bounded, whatever stands there. */
  inventory(): Inventory;
  /** The address of the mapping, for tests that prove it is gone or the same. */
  readonly address: bigint;
  /** Unmaps and closes. Idempotent. */
  close(): void;
}
