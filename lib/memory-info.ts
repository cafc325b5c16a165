// memory-info.ts: shared memory as it is shown to the outside.

import type { Inventory } from './native.ts';
import { safeText } from './safe-text.ts';
import type { NamedInfo, SegmentInfo } from './shared/dynamic-shared-memory.ts';

/** A part of the main area (a row of pg_shmem_allocations). */
export interface AllocationInfo {
  /**
   * - `fixed`: every area has it: header, slots, process table, activity table, directory,
   *   segment table, registry.
   * - `struct`: asked for by name; a lock is 'lwlock:NAME', a condition variable 'cv:NAME', a
   *   barrier 'barrier:NAME'.
   * - `anonymous`: taken, but no sound entry says by whom: not 0 only where memory was damaged.
   * - `free`: reserved, and not asked for yet.
   */
  readonly kind: 'fixed' | 'struct' | 'anonymous' | 'free';
  /** null: free. */
  readonly name: string | null;
  /** From the beginning of the area; null: anonymous, which may be in several places. */
  readonly offset: number | null;
  /** As asked for. */
  readonly bytes: number;
  /** What that takes: structs begin on a cache line, sections on a page. */
  readonly allocatedBytes: number;
}

/** A dynamic segment; it takes whole pages. */
export interface SegmentAllocationInfo extends SegmentInfo {
  readonly allocatedBytes: number;
}

/** What `postmaster.sharedMemory()` shows. */
export interface SharedMemoryInfo {
  /** All of the main area, by offset: `allocatedBytes` add up to its size. */
  readonly allocations: readonly AllocationInfo[];
  /** The dynamic segments, whoever is attached to them. */
  readonly segments: readonly SegmentAllocationInfo[];
  /** Which of them have a name (pg_dsm_registry_allocations). */
  readonly names: readonly NamedInfo[];
}

const ANONYMOUS = '<anonymous>';

export function memoryInfoOf({ allocations, segments, names }: Inventory): SharedMemoryInfo {
  return {
    allocations: allocations.map((row) => ({ ...row, name: shownName(row) })),
    segments,
    names: names.map((row) => ({ ...row, name: safeText(row.name) })),
  };
}

function shownName({ kind, name }: Inventory['allocations'][number]): string | null {
  switch (kind) {
    case 'fixed':
    case 'struct':
      return safeText(name);
    case 'anonymous':
      return ANONYMOUS;
    case 'free':
      return null;
  }
}
