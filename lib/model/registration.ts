// registration.ts: a background worker as it is registered (struct BackgroundWorker), checked.
//
// What a user writes is BackgroundWorkerOptions, in run/worker-options.ts; this is what it becomes
// once register/check.ts has found nothing wrong with it. Only this form travels and is stored.

import type { StartTime } from './phase.ts';

/** The longest name, type and function name in bytes of UTF-8 (BGW_MAXLEN - 1). */
export const NAME_MAX_BYTES = 95;

/** The longest restart interval in seconds (USECS_PER_DAY / 1000). */
export const RESTART_TIME_MAX_S = 86_400_000;

/**
 * The most workers that a postmaster can have (the range of max_worker_processes); and with its
 * connections it has no more: the main area has that many slots, and one for the startup process.
 */
export const WORKER_PROCESSES_MAX = 262_143;

/** The most workers of the class CLASS_PARALLEL at a time (the range of max_parallel_workers). */
export const PARALLEL_WORKERS_MAX = 1024;

/**
 * What a worker asks for (bgw_flags).
 *
 * - `SHMEM_ACCESS`: keeps the main shared memory area mapped. The price: a crash of this worker
 *   takes every other worker with shared memory down with it.
 * - `BACKEND_DATABASE_CONNECTION`: permits `worker.connect()`. Needs `SHMEM_ACCESS`.
 * - `CLASS_PARALLEL`: counts against `maxParallelWorkers`, too, so that short helpers of one task
 *   cannot take every slot. Never started again: its `restartTime` must be 'never'.
 * - `INTERRUPTIBLE`: ended for good with its database: by `postmaster.terminateWorkersOf()`, or when
 *   the database that it asks for does not exist. Needs `BACKEND_DATABASE_CONNECTION`.
 */
export const WORKER_FLAGS = [
  'SHMEM_ACCESS',
  'BACKEND_DATABASE_CONNECTION',
  'CLASS_PARALLEL',
  'INTERRUPTIBLE',
] as const;

export type WorkerFlag = (typeof WORKER_FLAGS)[number];

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

/** Is it of no use without the database server that is followed? */
export function needsServer({
  flags,
  body,
  database,
}: Pick<Registration, 'flags' | 'database'> & Partial<Pick<Registration, 'body'>>): boolean {
  // A program finds its way there in its environment.
  return (
    flags.includes('BACKEND_DATABASE_CONNECTION') || (body?.kind === 'exec' && database !== null)
  );
}

/** Does a crash of this worker put the shared memory of others in doubt? */
export function isAttached({ flags }: Pick<Registration, 'flags'>): boolean {
  return flags.includes('SHMEM_ACCESS');
}

/** Is it one of those that `maxParallelWorkers` limits? */
export function isParallel(registration: Registration): boolean {
  return registration.flags.includes('CLASS_PARALLEL');
}
