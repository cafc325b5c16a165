// worker-info.ts: a worker as it is shown to the outside.

import type { Registration } from './model/registration.ts';
import type { Pid, Standing } from './model/standing.ts';
import type { SlotIndex, Worker } from './model/state.ts';

/** A worker as `postmaster.workers()` shows it. */
export interface WorkerInfo {
  readonly slot: SlotIndex;
  readonly name: string;
  readonly type: string;
  readonly standing: Standing['kind'];
  /** null: it has no process now. */
  readonly pid: Pid | null;
  readonly registration: Registration;
}

export function infoOf({ slot, registration, standing }: Worker): WorkerInfo {
  const { name, type } = registration;
  const pid = 'pid' in standing ? standing.pid : null;
  return { slot, name, type, standing: standing.kind, pid, registration };
}
