// event.ts: all that can happen to the postmaster. The list is closed.

import type { Action } from './action.ts';
import type { ClientEvent } from './clients.ts';
import type { Exit } from './exit.ts';
import type { DatabaseState } from './phase.ts';
import type { Registration } from './registration.ts';
import type { ChildId, Instant, Pid } from './standing.ts';
import type { ShutdownMode, SlotIndex } from './state.ts';

/** A static worker as the launcher announces it, already checked. */
export interface StaticWorker {
  readonly staticIndex: number;
  readonly registration: Registration;
}

export type Event =
  | ClientEvent
  /** The preload modules are loaded; the launcher can fork. */
  | {
      readonly kind: 'launcher-ready';
      readonly pid: Pid;
      readonly workers: readonly StaticWorker[];
      /** Its modules want to initialise shared memory. */
      readonly startupHooks: boolean;
      /** One of them has a startup process. */
      readonly startupProcess: boolean;
    }
  /** It never got that far, and will not when tried again. */
  | { readonly kind: 'launcher-failed'; readonly error: Error }
  /** It was ready and is dead. Its children die with it; each still has its own 'exited'. */
  | { readonly kind: 'launcher-exited' }
  | {
      readonly kind: 'forked';
      readonly slot: SlotIndex;
      readonly child: ChildId;
      readonly pid: Pid;
    }
  /** It has come as far as the user's code, or will not say so. */
  | { readonly kind: 'up'; readonly child: ChildId }
  | {
      readonly kind: 'fork-failed';
      readonly slot: SlotIndex;
      readonly child: ChildId;
      /** Which step failed, and what the system said. */
      readonly call: string;
      readonly why: string;
    }
  | {
      readonly kind: 'exited';
      readonly slot: SlotIndex;
      readonly child: ChildId;
      readonly exit: Exit;
    }
  | { readonly kind: 'server-started'; readonly pid: Pid }
  /** It could not be started, and will not be when tried again. */
  | { readonly kind: 'server-failed'; readonly error: Error }
  | { readonly kind: 'server-exited' }
  /** The followed database; `detail` is what it said, when it does not let us in. */
  | {
      readonly kind: 'database';
      readonly state: DatabaseState;
      readonly detail: string | null;
    }
  /** The followed server answered that it will never let us in. */
  | { readonly kind: 'database-refused'; readonly error: Error }
  | { readonly kind: 'startup-started'; readonly pid: Pid }
  | { readonly kind: 'startup-not-started'; readonly call: string; readonly why: string }
  /** What it has restored so far is consistent, and may be looked at. */
  | { readonly kind: 'startup-consistent' }
  /** `said`: its own words for why, if it had any. */
  | { readonly kind: 'startup-exited'; readonly exit: Exit; readonly said: string | null }
  /** The start-up hooks have run. */
  | { readonly kind: 'memory-ready' }
  /** One of them failed, and will when tried again. */
  | { readonly kind: 'memory-failed'; readonly error: Error }
  /** A dynamic worker, if it finds a place (place.ts). `ticket`: of who waits for the answer. */
  | {
      readonly kind: 'registered';
      readonly ticket: number;
      readonly registration: Registration;
    }
  /** TerminateBackgroundWorker; a stale generation changes nothing. */
  | { readonly kind: 'terminate'; readonly slot: SlotIndex; readonly generation: bigint }
  | { readonly kind: 'stop'; readonly mode: ShutdownMode }
  | { readonly kind: 'reload' }
  /** postmaster.pid is missing or names another process. */
  | { readonly kind: 'lock-file-lost' }
  /** An action of plan() was carried out. */
  | { readonly kind: 'done'; readonly action: Action };

/** An event and when it was noticed. Restart intervals are measured from here. */
export interface Occurrence {
  readonly at: Instant;
  readonly event: Event;
}
