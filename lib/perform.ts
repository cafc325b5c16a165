// perform.ts: carries actions out. It owns the launcher, the main area, the server and the
// follower, and decides nothing: what it is told it does, and what comes of it is posted as events.

import { closeSync } from 'node:fs';
import { BgworkerError } from './errors.ts';
import { BootingChildren } from './fork/booting.ts';
import { type ChildEnd, causeOf } from './fork/child-end.ts';
import { nodeRequest, programRequest } from './fork/exec-requests.ts';
import { LauncherProcess } from './fork/launcher-process.ts';
import { LauncherKilled } from './fork/launcher-program.ts';
import { SharedMemory } from './fork/shared-memory.ts';
import type { Logger } from './log.ts';
import * as messages from './messages.ts';
import type { Action } from './model/action.ts';
import type { Event, StaticWorker } from './model/event.ts';
import type { Exit } from './model/exit.ts';
import { isAttached } from './model/registration.ts';
import { type ChildId, unreachable } from './model/standing.ts';
import type { SlotIndex, State, Worker } from './model/state.ts';
import { native } from './native.ts';
import { environmentOf } from './postgres/conninfo/index.ts';
import { type Follower, follow } from './postgres/follow.ts';
import { ServerRunner } from './postgres/server/runner.ts';
import { targetFor } from './postgres/target-for.ts';
import { checkRegistration } from './register/check.ts';
import type { CheckedOptions } from './register/options.ts';
import {
  type AnnouncedWorker,
  encodeNote,
  INITIALIZER_SLOT,
  type WorkerStart,
} from './travel/notes.ts';

export interface PerformerHooks {
  post(event: Event): void;
  /** Everything is ended; what is left is the data directory's lock file. */
  finished(exitCode: 0 | 1): void;
}

/** The server's number towards the launcher; the policy's numbers count up from 1. */
const SERVER_CHILD: ChildId = 0xffff_ffff;
/** The number of the child that runs the start-up hooks. */
const MEMORY_CHILD: ChildId = 0xffff_fffe;

export class Performer {
  readonly #options: CheckedOptions;
  readonly #hooks: PerformerHooks;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  readonly #server: ServerRunner | null;
  /** Which slot a child belongs to, until it has ended. */
  readonly #slotOf = new Map<ChildId, SlotIndex>();
  readonly #booting = new BootingChildren();
  /** The pipe whose write end only this process holds: its end of file is our death. */
  readonly #deathPipe: readonly [readEnd: number, writeEnd: number];
  readonly #memory: SharedMemory;
  #launcher: LauncherProcess | null = null;
  /** Our end of the socket on which the start-up hooks say what went wrong; null: none run. */
  #answer: number | null = null;
  #launcherStart: Promise<void> | null = null;
  #follower: Follower | null = null;
  #conninfo: string | null = null;

  constructor(options: CheckedOptions, log: Logger, hooks: PerformerHooks) {
    this.#options = options;
    this.#log = log;
    this.#hooks = hooks;
    this.#deathPipe = native.pipe();
    this.#memory = new SharedMemory(options.maxWorkerProcesses);
    const { postgres, dataDirectory } = options;
    this.#server =
      postgres !== null && 'embedded' in postgres ? this.#runner(dataDirectory, postgres) : null;
    if (postgres !== null && 'conninfo' in postgres) this.#follow(postgres.conninfo);
  }

  /** Where the database is, for libpq; null: there is none, or it has not been ready yet. */
  get conninfo(): string | null {
    return this.#conninfo;
  }

  perform(action: Action, state: State): void {
    switch (action.kind) {
      case 'start-launcher':
        return this.#startLauncher();
      case 'start-server':
        return this.#server?.start();
      case 'fork':
        return this.#fork(action.child, state.workers.get(action.slot));
      case 'end-worker':
        return this.#endWorker(state.workers.get(action.slot), action.signal, state);
      case 'end-server':
        return this.#server?.end(action.signal);
      case 'end-launcher':
        return this.#launcher?.destroy();
      case 'reload':
        return this.#reload(state);
      case 'forget':
        return this.#memory.release(action.slot);
      case 'reset-memory':
        return this.#resetMemory(state);
      case 'initialize-memory':
        return this.#initializeMemory();
      case 'finish':
        void this.#finish(action.exitCode);
        return;
      case 'enter':
        return;
      default:
        return unreachable(action);
    }
  }

  /** Shows in shared memory where a worker stands; `isKnown`: its slot was in use before. */
  publish(worker: Worker, isKnown: boolean): void {
    this.#memory.publish(worker, isKnown);
  }

