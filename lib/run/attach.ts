// attach.ts: how a process attaches to shared memory, and how it leaves.
//
// The dead-man switch is the first thing and the last: who dies between the two died attached.

import type { Logger } from '../log.ts';
import { leaveFailed } from '../messages.ts';
import { type MainArea, native } from '../native.ts';
import { Activity } from '../shared/activity.ts';
import { Attached } from '../shared/attached.ts';
import { DEATH_DESCRIPTOR } from '../travel/notes.ts';

/** The main area, mapped, and the doorbells of all slots, in order. */
export interface InheritedMemory {
  readonly area: MainArea;
  readonly doorbells: readonly number[];
}

export function attach({ area, doorbells }: InheritedMemory, slot: number): Attached {
  area.attach(slot);
  return new Attached(
    new native.Attachment(area, doorbells, slot, DEATH_DESCRIPTOR),
    area.slotCount,
    new Activity((database, activity) => area.reportActivity(slot, database, activity)),
  );
}

/** In the exit path, last. A callback of the worker's own that throws does not make it a crash. */
export function leave({ area }: InheritedMemory, attached: Attached, log: () => Logger): void {
  try {
    attached.leave();
  } catch (error) {
    log().error({ err: error }, leaveFailed(error));
  }
  area.detach(attached.process.slot);
}
