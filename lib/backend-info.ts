// backend-info.ts: a backend as it is shown to the outside.

import type { Backend } from './model/clients.ts';
import type { Pid } from './model/standing.ts';
import type { SlotIndex } from './model/state.ts';
import type { Peer } from './native.ts';
import { type ShownActivity, SILENT } from './shown-activity.ts';

/** A backend as `postmaster.backends()` shows it. */
export interface BackendInfo {
  /** Of the main area; backends come behind the workers. */
  readonly slot: SlotIndex;
  /** null: it is being forked. */
  readonly pid: Pid | null;
  readonly standing: Backend['standing']['kind'];
  /** null: a spare one, which waits for its client. */
  readonly peer: Peer | null;
  /** When the client was accepted; null: there is none. */
  readonly connectedAt: Date | null;
  /** It came in where the reserved connections may be used. */
  readonly isReserved: boolean;
  /** Where its database connection goes, by its own word; null: it says nothing of one. */
  readonly database: string | null;
  /** What it is doing, by its own word: `backend.activity`, or the statement that runs. */
  readonly activity: string | null;
}

/** `workerSlots`: how many slots the workers have. */
export function backendInfoOf(
  { place, client, standing }: Backend,
  workerSlots: number,
  { database, activity }: ShownActivity = SILENT,
): BackendInfo {
  return {
    slot: workerSlots + place,
    pid: 'pid' in standing ? standing.pid : null,
    standing: standing.kind,
    peer: client?.peer ?? null,
    connectedAt: client === null ? null : new Date(performance.timeOrigin + client.since),
    isReserved: client?.isReserved ?? false,
    database,
    activity,
  };
}
