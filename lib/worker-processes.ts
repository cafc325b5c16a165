// worker-processes.ts: the workers' processes: how each is asked for, told things, and seen to end.
//
// A worker is a program of its own, or a child that runs this library; the launcher makes both. What
// becomes of it is posted as an event. Decides nothing, like perform.ts, whose part it is.

import type { Argument, Arguments } from './control/argument.ts';
import { type ChildEnd, causeOf } from './fork/child-end.ts';
import { programRequest } from './fork/exec-requests.ts';
import type { LauncherProcess } from './fork/launcher-process.ts';
import type { NodeChildren } from './fork/node-children.ts';
import type { SharedMemory } from './fork/shared-memory.ts';
import type { Event } from './model/event.ts';
import type { Exit } from './model/exit.ts';
import type { FollowedDatabase } from './model/followed.ts';
import { isAttached } from './model/registration.ts';
import type { ChildId, Pid } from './model/standing.ts';
import type { SlotIndex, State, Worker } from './model/state.ts';
import { environmentOf } from './postgres/conninfo/index.ts';
import { targetFor } from './postgres/target-for.ts';
import type { TravellingArgument, WorkerStart } from './travel/notes.ts';

export interface WorkerProcessesOptions {
  readonly nodes: NodeChildren;
  readonly memory: SharedMemory;
  readonly arguments: Arguments;
  /** The present one; null: there has been none yet. */
  launcher(): LauncherProcess | null;
  post(event: Event): void;
}

interface WorkerProcess {
  readonly slot: SlotIndex;
  readonly isAttached: boolean;
  /** Its being up and its being forked may be heard of in either order, and are told in one. */
  isUp: boolean;
  isForked: boolean;
}

export class WorkerProcesses {
  readonly #options: WorkerProcessesOptions;
  /** Until each has ended. */
  readonly #processes = new Map<ChildId, WorkerProcess>();

  constructor(options: WorkerProcessesOptions) {
    this.#options = options;
  }

  /** `database`: where it is, if there is one. */
  start(child: ChildId, worker: Worker | undefined, database: FollowedDatabase | null): void {
    const launcher = this.#options.launcher();
    if (worker === undefined || launcher === null) return;
    const { slot, registration, staticIndex } = worker;
    const known = { slot, isAttached: isAttached(registration), isUp: false, isForked: false };
    this.#processes.set(child, known);
    const argument = this.#options.arguments.of(slot);
    const start: WorkerStart = {
      slot,
      registration,
      staticIndex,
      database,
      argument: argument === null ? null : travellingArgument(argument),
    };
    const { body } = registration;
    if (body.kind === 'exec') return this.#startProgram(launcher, child, start, body.argv);
    const descriptors = argument?.kind === 'file' ? [argument.descriptor] : [];
    const up = () => this.#isUp(child);
    const errand = { kind: 'worker', start } as const;
    try {
      this.#options.nodes.startWorker(launcher, child, errand, { descriptors, up });
    } catch (error) {
      const { syscall, message } = error as NodeJS.ErrnoException;
      this.failed(child, syscall ?? 'fork', message); // No descriptor is left, perhaps.
    }
  }

  end(worker: Worker | undefined, signal: NodeJS.Signals, state: State): void {
    if (worker === undefined || !('child' in worker.standing)) return;
    // TerminateBackgroundWorker speaks to the process alone, everything else to its group.
    const to = state.shutdown === null && signal === 'SIGTERM' ? 'process' : 'group';
    const { child } = worker.standing;
    const tell = () => this.#options.launcher()?.kill(child, signal, to);
    if (signal === 'SIGTERM') this.#options.nodes.whenUp(child, tell);
    else tell();
  }

  reload(workers: Iterable<Worker>): void {
    const { nodes, launcher } = this.#options;
    for (const { standing } of workers) {
      if (!('pid' in standing)) continue;
      const { child } = standing;
      nodes.whenUp(child, () => launcher()?.kill(child, 'SIGHUP', 'process'));
    }
  }

  forked(child: ChildId, pid: Pid): void {
    const known = this.#processes.get(child);
    if (known === undefined) return;
    known.isForked = true;
    this.#options.post({ kind: 'forked', slot: known.slot, child, pid });
    if (known.isUp) this.#options.post({ kind: 'up', child });
  }

  /** No child came of it. */
  failed(child: ChildId, call: string, why: string): void {
    const slot = this.#forget(child)?.slot;
    if (slot !== undefined) this.#options.post({ kind: 'fork-failed', slot, child, call, why });
  }

  ended(child: ChildId, end: ChildEnd): void {
    const known = this.#forget(child);
    if (known === undefined) return;
    const { slot, isAttached } = known;
    // What stands in the slot of a worker that is not attached is somebody else's, or nobody's.
    const activity = isAttached ? this.#options.memory.takeActivity(slot) : null;
    const exit: Exit = {
      cause: causeOf(end),
      cleanDetach: !(isAttached && this.#options.memory.takeDeadMan(slot)),
      usage: end.kind === 'reaped' ? end.usage : null,
      ...(activity !== null && { activity }),
    };
    this.#options.post({ kind: 'exited', slot, child, exit });
  }

  #isUp(child: ChildId): void {
    const known = this.#processes.get(child);
    if (known === undefined) return;
    known.isUp = true;
    if (known.isForked) this.#options.post({ kind: 'up', child });
  }

  #startProgram(
    launcher: LauncherProcess,
    child: ChildId,
    { registration, database }: WorkerStart,
    argv: readonly string[],
  ): void {
    let env: NodeJS.ProcessEnv = { ...process.env, BGWORKER_NAME: registration.name };
    try {
      if (registration.database !== null && database !== null) {
        env = environmentOf(targetFor(database, registration, {}), env);
      }
    } catch (error) {
      // Its service or password file, which may be different next time.
      return this.failed(child, 'conninfo', (error as Error).message);
    }
    launcher.exec(child, programRequest(argv, env));
    this.#isUp(child); // Nobody knows when it is.
  }

  #forget(child: ChildId): WorkerProcess | undefined {
    const known = this.#processes.get(child);
    this.#processes.delete(child);
    this.#options.nodes.forget(child);
    return known;
  }
}

function travellingArgument(argument: Argument): TravellingArgument {
  if (argument.kind === 'file') return { kind: 'file' };
  return { kind: 'inline', base64: argument.bytes.toString('base64') };
}
