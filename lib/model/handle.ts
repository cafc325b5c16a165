// handle.ts: what a handle of a worker answers (GetBackgroundWorkerPid).
//
// A handle is a slot and its generation. It says STOPPED for whatever is not that very worker with
// a process: one that is done, one that waits for its restart, one whose slot is somebody else's.

import type { Pid } from './standing.ts';
import type { SlotIndex, State, Worker } from './state.ts';

export interface HandleId {
  readonly slot: SlotIndex;
  readonly generation: bigint;
}

export type HandleStatus =
  /** It has a process; not necessarily one that has come to its main() yet. */
  | { readonly status: 'STARTED'; readonly pid: Pid }
  | { readonly status: 'NOT_YET_STARTED' }
  | { readonly status: 'STOPPED' };

const STOPPED: HandleStatus = { status: 'STOPPED' };

/** A snapshot. */
export function statusOf(state: State, { slot, generation }: HandleId): HandleStatus {
  const worker = state.workers.get(slot);
  return worker?.generation === generation ? statusOfWorker(worker) : STOPPED;
}

export function statusOfWorker({ standing, hasStarted }: Worker): HandleStatus {
  if ('pid' in standing) return { status: 'STARTED', pid: standing.pid };
  return hasStarted || standing.kind === 'gone' ? STOPPED : { status: 'NOT_YET_STARTED' };
}
