// worker-options.ts: what a user writes to register a background worker (struct BackgroundWorker).
//
// The docstrings here are the manual of each field; the rules are in register/check.ts.

import type { StartTime } from '../model/phase.ts';
import type { WorkerFlag } from '../model/registration.ts';
import type { BackgroundWorker } from './background-worker.ts';

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
export type BackgroundWorkerOptions = WorkerBody & CommonOptions;

/** What `registerDynamicBackgroundWorker()` takes: a closure cannot travel. */
export type DynamicBackgroundWorkerOptions = Exclude<WorkerBody, { readonly main: WorkerMain }> &
  CommonOptions;

interface CommonOptions {
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
}
