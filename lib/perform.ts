// perform.ts: carries actions out. It owns the launcher, the main area, the server and the
// follower, and decides nothing: what it is told it does, and what comes of it is posted as events.
//
// Each kind of child has an owner here, which asks for it and hears what becomes of it; the child's
// number says which.

import { closeSync } from 'node:fs';
import { admit, admitBackend } from './admit.ts';
import { ClientService } from './client-service.ts';
import type { Control } from './control/control.ts';
import { type ChildEnd, causeOf } from './fork/child-end.ts';
import { LauncherProcess } from './fork/launcher-process.ts';
import { LauncherKilled } from './fork/launcher-program.ts';
import { MemoryInitializer } from './fork/memory-initializer.ts';
import { NodeChildren } from './fork/node-children.ts';
import { SharedMemory } from './fork/shared-memory.ts';
import { StartupChild } from './fork/startup-child.ts';
import type { Logger } from './log.ts';
import * as messages from './messages.ts';
import type { Action } from './model/action.ts';
import { type Backend, isBackendChild, isClientAction } from './model/clients.ts';
import type { Event } from './model/event.ts';
import type { FollowedDatabase } from './model/followed.ts';
import type { ListenAddress } from './model/listening.ts';
import { isAttached } from './model/registration.ts';
import { type ChildId, unreachable } from './model/standing.ts';
import type { State, Worker } from './model/state.ts';
import { type Inventory, native } from './native.ts';
import { type Follower, follow } from './postgres/follow.ts';
import { ServerRunner } from './postgres/server/runner.ts';
import type { CheckedOptions } from './register/options.ts';
import type { ShownActivity } from './shown-activity.ts';
import type { LauncherConfig } from './travel/notes.ts';
import { WorkerProcesses } from './worker-processes.ts';

export interface PerformerHooks {
  post(event: Event): void;
  /** Everything is ended; what is left is the data directory's lock file. */
  finished(exitCode: 0 | 1): void;
}

/** The server's number towards the launcher; the policy's numbers count up from 1. */
const SERVER_CHILD: ChildId = 0xffff_ffff;
/** The number of the child that runs the start-up hooks. */
const MEMORY_CHILD: ChildId = 0xffff_fffe;
/** The startup process's. */
const STARTUP_CHILD: ChildId = 0xffff_fffd;

export class Performer {
  readonly #options: CheckedOptions;
  readonly #control: Control;
  readonly #hooks: PerformerHooks;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  readonly #server: ServerRunner | null;
  readonly #workers: WorkerProcesses;
  readonly #clients: ClientService;
  readonly #initializer: MemoryInitializer;
  readonly #startup: StartupChild;
  /** What the launcher calls the startup process. */
  #startupName = '';
  /** The pipe whose write end only this process holds: its end of file is our death. */
  readonly #deathPipe: readonly [readEnd: number, writeEnd: number];
  readonly #memory: SharedMemory;
  readonly #config: LauncherConfig;
  #launcher: LauncherProcess | null = null;
  #launcherStart: Promise<void> | null = null;
  #follower: Follower | null = null;
  #database: FollowedDatabase | null = null;

