// run-worker.ts: the life of one worker process, from its first JavaScript to its exit.
//
// The steps are those of BackgroundWorkerMain, numbered, each with its reason. Both kinds of child
// come through here: the fork of the launcher, and the freshly exec'ed node.

import { fileURLToPath, pathToFileURL } from 'node:url';
import { createLogger, type Logger, type LogOptions } from '../log.ts';
import * as messages from '../messages.ts';
import { type Body, isAttached } from '../model/registration.ts';
import { unreachable } from '../model/standing.ts';
import { type DescriptorWatcher, native } from '../native.ts';
import type { Attached } from '../shared/attached.ts';
import type { SharedRequests } from '../shared/names.ts';
import { DEATH_DESCRIPTOR, type WorkerStart } from '../travel/notes.ts';
import { attach, type InheritedMemory, leave } from './attach.ts';
import { BackgroundWorker } from './background-worker.ts';
import { importModule } from './import-module.ts';
import { leaveByExitNow } from './leave.ts';
import { deliverHeld, installDefaults } from './signals.ts';
import type { WorkerMain } from './worker-options.ts';

/** Where the process finds the closures and arguments of its preload modules, by index. */
export interface WorkerSource {
  mainOf(index: number | null): WorkerMain;
  argOf(index: number): unknown;
  /** What they asked for in shared memory, to be bound here. */
  readonly shared: SharedRequests;
}

export interface WorkerEnvironment {
  readonly start: WorkerStart;
  readonly registry: WorkerSource;
  /** What it inherited, if it asked for shared memory. */
  readonly memory: InheritedMemory | null;
  readonly log: LogOptions;
  /** What main() gets, where that is more than a worker. */
  make?(start: WorkerStart, attached: Attached | null, log: () => Logger): BackgroundWorker;
  /** Hears of what makes it fail, before it leaves. */
  failed?(error: unknown): void;
}

/** Failed, and to be tried again, by PostgreSQL's rule; and done for good. */
const FAILED = 1;
const DONE = 0;

/** The launcher's kFarewellMs, for when the launcher is dead as well. */
const FAREWELL_MS = 500;

/** Returns when main()'s synchronous part is over; the process leaves by itself later. */
export function runWorker(environment: WorkerEnvironment): void {
  run(environment, prepare(environment));
}

/**
 * Launcher only, before its first fork: the way to main() once, and back. V8 compiles a function
 * when it is first called, and what was compiled here is not compiled again in every child.
 */
export function rehearseWorker(environment: WorkerEnvironment): void {
  const { worker, undo } = prepare(environment);
  startBody(environment.start.registration.body, environment.start, environment.registry, worker);
  undo();
}

interface Prepared {
  readonly worker: BackgroundWorker;
  /** The end of the process by an error. */
  fail(error: unknown): void;
  /** For the rehearsal alone. */
  undo(): void;
}

