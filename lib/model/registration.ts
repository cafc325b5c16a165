// registration.ts: what a background worker is registered with (struct BackgroundWorker).
//
// Two forms. BackgroundWorkerOptions is what a user writes; Registration is what it becomes once
// register/check.ts has found nothing wrong with it. Only the second travels and is stored.

import type { BackgroundWorker } from '../run/background-worker.ts';
import type { StartTime } from './phase.ts';

/** The longest name, type and function name in bytes of UTF-8 (BGW_MAXLEN - 1). */
export const NAME_MAX_BYTES = 95;

/** The longest restart interval in seconds (USECS_PER_DAY / 1000). */
export const RESTART_TIME_MAX_S = 86_400_000;

/** The most slots that a postmaster can have (the range of max_worker_processes). */
export const WORKER_PROCESSES_MAX = 262_143;

/**
 * What a worker asks for (bgw_flags).
 *
 * - `SHMEM_ACCESS`: keeps the main shared memory area mapped. The price: a crash of this worker
 *   takes every other worker with shared memory down with it.
 * - `BACKEND_DATABASE_CONNECTION`: permits `worker.connect()`. Needs `SHMEM_ACCESS`.
 */
export const WORKER_FLAGS = ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'] as const;

export type WorkerFlag = (typeof WORKER_FLAGS)[number];

/** The main function of a worker: its return is exit 0, its throw is logged and is exit 1. */
// biome-ignore lint/suspicious/noExplicitAny: arg has the type that its main declares; see docs.
export type WorkerMain = (worker: BackgroundWorker, arg: any) => unknown;

/** What a worker runs: exactly one of the four forms. */
export type WorkerBody =
  /** A closure of the preload module; the fork inherits it. Static workers only. */
  | { readonly main: WorkerMain }
  /** Loaded in the worker (bgw_library_name, bgw_function_name). `function` defaults to 'main'. */
  | { readonly module: string | URL; readonly function?: string }
  /** Any program, by its arguments; the first is looked up in PATH. */
  | { readonly exec: readonly [string, ...string[]] }
  /** A C function of a shared library, see native/include/bgworker.h. */
  | { readonly native: { readonly library: string | URL; readonly function: string } };

/** What `registerBackgroundWorker()` takes. */
export type BackgroundWorkerOptions = WorkerBody & {
  /** Shown in the process title and in log lines; 1 to 95 bytes (bgw_name). */
  readonly name: string;
  /** What workers of one kind have in common; default: the name (bgw_type). */
  readonly type?: string;
  /** Default: none. */
  readonly flags?: readonly WorkerFlag[];
  /** Default: 'RecoveryFinished'. */
  readonly startTime?: StartTime;
  /**
   * Seconds from the reaped exit to the next start, 0 to 86 400 000, or 'never'. Default: 60
   * (BGW_DEFAULT_RESTART_INTERVAL). Applies to exit 1 and, without shared memory, to crashes.
   */
  readonly restartTime?: number | 'never';
  /** true: exit 0 restarts the worker at once, as in 2012, instead of retiring it. */
  readonly restartOnExit0?: boolean;
  /** 'exec': a fresh node instead of a fork, with V8's helper threads. Default: the postmaster's. */
  readonly launch?: 'fork' | 'exec';
  /** The default database of `worker.connect()`; for `exec` programs: sets PGDATABASE and the rest. */
  readonly database?: string;
  /** The default user of `worker.connect()`. */
  readonly user?: string;
  /** Anything structured-cloneable; copied at registration (bgw_main_arg, bgw_extra). */
  readonly arg?: unknown;
};

/** What a worker runs, in the form that travels between processes. */
export type Body =
  | { readonly kind: 'closure' }
  | { readonly kind: 'module'; readonly module: string; readonly function: string }
  | { readonly kind: 'exec'; readonly argv: readonly string[] }
  | { readonly kind: 'native'; readonly library: string; readonly function: string };

/** A checked registration: every default filled in, every rule kept. */
export interface Registration {
  readonly name: string;
  readonly type: string;
  readonly flags: readonly WorkerFlag[];
  readonly startTime: StartTime;
  readonly restartTime: number | 'never';
  readonly restartOnExit0: boolean;
  /** null: as the postmaster launches by default. */
  readonly launch: 'fork' | 'exec' | null;
  readonly database: string | null;
  readonly user: string | null;
  readonly body: Body;
}

/** Does a crash of this worker put the shared memory of others in doubt? */
export function isAttached(registration: Registration): boolean {
  return registration.flags.includes('SHMEM_ACCESS');
}
