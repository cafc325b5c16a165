// place.ts: whether a dynamic worker finds a place (RegisterDynamicBackgroundWorker), and which.
//
// Pure, so that who applies a registration and who answers it look at the same state and say the
// same.

import { isParallel, type Registration } from './registration.ts';
import type { SlotIndex, State } from './state.ts';

export type Place =
  | { readonly kind: 'slot'; readonly slot: SlotIndex }
  /** The static workers have not got their slots yet. */
  | { readonly kind: 'too early' }
  /** Every slot is in use (max_worker_processes). */
  | { readonly kind: 'no slot' }
  /** There are as many of its class as there may be (max_parallel_workers). */
  | { readonly kind: 'no parallel slot' };

export function placeFor(state: State, registration: Registration): Place {
  if (state.phase === 'INIT') return { kind: 'too early' };
  if (isParallel(registration) && parallelWorkers(state) >= state.limits.parallelCount) {
    return { kind: 'no parallel slot' };
  }
  const slot = firstFreeSlot(state);
  return slot === null ? { kind: 'no slot' } : { kind: 'slot', slot };
}

/** The first free one in index order. */
function firstFreeSlot({ workers, limits }: State): SlotIndex | null {
  if (workers.size >= limits.slotCount) return null;
  for (let slot = 0; slot < limits.slotCount; slot++) {
    if (!workers.has(slot)) return slot;
  }
  return null;
}

/** Who is registered and not forgotten yet; §1.20 counts the same with two counters. */
function parallelWorkers({ workers }: State): number {
  let count = 0;
  for (const { registration } of workers.values()) if (isParallel(registration)) count++;
  return count;
}
