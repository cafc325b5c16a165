// control.ts: what is said on the control socket, between the postmaster and whoever asks it for
// something: a worker, a backend, the command line.
//
// The client asks and is answered, one question after the other; and it hears, unasked, of every
// change of the workers that it registered or watches. That ends with its connection
// (bgw_notify_pid, without a pid that could be somebody else's by then). Generations travel as
// decimal digits, because JSON has no whole numbers of 64 bits.

import type { ErrorCode } from '../errors.ts';
import type { ExitCause } from '../model/exit.ts';
import type { HandleId, HandleStatus } from '../model/handle.ts';
import type { Phase } from '../model/phase.ts';
import type { WorkerFlag } from '../model/registration.ts';
import type { Pid, Standing } from '../model/standing.ts';

/** In the data directory; mode 0600. */
export const CONTROL_SOCKET_NAME = 'control.sock';

/** Where a process finds the postmaster that it belongs to. */
export interface ControlPlace {
  readonly dataDirectory: string;
  /** Drawn by the postmaster: another one in the same directory is not the one that was meant. */
  readonly instance: string;
}

export interface TravellingId {
  readonly slot: number;
  readonly generation: string;
}

export type ControlRequest =
  /** First, by who belongs to a postmaster; has no answer. */
  | { readonly do: 'hello'; readonly instance: string }
  /** The body is the argument (v8.serialize); without one it has none. */
  | { readonly do: 'register'; readonly options: unknown }
  | ({ readonly do: 'terminate' } & TravellingId)
  | ({ readonly do: 'status' } & TravellingId)
  /** The status, and from then on news of it. */
  | ({ readonly do: 'watch' } & TravellingId)
  | { readonly do: 'workers' };

export type RequestName = ControlRequest['do'];

/** What each is answered with. */
export interface Answers {
  readonly register: TravellingId;
  readonly terminate: null;
  readonly status: HandleStatus;
  readonly watch: HandleStatus;
  readonly workers: WorkerList;
}

/** What `bgworker ps` shows. */
export interface WorkerList {
  readonly phase: Phase;
  readonly workers: readonly ListedWorker[];
}

export interface ListedWorker extends TravellingId {
  readonly name: string;
  readonly type: string;
  readonly flags: readonly WorkerFlag[];
  readonly standing: Standing['kind'];
  readonly pid: Pid | null;
  /** How long it has been running, in milliseconds; null: it has no process. */
  readonly runningMs: number | null;
  readonly isDynamic: boolean;
}

/** A worker's status has changed. `isLast`: it is forgotten, and nothing more will be heard. */
export type News = TravellingId &
  HandleStatus & {
    readonly isLast: boolean;
    /** How its process ended, with the STOPPED that comes of that. */
    readonly exit: ExitCause | null;
  };

export type ControlReply =
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | {
      readonly kind: 'refusal';
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
    }
  | ({ readonly kind: 'news' } & News)
  /** The client is cut off, and this is why. */
  | { readonly kind: 'farewell'; readonly message: string };

export function travelling({ slot, generation }: HandleId): TravellingId {
  return { slot, generation: String(generation) };
}

/** null: it is none. */
export function arrived({ slot, generation }: { slot: unknown; generation: unknown }) {
  if (!Number.isSafeInteger(slot) || typeof generation !== 'string') return null;
  return /^\d{1,20}$/.test(generation)
    ? ({ slot, generation: BigInt(generation) } as HandleId)
    : null;
}
