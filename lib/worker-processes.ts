// worker-processes.ts: the workers' processes: how each is asked for, told things, and seen to end.
//
// A worker is a program of its own, or a child that runs this library; the launcher makes both. What
// becomes of it is posted as an event. Decides nothing, like perform.ts, whose part it is.

import { type ChildEnd, causeOf } from './fork/child-end.ts';
import { programRequest } from './fork/exec-requests.ts';
import type { LauncherProcess } from './fork/launcher-process.ts';
import type { NodeChildren } from './fork/node-children.ts';
import type { SharedMemory } from './fork/shared-memory.ts';
import type { Event } from './model/event.ts';
import type { Exit } from './model/exit.ts';
import type { FollowedDatabase } from './model/followed.ts';
import type { ChildId, Pid } from './model/standing.ts';
import type { SlotIndex, State, Worker } from './model/state.ts';
import { environmentOf } from './postgres/conninfo/index.ts';
import { targetFor } from './postgres/target-for.ts';
import type { WorkerStart } from './travel/notes.ts';

export interface WorkerProcessesOptions {
  readonly nodes: NodeChildren;
  readonly memory: SharedMemory;
  /** The present one; null: there has been none yet. */
  launcher(): LauncherProcess | null;
  post(event: Event): void;
}

export class WorkerProcesses {
  readonly #options: WorkerProcessesOptions;
  /** Which slot a child belongs to, until it has ended. */
  readonly #slotOf = new Map<ChildId, SlotIndex>();

  constructor(options: WorkerProcessesOptions) {
    this.#options = options;
  }

  /** `database`: where it is, if there is one. */
  start(child: ChildId, worker: Worker | undefined, database: FollowedDatabase | null): void {
    const launcher = this.#options.launcher();
    if (worker === undefined || launcher === null) return;
    const { slot, registration, staticIndex } = worker;
    this.#slotOf.set(child, slot);
    const { conninfo, server } = database ?? { conninfo: null, server: null };
    const start: WorkerStart = { slot, registration, staticIndex, conninfo, server };
    const { body } = registration;
    if (body.kind === 'exec') this.#startProgram(launcher, child, start, body.argv);
    else this.#options.nodes.start(launcher, child, { kind: 'worker', start });
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
    const slot = this.#slotOf.get(child);
    if (slot !== undefined) this.#options.post({ kind: 'forked', slot, child, pid });
  }

  /** No child came of it. */
  failed(child: ChildId, call: string, why: string): void {
    const slot = this.#forget(child);
    if (slot !== undefined) this.#options.post({ kind: 'fork-failed', slot, child, call, why });
  }

  ended(child: ChildId, end: ChildEnd): void {
    const slot = this.#forget(child);
    if (slot === undefined) return;
    const activity = this.#options.memory.takeActivity(slot);
    const exit: Exit = {
      cause: causeOf(end),
      cleanDetach: !this.#options.memory.takeDeadMan(slot),
      usage: end.kind === 'reaped' ? end.usage : null,
      ...(activity !== null && { activity }),
    };
    this.#options.post({ kind: 'exited', slot, child, exit });
  }

  #startProgram(
    launcher: LauncherProcess,
    child: ChildId,
    { registration, conninfo, server }: WorkerStart,
    argv: readonly string[],
  ): void {
    let env: NodeJS.ProcessEnv = { ...process.env, BGWORKER_NAME: registration.name };
    try {
      if (registration.database !== null && conninfo !== null) {
        env = environmentOf(targetFor({ conninfo, server }, registration, {}), env);
      }
    } catch (error) {
      // Its service or password file, which may be different next time.
      return this.failed(child, 'conninfo', (error as Error).message);
    }
    launcher.exec(child, programRequest(argv, env));
  }

  #forget(child: ChildId): SlotIndex | undefined {
    const slot = this.#slotOf.get(child);
    this.#slotOf.delete(child);
    this.#options.nodes.forget(child);
    return slot;
  }
}