  #startLauncher(): void {
    const { preload, maxWorkerProcesses, log, postgres, launch } = this.#options;
    this.#launcherStart = LauncherProcess.start({
      config: { preload, maxWorkerProcesses, log, postgres: postgres !== null },
      memory: this.#memory,
      deathDescriptor: this.#deathPipe[0],
      launch,
      signal: this.#stopping.signal,
      owner: {
        forked: (child, pid) => this.#forked(child, pid),
        failed: (child, call, why) => this.#failed(child, call, why),
        ended: (child, _pid, end) => this.#ended(child, end),
        lost: (how) => this.#lost(how),
      },
    }).then(
      ({ launcher, workers, startupHooks }) => {
        this.#launcher = launcher;
        if (launcher.forkProblem !== null) {
          this.#log.warn(messages.forkUnsafe(launcher.forkProblem));
        }
        this.#hooks.post({
          kind: 'launcher-ready',
          pid: launcher.pid,
          workers: this.#admit(workers),
          startupHooks,
        });
      },
      (error: Error) => {
        // One like it has been ready before, so the next one may be again.
        const isLost = error instanceof LauncherKilled && this.#launcher !== null;
        if (isLost) this.#lost(error.how);
        else this.#hooks.post({ kind: 'launcher-failed', error });
      },
    );
  }

  /** A bad static registration is logged and dropped; so is each that finds no slot. */
  #admit(announced: readonly AnnouncedWorker[]): StaticWorker[] {
    const admitted: StaticWorker[] = [];
    for (const [staticIndex, { options, argProblem }] of announced.entries()) {
      try {
        const registration = checkRegistration(options, { kind: 'static', argProblem });
        if (admitted.length < this.#options.maxWorkerProcesses) {
          this.#log.debug(messages.registering(registration));
          admitted.push({ staticIndex, registration });
        } else {
          const { maxWorkerProcesses } = this.#options;
          this.#log.error(messages.tooManyWorkers(registration.name, maxWorkerProcesses));
        }
      } catch (error) {
        this.#log.error((error as Error).message);
      }
    }
    return admitted;
  }

  #fork(child: ChildId, worker: Worker | undefined): void {
    if (worker === undefined || this.#launcher === null) return;
    const { slot, registration, staticIndex } = worker;
    this.#slotOf.set(child, slot);
    const start: WorkerStart = { slot, registration, staticIndex, conninfo: this.#conninfo };
    const { body } = registration;
    if (body.kind === 'exec') {
      this.#execProgram(child, start, body.argv);
    } else if (this.#launcher.forkProblem !== null || registration.launch === 'exec') {
      this.#execNode(child, start);
    } else {
      this.#launcher.fork(child, isAttached(registration), { kind: 'worker', start });
    }
  }

  #execProgram(child: ChildId, start: WorkerStart, argv: readonly string[]): void {
    const { registration, conninfo } = start;
    let env: NodeJS.ProcessEnv = { ...process.env, BGWORKER_NAME: registration.name };
    try {
      if (registration.database !== null && conninfo !== null) {
        env = environmentOf(targetFor(conninfo, registration, {}), env);
      }
    } catch (error) {
      // Its service or password file, which may be different next time.
      return this.#failed(child, 'conninfo', (error as Error).message);
    }
    this.#launcher?.exec(child, programRequest(argv, env));
  }

  /** A fresh node, with its configuration waiting in a socket of its own. */
  #execNode(child: ChildId, start: WorkerStart | null, answer: readonly number[] = []): void {
    const { preload, maxWorkerProcesses, log, postgres } = this.#options;
    const config = { preload, maxWorkerProcesses, log, postgres: postgres !== null, start };
    const [ours, theirs] = native.channelPair();
    native.sendNote(ours, encodeNote(config));
    const attached = start === null || isAttached(start.registration);
    const area = attached ? this.#memory.area : null;
    const descriptors = [theirs, this.#deathPipe[0], ...(area === null ? [] : [area.descriptor])];
    this.#launcher?.exec(child, nodeRequest([...descriptors, ...answer]));
    closeSync(theirs);
    this.#booting.add(child, ours, area === null ? [] : this.#memory.doorbells);
  }

  #endWorker(worker: Worker | undefined, signal: NodeJS.Signals, state: State): void {
    if (worker === undefined || !('child' in worker.standing)) return;
    // TerminateBackgroundWorker speaks to the process alone, everything else to its group.
    const to = state.shutdown === null && signal === 'SIGTERM' ? 'process' : 'group';
    const { child } = worker.standing;
    const tell = () => this.#launcher?.kill(child, signal, to);
    if (signal === 'SIGTERM') this.#booting.whenUp(child, tell);
    else tell();
  }

  #reload(state: State): void {
    for (const { standing } of state.workers.values()) {
      if (!('pid' in standing)) continue;
      const { child } = standing;
      this.#booting.whenUp(child, () => this.#launcher?.kill(child, 'SIGHUP', 'process'));
    }
    this.#server?.reload();
  }

  /** A new main area at the same address; who kept no map of the old one lives on. */
  #resetMemory(state: State): void {
    const area = this.#memory.reset(state.workers.values());
    if (area !== null) this.#launcher?.replaceArea(area);
  }

  /** The start-up hooks, in a child whose exit code 0 says that they have run. */
  #initializeMemory(): void {
    const [ours, theirs] = native.channelPair();
    this.#answer = ours;
    if (this.#launcher?.forkProblem === null) {
      this.#launcher.fork(MEMORY_CHILD, true, { kind: 'initialize' }, [theirs]);
    } else {
      this.#execNode(MEMORY_CHILD, null, [theirs]);
    }
    closeSync(theirs);
  }

  /** What the child said before it left; null: nothing. Whoever could say more is dead. */
  #takeAnswer(): string | null {
    if (this.#answer === null) return null;
    const note = native.receiveNote(this.#answer);
    this.#dropAnswer();
    return note?.toString() ?? null;
  }

  #dropAnswer(): void {
    if (this.#answer !== null) closeSync(this.#answer);
    this.#answer = null;
  }

  #memoryEnded(end: ChildEnd): void {
    this.#booting.forget(MEMORY_CHILD);
    // It went with the launcher, which is news enough.
    if (end.kind === 'lost') return this.#dropAnswer();
    const said = this.#takeAnswer();
    const isClean = !this.#memory.takeDeadMan(INITIALIZER_SLOT);
    const cause = causeOf(end);
    if (cause.kind === 'code' && cause.code === 0 && isClean) {
      return this.#hooks.post({ kind: 'memory-ready' });
    }
    this.#memoryFailed(said ?? messages.describeCause(cause));
  }

  #memoryFailed(how: string): void {
    this.#dropAnswer();
    const error = new BgworkerError('ERR_SHARED_MEMORY', messages.startupHookFailed(how));
    this.#hooks.post({ kind: 'memory-failed', error });
  }

  async #finish(exitCode: 0 | 1): Promise<void> {
    this.#stopping.abort(new Error('the postmaster is stopping'));
    // A hook that still runs: nobody waits for what it does.
    this.#launcher?.kill(MEMORY_CHILD, 'SIGKILL', 'group');
    await this.#follower?.close();
    await this.#launcherStart;
    await this.#launcher?.end();
    this.#server?.cleanUp();
    this.#dropAnswer();
    this.#memory.close();
    for (const end of this.#deathPipe) closeSync(end);
    this.#hooks.finished(exitCode);
  }

  #follow(conninfo: string): void {
    this.#conninfo = conninfo;
    this.#follower = follow({
      conninfo,
      onState: (state, detail) => this.#hooks.post({ kind: 'database', state, detail }),
      onRefused: (error) => this.#hooks.post({ kind: 'database-refused', error }),
    });
  }

  #runner(
    dataDirectory: string,
    options: { binDirectory?: string; settings?: Readonly<Record<string, string>> },
  ): ServerRunner {
    const { post } = this.#hooks;
    return new ServerRunner({ ...options, dataDirectory }, SERVER_CHILD, {
      exec: (child, request) => this.#launcher?.exec(child, request),
      kill: (child, signal) => this.#launcher?.kill(child, signal, 'process'),
      started: (pid) => post({ kind: 'server-started', pid }),
      ready: (conninfo) => {
        if (this.#follower === null) this.#follow(conninfo);
      },
      failed: (error) => post({ kind: 'server-failed', error }),
      exited: () => post({ kind: 'server-exited' }),
    });
  }

  #forked(child: ChildId, pid: number): void {
    if (child === SERVER_CHILD) return this.#server?.forked(pid);
    const slot = this.#slotOf.get(child);
    if (slot !== undefined) this.#hooks.post({ kind: 'forked', slot, child, pid });
  }

  #failed(child: ChildId, call: string, why: string): void {
    if (child === SERVER_CHILD) return this.#server?.failed(call, why);
    if (child === MEMORY_CHILD) return this.#memoryFailed(`${call}: ${why}`);
    const slot = this.#slotOf.get(child);
    this.#slotOf.delete(child);
    this.#booting.forget(child);
    if (slot !== undefined) {
      this.#hooks.post({ kind: 'fork-failed', slot, child, call, why });
    }
  }

  #ended(child: ChildId, end: ChildEnd): void {
    if (child === SERVER_CHILD) return this.#server?.ended(messages.describeCause(causeOf(end)));
    if (child === MEMORY_CHILD) return this.#memoryEnded(end);
    const slot = this.#slotOf.get(child);
    this.#slotOf.delete(child);
    this.#booting.forget(child);
    if (slot === undefined) return;
    const exit: Exit = {
      cause: causeOf(end),
      cleanDetach: !this.#memory.takeDeadMan(slot),
      usage: end.kind === 'reaped' ? end.usage : null,
    };
    this.#hooks.post({ kind: 'exited', slot, child, exit });
  }

  #lost(how: string): void {
    this.#log.error(messages.launcherLost(how));
    this.#server?.launcherLost();
    // The children stay known to it until each is gone; a new one is started after that.
    this.#hooks.post({ kind: 'launcher-exited' });
  }
}
