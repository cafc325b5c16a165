// enter.ts: the steps of a child before any code of the user's own, worker and backend alike.
//
// They are those of BackgroundWorkerMain, numbered, each with its reason. Both kinds of child come
// through here: the fork of the launcher, and the freshly exec'ed node.

import { createLogger, type LogOptions } from '../log.ts';
import * as messages from '../messages.ts';
import { isAttached } from '../model/registration.ts';
import { type DescriptorWatcher, native } from '../native.ts';
import type { Attached } from '../shared/attached.ts';
import type { SharedRequests } from '../shared/names.ts';
import { saysDamaged } from '../shared/refusal.ts';
import type { ControlPlace } from '../travel/control.ts';
import { DEATH_DESCRIPTOR, type ProcessStart } from '../travel/notes.ts';
import { attach, type InheritedMemory, leave } from './attach.ts';
import type { BackgroundWorker, WorkerSurroundings } from './background-worker.ts';
import { leaveByExitNow } from './leave.ts';

/** Done; for a worker, for good, by PostgreSQL's rule. */
export const DONE = 0;
/** Failed; for a worker, and to be tried again. */
export const FAILED = 1;
/** As any code but 0 and 1 of an attached process: a crash. */
const CRASHED = 2;

/** The launcher's kFarewellMs, for when the launcher is dead as well. */
const FAREWELL_MS = 500;

export interface Entry<W extends BackgroundWorker> {
  readonly start: ProcessStart;
  /** What it inherited, if it asked for shared memory. */
  readonly memory: InheritedMemory | null;
  /** What its preload modules asked for in shared memory, to be bound here. */
  readonly shared: SharedRequests;
  /** Where the postmaster takes registrations of dynamic workers. */
  readonly control: ControlPlace;
  readonly log: LogOptions;
  /** For ps. */
  readonly title: string;
  make(surroundings: WorkerSurroundings): W;
  /** The sentence for an error that nobody took. */
  describe(error: unknown): string;
  /** Hears of such an error before the process leaves. */
  failed?(error: unknown): void;
}

export interface Entered<W extends BackgroundWorker> {
  readonly worker: W;
  /**
   * Logs the error and leaves with exit code 1. But one that says that shared memory is damaged is a
   * crash: only new memory helps, and only a crash brings it. And one that says that its database is
   * gone is the end of an interruptible worker's work: exit code 0.
   */
  fail(error: unknown): void;
  /** For the rehearsal alone. */
  undo(): void;
}

export function enter<W extends BackgroundWorker>(entry: Entry<W>): Entered<W> {
  const { start, memory, shared } = entry;
  const { registration, slot } = start;
  const log = lazily(() => createLogger(entry.log, registration.name));
  let worker: W | null = null;
  const fail = (error: unknown): void => {
    if (worker?.isOverWith(error)) {
      log().info(messages.databaseGone(registration, error));
      process.exit(DONE);
    }
    entry.failed?.(error);
    log().error({ err: error }, entry.describe(error));
    process.exit(saysDamaged(error) ? CRASHED : FAILED);
  };
  let attached: Attached | null = null;

  // 1. The exit path first: from here on nothing may end in node's own.
  const stay = leaveByExitNow({
    cleanup: () => {
      if (memory !== null && attached !== null) leave(memory, attached, log);
    },
    failed: fail,
  });
  // 2. The dead-man switch, before any foreign code: who dies from here on died attached.
  if (memory !== null && isAttached(registration)) attached = attach(memory, slot);
  const made = entry.make({
    attached,
    requests: shared,
    control: entry.control,
    createLog: log,
  });
  worker = made;
  // 3. The name, for ps.
  process.title = entry.title;
  // 4. The end of the postmaster.
  const watcher = watchPostmaster(made);
  // 5. What its preload modules asked for in shared memory gets its places.
  if (attached !== null) bind(shared, attached, fail);

  const undo = (): void => {
    watcher.close();
    if (memory !== null && attached !== null) leave(memory, attached, log);
    stay();
  };
  return { worker: made, fail, undo };
}

function bind(shared: SharedRequests, attached: Attached, failed: (error: unknown) => void): void {
  try {
    shared.bind(attached);
  } catch (error) {
    failed(error);
  }
}

function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/**
 * The end of the pipe that only the postmaster holds. A worker that waits on its latch is told and
 * has as long as the launcher's patience to leave by itself; another one leaves at once.
 */
function watchPostmaster(worker: BackgroundWorker): DescriptorWatcher {
  const watcher = new native.DescriptorWatcher(DEATH_DESCRIPTOR, () => {
    watcher.close();
    if (worker.orphan()) setTimeout(() => process.exit(FAILED), FAREWELL_MS);
    else process.exit(FAILED);
  });
  return watcher;
}
