// status.ts: how the server is doing, by its own postmaster.pid, and whether one from an earlier
// supervisor still runs.
//
// A file says nothing about a live process by itself: a server that was killed leaves one that says
// "ready". So whoever waits for a server says which pid it is, and whoever looks for one has the
// process behind the pid checked.

import { readdirSync, readFileSync, readlinkSync, realpathSync, watch } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isGone, readProcess } from '../../data-directory/process.ts';

export type ServerStatus = 'starting' | 'ready' | 'standby' | 'stopping';

export interface ServerPidFile {
  readonly pid: number;
  /** null: the server has not got as far as to write that line. */
  readonly status: ServerStatus | null;
}

export interface WaitOptions {
  /** The server that was started; a file of any other is an old one. */
  readonly pid: number;
  readonly signal?: AbortSignal | undefined;
}

/** In case a file system delivers no events; with events it only ever confirms. */
const RECHECK_MS = 1000;
/** Where watching is refused (the user's inotify instances are used up), looking is all there is. */
const RECHECK_UNWATCHED_MS = 20;
const EXIT_CHECK_MS = 10;

const STATUSES: readonly ServerStatus[] = ['starting', 'ready', 'standby', 'stopping'];

/** Pure. null: not a pid file, or one that is being written at this moment. */
export function parseServerPidFile(text: string): ServerPidFile | null {
  const lines = text.split('\n').map((line) => line.trim());
  if (!/^-?[1-9]\d*$/.test(lines[0] ?? '')) return null;
  return {
    pid: Math.abs(Number(lines[0])), // negative: a standalone backend
    status: STATUSES.find((status) => status === lines[7]) ?? null,
  };
}

/** null: there is none, it is being written, or we may not read it. */
export function readServerPidFile(pgdata: string): ServerPidFile | null {
  try {
    return parseServerPidFile(readFileSync(join(pgdata, 'postmaster.pid'), 'utf8'));
  } catch {
    return null;
  }
}

/**
 * Resolves when the server accepts connections: 'ready', or 'standby' on a hot standby. Does not
 * notice that it has ended; whoever started it does, and then aborts the signal.
 */
export function waitForReady(
  pgdata: string,
  { pid, signal }: WaitOptions,
): Promise<'ready' | 'standby'> {
  const { promise, resolve, reject } = withResolvers<'ready' | 'standby'>();
  let recheck: NodeJS.Timeout | undefined;
  let stopWatching = () => {};
  const look = () => {
    const found = readServerPidFile(pgdata);
    if (found?.pid !== pid) return;
    if (found.status === 'ready' || found.status === 'standby') resolve(found.status);
  };
  const abort = () => reject(signal?.reason);
  const lookEvery = (intervalMs: number) => {
    clearInterval(recheck);
    recheck = setInterval(look, intervalMs);
  };
  if (signal?.aborted) return Promise.reject(signal.reason);
  signal?.addEventListener('abort', abort, { once: true });
  lookEvery(RECHECK_MS);
  try {
    const watcher = watch(pgdata, look);
    watcher.on('error', () => lookEvery(RECHECK_UNWATCHED_MS));
    stopWatching = () => watcher.close();
  } catch {
    lookEvery(RECHECK_UNWATCHED_MS);
  }
  look(); // after watch(), or what happened in between would be lost
  return promise.finally(() => {
    clearInterval(recheck);
    stopWatching();
    signal?.removeEventListener('abort', abort);
  });
}

/**
 * The pid of a live server of this directory, as after a SIGKILL of its supervisor: its
 * parent-death signal has told it to stop, and the caller waits for that. null: none runs.
 */
export function findRunningServer(pgdata: string): number | null {
  const pid = readServerPidFile(pgdata)?.pid;
  return pid !== undefined && isServerOf(pid, pgdata) ? pid : null;
}

/**
 * All processes of a server of this directory, also those that a killed one left. They hold on to
 * its shared memory, so a new server refuses to start before they are gone.
 */
export function findServerProcesses(pgdata: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => isServerOf(pid, pgdata));
}

/**
 * Resolves when the process has ended, waited for by its parent or not. A pidfd would say so by
 * itself, but the addon hands them out for the launcher's own children only, and this one is not;
 * so it looks every 10 ms, and its start time tells it from a later process with the same pid.
 */
export async function waitForExit(pid: number, signal?: AbortSignal): Promise<void> {
  const first = readProcess(pid);
  for (let now = first; !isGone(now) && now?.startTicks === first?.startTicks; ) {
    signal?.throwIfAborted();
    await sleep(EXIT_CHECK_MS, undefined, { signal }).catch(() => signal?.throwIfAborted());
    now = readProcess(pid);
  }
}

/** A server works in its data directory. A recycled pid has another program, or another place. */
function isServerOf(pid: number, pgdata: string): boolean {
  if (isGone(readProcess(pid))) return false;
  const cwd = attempt(() => readlinkSync(`/proc/${pid}/cwd`));
  if (cwd !== null && cwd !== attempt(() => realpathSync(pgdata))) return false;
  const command = attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))?.split('\0') ?? [];
  const program = attempt(() => readlinkSync(`/proc/${pid}/exe`)) ?? command[0] ?? '';
  const isPostgres = /^(postgres|postmaster)\b/.test(
    basename(program.replace(/ \(deleted\)$/, '')),
  );
  // The first two links are closed to us if the process is another user's. What it was started
  // with is not; a child of the server has replaced that by a title of its own.
  return isPostgres && (cwd !== null || command.includes(pgdata));
}

function attempt<T>(act: () => T): T | null {
  try {
    return act();
  } catch {
    return null; // gone meanwhile, or not ours to see
  }
}

/** Promise.withResolvers is not in Node 20. */
function withResolvers<T>() {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((onValue, onReason) => {
    resolve = onValue;
    reject = onReason;
  });
  return { promise, resolve, reject };
}