  constructor(options: CheckedOptions, log: Logger, hooks: PerformerHooks, control: Control) {
    this.#options = options;
    this.#control = control;
    this.#log = log;
    this.#hooks = hooks;
    this.#deathPipe = native.pipe();
    const { preload, maxWorkerProcesses, postgres, dataDirectory, clients } = options;
    const memory = new SharedMemory(maxWorkerProcesses, clients?.maxConnections ?? 0);
    this.#memory = memory;
    this.#config = {
      preload,
      maxWorkerProcesses,
      slotCount: memory.slotCount,
      log: options.log,
      postgres: postgres !== null,
      control: control.place,
    };
    const launcher = () => this.#launcher;
    const { post } = hooks;
    const nodes = new NodeChildren({
      config: this.#config,
      memory,
      deathDescriptor: this.#deathPipe[0],
    });
    const { arguments: args } = control;
    this.#workers = new WorkerProcesses({ nodes, memory, arguments: args, launcher, post });
    this.#clients = new ClientService({
      listen: clients?.listen ?? [],
      dataDirectory,
      nodes,
      memory,
      log,
      launcher,
      post,
    });
    this.#initializer = new MemoryInitializer(MEMORY_CHILD, { nodes, memory, launcher, post });
    this.#startup = new StartupChild(STARTUP_CHILD, { nodes, memory, launcher, post });
    this.#server =
      postgres !== null && 'embedded' in postgres ? this.#runner(dataDirectory, postgres) : null;
    if (postgres !== null && 'conninfo' in postgres) this.#follow(postgres.conninfo);
  }

  /** Where the database is; null: there is none, or it has not been ready yet. */
  get database(): FollowedDatabase | null {
    return this.#database;
  }

  /** What a worker says of itself, if it has a process that could say it. */
  activityOf({ slot, registration, standing }: Worker): ShownActivity | undefined {
    const canSay = 'pid' in standing && isAttached(registration);
    return canSay ? this.#memory.activityOf(slot) : undefined;
  }

  /** The same of a backend. */
  activityOfBackend({ place, registration, standing }: Backend): ShownActivity | undefined {
    const canSay = 'pid' in standing && isAttached(registration);
    return canSay ? this.#memory.activityOf(this.#memory.slotOf(place)) : undefined;
  }

  /** The workers that may be ended with this database, and say that they are connected to it. */
  connectedTo(database: string, workers: Iterable<Worker>): Worker[] {
    return [...workers].filter(
      ({ slot, registration, standing }) =>
        registration.flags.includes('INTERRUPTIBLE') &&
        'pid' in standing &&
        this.#memory.isConnectedTo(slot, database),
    );
  }

  /** What lies in shared memory; null: there is none yet. */
  inventory(): Inventory | null {
    return this.#memory.inventory();
  }

  /** What it listens on. */
  get addresses(): ListenAddress[] {
    return this.#clients.addresses;
  }

  perform(action: Action, state: State): void {
    if (isClientAction(action)) return this.#clients.perform(action, state, this.#database);
    switch (action.kind) {
      case 'start-launcher':
        return this.#startLauncher();
      case 'start-server':
        return this.#server?.start();
      case 'fork':
        return this.#workers.start(action.child, state.workers.get(action.slot), this.#database);
      case 'end-worker':
        return this.#workers.end(state.workers.get(action.slot), action.signal, state);
      case 'end-server':
        return this.#server?.end(action.signal);
      case 'start-startup-process':
        return this.#startup.start(this.#startupName);
      case 'end-startup-process':
        return this.#startup.end(action.signal);
      case 'end-launcher':
        return this.#launcher?.destroy();
      case 'reload':
        return this.#reload(state);
      case 'forget':
        this.#control.arguments.forget(action.slot);
        return this.#memory.release(action.slot);
      case 'reset-memory':
        return this.#resetMemory(state);
      case 'initialize-memory':
        return this.#initializer.start();
      case 'finish':
        void this.#finish(action.exitCode);
        return;
      case 'enter':
        return;
      default:
        return unreachable(action);
    }
  }

  /** Shows in shared memory where a worker stands. */
  publish(worker: Worker): void {
    this.#memory.publish(worker);
  }

  #startLauncher(): void {
    this.#launcherStart = LauncherProcess.start({
      config: this.#config,
      memory: this.#memory,
      deathDescriptor: this.#deathPipe[0],
      launch: this.#options.launch,
      signal: this.#stopping.signal,
      owner: {
        forked: (child, pid) => this.#forked(child, pid),
        failed: (child, call, why) => this.#failed(child, call, why),
        ended: (child, _pid, end) => this.#ended(child, end),
        lost: (how) => this.#lost(how),
      },
    }).then(
      ({ launcher, workers, backend, startupHooks, startupProcess }) => {
        this.#launcher = launcher;
        this.#startupName = startupProcess ?? '';
        if (launcher.forkProblem !== null) {
          this.#log.warn(messages.forkUnsafe(launcher.forkProblem));
        }
        for (const event of admitBackend(backend, this.#options.clients !== null, this.#log)) {
          this.#hooks.post(event);
        }
        this.#hooks.post({
          kind: 'launcher-ready',
          pid: launcher.pid,
          workers: admit(workers, this.#options.maxWorkerProcesses, this.#log),
          startupHooks,
          startupProcess: startupProcess !== null,
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

  #reload(state: State): void {
    this.#workers.reload(state.workers.values());
    this.#clients.processes.reload(state.clients.backends.values());
    this.#startup.reload();
    this.#server?.reload();
  }

  /** A new main area at the same address; who kept no map of the old one lives on. */
  #resetMemory(state: State): void {
    const area = this.#memory.reset(state.workers.values());
    if (area !== null) this.#launcher?.replaceArea(area);
  }

  async #finish(exitCode: 0 | 1): Promise<void> {
    this.#stopping.abort(new Error('the postmaster is stopping'));
    this.#initializer.kill();
    await this.#clients.closeDoors();
    await this.#follower?.close();
    await this.#launcherStart;
    await this.#launcher?.end();
    this.#server?.cleanUp();
    this.#initializer.close();
    this.#clients.processes.close();
    this.#startup.close();
    this.#memory.close();
    for (const end of this.#deathPipe) closeSync(end);
    this.#hooks.finished(exitCode);
  }

  #follow(conninfo: string): void {
    this.#database = { conninfo, server: null };
    this.#follower = follow({
      conninfo,
      onConnected: (server, where, instead) => {
        this.#database = { conninfo, server };
        this.#log.info(messages.following(where, instead));
      },
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
    if (child === MEMORY_CHILD) return;
    if (isBackendChild(child)) return this.#clients.processes.forked(child, pid);
    if (child === STARTUP_CHILD) return this.#startup.forked(pid);
    this.#workers.forked(child, pid);
  }

  #failed(child: ChildId, call: string, why: string): void {
    if (child === SERVER_CHILD) return this.#server?.failed(call, why);
    if (child === MEMORY_CHILD) return this.#initializer.failed(call, why);
    if (isBackendChild(child)) return this.#clients.processes.failed(child, call, why);
    if (child === STARTUP_CHILD) return this.#startup.failed(call, why);
    this.#workers.failed(child, call, why);
  }

  #ended(child: ChildId, end: ChildEnd): void {
    if (child === SERVER_CHILD) return this.#server?.ended(messages.describeCause(causeOf(end)));
    if (child === MEMORY_CHILD) return this.#initializer.ended(end);
    if (isBackendChild(child)) return this.#clients.processes.ended(child, end);
    if (child === STARTUP_CHILD) return this.#startup.ended(end);
    this.#workers.ended(child, end);
  }

  #lost(how: string): void {
    this.#log.error(messages.launcherLost(how));
    this.#server?.launcherLost();
    this.#clients.processes.launcherLost();
    // The children stay known to it until each is gone; a new one is started after that.
    this.#hooks.post({ kind: 'launcher-exited' });
  }
}
