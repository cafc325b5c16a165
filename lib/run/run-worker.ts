// run-worker.ts: the life of one worker process, from its first JavaScript to its exit.
//
// The steps before main() are in enter.ts. Both kinds of child come through here: the fork of the
// launcher, and the freshly exec'ed node.

import { closeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { LogOptions } from '../log.ts';
import * as messages from '../messages.ts';
import type { Body } from '../model/registration.ts';
import { unreachable } from '../model/standing.ts';
import { native } from '../native.ts';
import type { SharedRequests } from '../shared/names.ts';
import type { ControlPlace } from '../travel/control.ts';
import { DEATH_DESCRIPTOR, type WorkerStart } from '../travel/notes.ts';
import { readArgument } from './argument.ts';
import type { InheritedMemory } from './attach.ts';
import { BackgroundWorker, type WorkerSurroundings } from './background-worker.ts';
import { type Entered, enter, FAILED } from './enter.ts';
import { loadFunction } from './load-function.ts';
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
  /** Closed when main() is next, so that the postmaster starts the next worker; null: nobody waits. */
  readonly bootDescriptor: number | null;
  /** Where its argument lies, if that is a file. */
  readonly argumentDescriptor: number | null;
  /** Where it finds its postmaster, to register workers of its own. */
  readonly control: ControlPlace;
  readonly log: LogOptions;
  /** What main() gets, where that is more than a worker. */
  make?(start: WorkerStart, surroundings: WorkerSurroundings): BackgroundWorker;
  /** Hears of what makes it fail, before it leaves. */
  failed?(error: unknown): void;
}

/** Returns when main()'s synchronous part is over; the process leaves by itself later. */
export function runWorker(environment: WorkerEnvironment): void {
  run(environment, prepare(environment));
}

/**
 * Launcher only, before its first fork: the way to main() once, and back. V8 compiles a function
 * when it is first called, and what was compiled here is not compiled again in every child.
 */
export async function rehearseWorker(environment: WorkerEnvironment): Promise<void> {
  const { worker, undo } = prepare(environment);
  try {
    await startBody(environment, worker).finished;
  } finally {
    undo();
  }
}

function prepare(environment: WorkerEnvironment): Entered<BackgroundWorker> {
  const { start, memory, registry, control, log } = environment;
  const { registration } = start;
  return enter({
    start,
    memory,
    shared: registry.shared,
    control,
    log,
    title: `bgworker: ${registration.name}`,
    make: (surroundings) =>
      environment.make?.(start, surroundings) ?? new BackgroundWorker(start, surroundings),
    describe: (error) => messages.workerFailed(registration, error),
    failed: (error) => environment.failed?.(error),
  });
}

function run(environment: WorkerEnvironment, { worker, fail }: Entered<BackgroundWorker>): void {
  const { start } = environment;
  const { registration } = start;
  if (environment.bootDescriptor !== null) closeSync(environment.bootDescriptor);
  // 6. main(). Signals are blocked until its synchronous part is over.
  const body = startBody(environment, worker);
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

function startBody(environment: WorkerEnvironment, worker: BackgroundWorker): RunningBody {
  const { start, registry } = environment;
  const { body } = start.registration;
  const main = (): WorkerMain => registry.mainOf(start.staticIndex);
  switch (body.kind) {
    case 'closure':
      return call(main(), worker, () => argumentOf(environment));
    case 'module': {
      const loaded = loadFunction(body.module, body.function);
      const running = loaded.then((found) => call(found, worker, () => argumentOf(environment)));
      return {
        started: running.then(({ started }) => started),
        finished: running.then(({ finished }) => finished),
      };
    }
    case 'native':
      return callNative(body, worker, () => argumentOf(environment));
    case 'exec':
      // The launcher replaces the process before any JavaScript runs.
      throw new Error('an exec body is not run by node');
    default:
      return unreachable(body);
  }
}

function argumentOf({ start, registry, argumentDescriptor }: WorkerEnvironment): unknown {
  if (start.staticIndex !== null) return registry.argOf(start.staticIndex);
  return readArgument(start.argument, argumentDescriptor);
}

/** `arg` may fail like main() itself: it was made by somebody else. */
function call(main: WorkerMain, worker: BackgroundWorker, arg: () => unknown): RunningBody {
  try {
    const finished = Promise.resolve(main(worker, arg())).then(() => undefined);
    return { started: Promise.resolve(), finished };
  } catch (error) {
    const failed = Promise.reject(error);
    return { started: failed, finished: failed };
  }
}

/** A C function has the thread to itself; signals stay blocked but inside its own wait. */
function callNative(
  body: Extract<Body, { kind: 'native' }>,
  worker: BackgroundWorker,
  arg: () => unknown,
): RunningBody {
  const { library } = body;
  try {
    const given = arg();
    const code = native.runNativeWorker({
      library: library.startsWith('file:') ? fileURLToPath(library) : library,
      function: body.function,
      name: worker.name,
      arg: given instanceof Uint8Array ? given : Buffer.from(JSON.stringify(given) ?? ''),
      deathDescriptor: DEATH_DESCRIPTOR,
      attachment: worker.attachment,
    });
    return { started: Promise.resolve(), finished: Promise.resolve(code) };
  } catch (error) {
    const failed = Promise.reject(error);
    return { started: failed, finished: failed };
  }
}