/** The steps before any code of the worker's own. */
function prepare(environment: WorkerEnvironment): Prepared {
  const { start, memory, registry, log: options } = environment;
  const { registration, slot } = start;
  const log = lazily(() => createLogger(options, registration.name));
  let attached: Attached | null = null;
  let worker: BackgroundWorker | null = null;
  const failed = (error: unknown) => fail(environment, worker, log(), error);

  // 1. The exit path first: from here on nothing may end in node's own.
  const stay = leaveByExitNow({
    cleanup: () => {
      if (memory !== null && attached !== null) leave(memory, attached, log);
    },
    failed,
  });
  // 2. The dead-man switch, before any foreign code: who dies from here on died attached.
  if (memory !== null && isAttached(registration)) attached = attach(memory, slot);
  worker = environment.make?.(start, attached, log) ?? new BackgroundWorker(start, attached, log);
  // 3. The name, for ps.
  process.title = `bgworker: ${registration.name}`;
  // 4. The end of the postmaster.
  const watcher = watchPostmaster(worker);
  // 5. What its preload modules asked for in shared memory gets its places.
  if (attached !== null) bind(registry.shared, attached, failed);

  const undo = (): void => {
    watcher.close();
    stay();
  };
  return { worker, fail: failed, undo };
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

function run({ start, registry }: WorkerEnvironment, { worker, fail }: Prepared): void {
  const { registration } = start;
  // 6. main(). Signals are blocked until its synchronous part is over.
  const body = startBody(registration.body, start, registry, worker);
  body.started.then(
    () => {
      installDefaults({
        terminate() {
          worker.log.fatal(messages.terminatedByAdministrator(registration));
          process.exit(FAILED);
        },
        interrupt: () => worker.interrupt(),
      });
      native.unblockSignals();
      deliverHeld();
    },
    () => {}, // Its failure is handled below.
  );
  body.finished.then(
    // Without a code it is process.exitCode's, as at any other end of a Node program.
    (code) => (code === undefined ? process.exit() : process.exit(code)),
    fail,
  );
}

interface RunningBody {
  /** main()'s synchronous part is over. */
  readonly started: Promise<void>;
  /** The exit code that its return stands for; undefined: process.exitCode, which is 0 by default. */
  readonly finished: Promise<number | undefined>;
}

function startBody(
  body: Body,
  start: WorkerStart,
  registry: WorkerSource,
  worker: BackgroundWorker,
): RunningBody {
  const arg = start.staticIndex === null ? undefined : registry.argOf(start.staticIndex);
  switch (body.kind) {
    case 'closure':
      return call(registry.mainOf(start.staticIndex), worker, arg);
    case 'module': {
      const loaded = loadFunction(body);
      const running = loaded.then((main) => call(main, worker, arg));
      return {
        started: running.then(({ started }) => started),
        finished: running.then(({ finished }) => finished),
      };
    }
    case 'native':
      return callNative(body, worker, arg);
    case 'exec':
      // The launcher replaces the process before any JavaScript runs.
      throw new Error('an exec body is not run by node');
    default:
      return unreachable(body);
  }
}

function call(main: WorkerMain, worker: BackgroundWorker, arg: unknown): RunningBody {
  try {
    const finished = Promise.resolve(main(worker, arg)).then(() => undefined);
    return { started: Promise.resolve(), finished };
  } catch (error) {
    const failed = Promise.reject(error);
    return { started: failed, finished: failed };
  }
}

async function loadFunction(body: Extract<Body, { kind: 'module' }>): Promise<WorkerMain> {
  const loaded = await importModule(asUrl(body.module));
  const found = loaded[body.function];
  if (typeof found === 'function') return found as WorkerMain;
  throw new Error(messages.functionMissing(body.module, body.function, Object.keys(loaded)));
}

function asUrl(module: string): string {
  return module.startsWith('/') ? pathToFileURL(module).href : module;
}

/** A C function has the thread to itself; signals stay blocked but inside its own wait. */
function callNative(
  body: Extract<Body, { kind: 'native' }>,
  worker: BackgroundWorker,
  arg: unknown,
): RunningBody {
  const { library } = body;
  try {
    const code = native.runNativeWorker({
      library: library.startsWith('file:') ? fileURLToPath(library) : library,
      function: body.function,
      name: worker.name,
      arg: arg instanceof Uint8Array ? arg : Buffer.from(JSON.stringify(arg) ?? ''),
      deathDescriptor: DEATH_DESCRIPTOR,
    });
    return { started: Promise.resolve(), finished: Promise.resolve(code) };
  } catch (error) {
    const failed = Promise.reject(error);
    return { started: failed, finished: failed };
  }
}

/** An uncaught error is logged and is exit 1: started again after the restart interval. */
function fail(
  { start: { registration }, failed }: WorkerEnvironment,
  worker: BackgroundWorker | null,
  log: Logger,
  error: unknown,
): void {
  if (worker?.isOverWith(error)) {
    log.info(messages.databaseGone(registration, error));
    process.exit(DONE);
  }
  failed?.(error);
  log.error({ err: error }, messages.workerFailed(registration, error));
  process.exit(FAILED);
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
