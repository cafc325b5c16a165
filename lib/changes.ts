// changes.ts: which workers an event has changed, for who shows them to others.

import type { Event } from './model/event.ts';
import type { SlotIndex, State, Worker } from './model/state.ts';

/**
 * One, or, when the launcher spoke or memory was made anew, perhaps all of them. Who is forgotten
 * is not among them.
 */
export function changedWorkers(event: Event, before: State, after: State): Worker[] {
  const subject = changedSlot(event);
  if (subject === null) {
    return [...after.workers.values()].filter((one) => before.workers.get(one.slot) !== one);
  }
  const worker = after.workers.get(subject);
  return worker === undefined ? [] : [worker];
}

/** The one worker that an event is about; null: it may be about all of them. */
export function changedSlot(event: Event): SlotIndex | null {
  const about = event.kind === 'done' ? event.action : event;
  return 'slot' in about ? about.slot : null;
}
