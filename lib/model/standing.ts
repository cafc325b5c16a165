// standing.ts: where a worker, the launcher and the embedded server stand.
//
// A standing carries only the fields that mean something in it. Only react/ makes new ones.

import type { Exit } from './exit.ts';

/** Milliseconds on the postmaster's monotonic clock. */
export type Instant = number;
export type Pid = number;
/** Names a child towards the launcher; never used twice by one postmaster. */
export type ChildId = number;

/** The signals that end a child, each stronger than the one before. */
export const ENDING_SIGNALS = ['SIGTERM', 'SIGQUIT', 'SIGKILL'] as const;

export type EndingSignal = (typeof ENDING_SIGNALS)[number];

export type Standing =
  /** Waits for its phase and its time. */
  | { readonly kind: 'due'; readonly notBefore: Instant }
  /** The launcher was asked for a child and has not answered yet. */
  | { readonly kind: 'forking'; readonly child: ChildId }
  | {
      readonly kind: 'running';
      readonly child: ChildId;
      readonly pid: Pid;
      readonly since: Instant;
    }
  /** It was told to end. */
  | {
      readonly kind: 'stopping';
      readonly child: ChildId;
      readonly pid: Pid;
      readonly since: Instant;
      readonly told: EndingSignal;
      readonly toldAt: Instant;
    }
  /** Never to be started again; its slot is freed on the next turn. */
  | { readonly kind: 'gone'; readonly last: Exit | null };

/** The launcher's standing. `failed`: it cannot be started, so nothing else can. */
export type LauncherStanding =
  | { readonly kind: 'absent' }
  | { readonly kind: 'starting' }
  | { readonly kind: 'ready'; readonly pid: Pid; readonly startupHooks: boolean }
  /** It did not answer any more and was killed; its end is on the way. */
  | { readonly kind: 'ending' }
  | { readonly kind: 'failed' };

/** PostgreSQL's own words for a fast and an immediate shutdown, and the end. */
export const SERVER_SIGNALS = ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const;

export type ServerSignal = (typeof SERVER_SIGNALS)[number];

/** The embedded server's standing. `none`: there is no server of ours to run. */
export type ServerStanding =
  | { readonly kind: 'none' }
  | { readonly kind: 'due'; readonly notBefore: Instant }
  | { readonly kind: 'starting' }
  | { readonly kind: 'running'; readonly pid: Pid }
  | {
      readonly kind: 'stopping';
      /** null: it was still being prepared. */
      readonly pid: Pid | null;
      readonly told: ServerSignal;
      readonly toldAt: Instant;
    };

/** The startup process's standing. `none`: no preload module has one. */
export type StartupStanding =
  | { readonly kind: 'none' }
  /** To be started once shared memory is ready. */
  | { readonly kind: 'due' }
  | { readonly kind: 'starting' }
  | { readonly kind: 'running'; readonly pid: Pid }
  | {
      readonly kind: 'stopping';
      readonly pid: Pid;
      readonly told: EndingSignal;
      readonly toldAt: Instant;
    }
  /** It has ended, for this life of shared memory. */
  | { readonly kind: 'done' };

/** Does a process stand behind it, or may one at any moment? */
export function isAlive({ kind }: Pick<Standing, 'kind'>): boolean {
  switch (kind) {
    case 'forking':
    case 'running':
    case 'stopping':
      return true;
    case 'due':
    case 'gone':
      return false;
    default:
      return unreachable(kind);
  }
}

/** The end of every switch over a closed set. */
export function unreachable(value: never): never {
  throw new Error(`a case is missing for ${JSON.stringify(value)}`);
}
