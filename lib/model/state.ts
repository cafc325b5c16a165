// state.ts: all that the postmaster knows, as one immutable value.
//
// react/apply.ts makes the next state out of this one and an event; schedule/plan.ts reads it and
// says what is to be done now. Nothing else in the program decides anything.

import { type ClientLimits, type Clients, initialClients, NO_CLIENTS } from './clients.ts';
import type { DatabaseState, Phase } from './phase.ts';
import { needsServer, type Registration } from './registration.ts';
import { SlotMap } from './slot-map.ts';
import type {
  ChildId,
  Instant,
  LauncherStanding,
  ServerStanding,
  Standing,
  StartupStanding,
} from './standing.ts';

/** Which slot of the main area a worker has. */
export type SlotIndex = number;

export interface Worker {
  readonly slot: SlotIndex;
  /** Of the slot, so that a handle from an earlier use of it is told apart. */
  readonly generation: bigint;
  readonly registration: Registration;
  /** The launcher's number for it, for static workers: which closure and which arg. */
  readonly staticIndex: number | null;
  /** Somebody asked for its end: whatever comes, it is not started again. */
  readonly terminated: boolean;
  /** It has had a process: while it has none, a handle says STOPPED and not NOT_YET_STARTED. */
  readonly hasStarted: boolean;
  /** State.serverLosses when its present process, or its last, was asked for. */
  readonly serverLosses: number;
  readonly standing: Standing;
}

/** smart: when the last client is gone; fast: now, in order; immediate: now. */
export const SHUTDOWN_MODES = ['smart', 'fast', 'immediate'] as const;

export type ShutdownMode = (typeof SHUTDOWN_MODES)[number];

/** The strongest shutdown that was asked for, and when. */
export interface Shutdown {
  readonly mode: ShutdownMode;
  readonly since: Instant;
}

/** The limits that the policy knows. All in milliseconds, all constant while it runs. */
export interface Limits {
  /** How many slots there are (max_worker_processes). */
  readonly slotCount: number;
  /** How many workers of the class CLASS_PARALLEL there may be (max_parallel_workers). */
  readonly parallelCount: number;
  /** After SIGTERM of a fast shutdown; PostgreSQL waits for ever. */
  readonly shutdownMs: number;
  /** After SIGQUIT (SIGKILL_CHILDREN_AFTER_SECS). */
  readonly quitMs: number;
  /** How long the next start waits for a worker that does not say that it is up. */
  readonly bootMs: number;
  /** Before an embedded server that failed is started again. */
  readonly serverRestartMs: number;
  readonly restartAfterCrash: boolean;
  /** Workers with a database are ended when it is lost, and started again when it is back. */
  readonly restartOnServerLoss: boolean;
}

/** How far a crash cycle is (FatalError). */
export type CrashCycle =
  | { readonly kind: 'none' }
  /** All that is attached is being ended, then memory is made anew. */
  | { readonly kind: 'ending'; readonly since: Instant };

/**
 * The content of the main area. `raw`: zero, and the launcher's start-up hooks, if it has any, are
 * to run; `initializing`: they run.
 */
export type Memory = 'raw' | 'initializing' | 'ready';

/** Why the postmaster will leave with exit status 1. */
export type Failure =
  | { readonly kind: 'none' }
  | { readonly kind: 'failed'; readonly error: Error };

export interface State {
  readonly limits: Limits;
  readonly phase: Phase;
  readonly shutdown: Shutdown | null;
  readonly crash: CrashCycle;
  readonly failure: Failure;
  readonly launcher: LauncherStanding;
  readonly memory: Memory;
  readonly server: ServerStanding;
  readonly startup: StartupStanding;
  /**
   * What the follower last said, or what the startup process has got to; with neither of them it is
   * 'primary' throughout.
   */
  readonly database: DatabaseState;
  /** How often a server that was followed did not let anybody in any more. */
  readonly serverLosses: number;
  /** SIGHUP was received and has not been passed on yet. */
  readonly reloadPending: boolean;
  /** 'done': the last turn has been taken. */
  readonly course: 'on' | 'done';
  /** In slot order. */
  readonly workers: SlotMap<Worker>;
  /** The worker that was forked last, until it is up or gone; the next one waits for it. */
  readonly booting: { readonly child: ChildId; readonly since: Instant } | null;
  readonly clients: Clients;
  /** The number of the next child; counts up, so an answer to an old request is told apart. */
  readonly nextChild: ChildId;
  /** The generation of the next slot that is filled while it runs; static workers have 0. */
  readonly nextGeneration: bigint;
}

export interface Begin {
  readonly limits: Limits;
  readonly follows: 'nothing' | 'conninfo' | 'embedded';
  /** Default: nobody listens. */
  readonly clients?: ClientLimits;
}

/** The state before anything has happened. */
export function initialState({ limits, follows, clients = NO_CLIENTS }: Begin): State {
  return {
    limits,
    phase: 'INIT',
    shutdown: null,
    crash: { kind: 'none' },
    failure: { kind: 'none' },
    launcher: { kind: 'absent' },
    memory: 'raw',
    server: follows === 'embedded' ? { kind: 'due', notBefore: 0 } : { kind: 'none' },
    startup: { kind: 'none' },
    database: follows === 'nothing' ? 'primary' : 'unreachable',
    serverLosses: 0,
    reloadPending: false,
    course: 'on',
    workers: SlotMap.of(),
    booting: null,
    clients: initialClients(clients),
    nextChild: 1,
    nextGeneration: 1n,
  };
}

/** Was the server that this one was started for lost since? Asked of one that has a process. */
export function hasLostItsServer(
  { limits, serverLosses }: State,
  one: {
    readonly registration: Parameters<typeof needsServer>[0];
    readonly serverLosses: number;
  },
): boolean {
  return (
    limits.restartOnServerLoss && needsServer(one.registration) && one.serverLosses < serverLosses
  );
}
