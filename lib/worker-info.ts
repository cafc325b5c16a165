// worker-info.ts: a worker as it is shown to the outside.

import type { Registration } from './model/registration.ts';
import type { Pid, Standing } from './model/standing.ts';
import type { SlotIndex, Worker } from './model/state.ts';
import { type ShownActivity, SILENT } from './shown-activity.ts';

/** A worker as `postmaster.workers()` shows it. */
export interface WorkerInfo {
  readonly slot: SlotIndex;
  readonly name: string;
  readonly type: string;
  readonly standing: Standing['kind'];
  /** null: it has no process now. */
  readonly pid: Pid | null;
  /** Where its connection goes, by its own word; null: it says nothing of one. */
  readonly database: string | null;
  /** What it is doing, by its own word: `worker.activity`, or the statement that runs. */
  readonly activity: string | null;
  readonly registration: Registration;
}

export function infoOf(worker: Worker, { database, activity }: ShownActivity = SILENT): WorkerInfo {
  const { slot, registration, standing } = worker;
  const { name, type } = registration;
  const pid = pidOf(worker);
  return { slot, name, type, standing: standing.kind, pid, database, activity, registration };
}

/** null: it has no process now. */
export function pidOf({ standing }: Worker): Pid | null {
  return 'pid' in standing ? standing.pid : null;
}
