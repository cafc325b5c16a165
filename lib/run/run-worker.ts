// run-worker.ts: the life of one worker process, from its first JavaScript to its exit.
//
// The steps before main() are in enter.ts. Both kinds of child come through here: the fork of the
// launcher, and the freshly exec'ed node.

import { fileURLToPath, pathToFileURL } from 'node:url';
import type { LogOptions } from '../log.ts';
import * as messages from '../messages.ts';
import type { Body } from '../model/registration.ts';
import { unreachable } from '../model/standing.ts';
import { native } from '../native.ts';
import type { SharedRequests } from '../shared/names.ts';
import { DEATH_DESCRIPTOR, type WorkerStart } from '../travel/notes.ts';
import type { InheritedMemory } from './attach.ts';
import { BackgroundWorker } from './background-worker.ts';
import { type Entered, enter, FAILED } from './enter.ts';
import { importModule } from './import-module.ts';
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
}

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

function prepare({ start, memory, registry, log }: WorkerEnvironment): Entered<BackgroundWorker> {
  const { registration } = start;
  return enter({
    start,
    memory,
    shared: registry.shared,
    log,
    title: `bgworker: ${registration.name}`,
    make: (attached, logger) => new BackgroundWorker(start, attached, logger),
    failed: (error) => messages.workerFailed(registration, error),
  });
}

function run(
  { start, registry }: WorkerEnvironment,
  { worker, fail }: Entered<BackgroundWorker>,
): void {
  const { registration } = start;
  // 6. main(). Signals are blocked until its synchronous part is over.
  const body = startBody(registration.body, start, registry, worker);
  body.started.then(
    () => {
      installDefaults(() => {
        worker.log.fatal(messages.terminatedByAdministrator(registration));
        process.exit(FAILED);
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
