// postmaster.ts: the Postmaster, as its user sees it.
//
// Wires the stages together: checked options and the data directory's lock at the beginning, the
// ServerLoop in between, and the log lines and events that the outside hears of each turn.

import { EventEmitter } from 'node:events';
import type { Client } from 'pg';
import { type BackendInfo, backendInfoOf } from './backend-info.ts';
import { beginOf } from './begin.ts';
import { changedWorkers, clientNews } from './changes.ts';
import { Control } from './control/control.ts';
import { openDataDirectory } from './data-directory/data-directory.ts';
import { LockFileWatch } from './data-directory/lock-file-watch.ts';
import type { BackgroundWorkerHandle, WaitOptions } from './dynamic/handle.ts';
import { BgworkerError } from './errors.ts';
import { createLogger, type Logger } from './log.ts';
import { ServerLoop } from './loop.ts';
import { memoryInfoOf, type SharedMemoryInfo } from './memory-info.ts';
import * as messages from './messages.ts';
import type { Backend, Refusal } from './model/clients.ts';
import type { Event } from './model/event.ts';
import type { Exit } from './model/exit.ts';
import type { ListenAddress } from './model/listening.ts';
import type { Phase } from './model/phase.ts';
import type { Pid } from './model/standing.ts';
import {
  initialState,
  SHUTDOWN_MODES,
  type ShutdownMode,
  type State,
  type Worker,
} from './model/state.ts';
import type { Peer } from './native.ts';
import { Performer } from './perform.ts';
import { settingsOf } from './postgres/connect/session-options.ts';
import { targetOf } from './postgres/target-for.ts';
import { handleSignals } from './process-signals.ts';
import { Readiness } from './readiness.ts';
import { checkDescriptorLimit } from './register/descriptor-limit.ts';
import { type CheckedOptions, checkOptions, type PostmasterOptions } from './register/options.ts';
import { report } from './report.ts';
import type { ConnectOptions } from './run/database-session.ts';
import type { DynamicBackgroundWorkerOptions } from './run/worker-options.ts';
import type { ShownActivity } from './shown-activity.ts';
import { untilGone } from './until-gone.ts';
import { infoOf, pidOf, type WorkerInfo } from './worker-info.ts';

export interface PostmasterEvents {
  /** The phase has changed. */
  phase: [phase: Phase, before: Phase];
  /** A worker's process exists. */
  start: [worker: WorkerInfo];
  /** A worker's process was reaped; `worker` says where it stands after that. */
  exit: [worker: WorkerInfo, exit: Exit, pid: Pid];
  /** A client has a backend. */
  connect: [backend: BackendInfo];
  /** A client's backend was reaped; `backend` says where it stood before. */
  disconnect: [backend: BackendInfo, exit: Exit];
  /** A client was not served, and told why. */
  refuse: [reason: Refusal, peer: Peer];
  /** A crash cycle begins. */
  crash: [];
  /** Everything is ended. */
  finish: [exitCode: 0 | 1];
}

/** Everything that exists only between start() and the end. */
interface Running {
  readonly loop: ServerLoop;
  readonly performer: Performer;
  readonly control: Control;
  readonly lockFile: LockFileWatch;
  releaseSignals(): void;
}

export class Postmaster extends EventEmitter<PostmasterEvents> {
  readonly #options: CheckedOptions;
  readonly #log: Logger;
  readonly #readiness: Readiness;
  readonly #finished: Promise<0 | 1>;
  #resolveFinished: (exitCode: 0 | 1) => void = () => {};
  #running: Running | null = null;
  #hasStarted = false;

  /** @throws BgworkerError ERR_INVALID_OPTION, naming the option, the rule and the value. */
  constructor(options: PostmasterOptions) {
    super();
    this.#options = checkOptions(options);
    this.#log = createLogger(this.#options.log, 'postmaster');
    this.#readiness = new Readiness(this.#options.startTimeout);
    this.#finished = new Promise((resolve) => {
      this.#resolveFinished = resolve;
    });
  }

  get phase(): Phase {
    return this.#running?.loop.state.phase ?? (this.#hasStarted ? 'NO_CHILDREN' : 'INIT');
  }

  /**
   * Where the database is, as a libpq connection string, for clients of your own; null: none is
   * followed, or the embedded server has not been ready yet.
   */
  get conninfo(): string | null {
    return this.#running?.performer.database?.conninfo ?? null;
  }

  /**
   * A plain client connection to that database, as many as you like. The caller ends it, and
   * listens for its 'error'.
   *
   * @throws BgworkerError ERR_NO_DATABASE_CONNECTION, ERR_SERVER_UNREACHABLE, ERR_SERVER_REFUSED
   */
  async connect(options: ConnectOptions = {}): Promise<Client> {
    const followed = this.#running?.performer.database ?? null;
    if (followed === null) {
      throw new BgworkerError('ERR_NO_DATABASE_CONNECTION', messages.noDatabaseYet);
    }
    const { database, user, signal } = options;
    const target = targetOf(followed, { database, user });
    const { connectTo } = await import('./postgres/connect/connect.ts');
    return connectTo(target, { signal, settings: settingsOf(options) });
  }

  /** Resolves with the exit status when everything is ended, whoever asked for it. */
  get finished(): Promise<0 | 1> {
    return this.#finished;
  }

  /**
   * Registers a worker while the postmaster runs (RegisterDynamicBackgroundWorker). Resolves when it
   * is registered, which is before it is started: see BackgroundWorkerHandle.
   *
   * @throws BgworkerError ERR_INVALID_REGISTRATION, ERR_TOO_MANY_WORKERS, ERR_WRONG_STATE; the
   * signal's reason
   */
  async registerDynamicBackgroundWorker(
    options: DynamicBackgroundWorkerOptions,
    { signal }: WaitOptions = {},
  ): Promise<BackgroundWorkerHandle> {
    if (this.#running === null) {
      throw new BgworkerError('ERR_WRONG_STATE', messages.registeredWithoutPostmaster);
    }
    return this.#running.control.dynamic.register(options, signal && { signal });
  }

  /** All registered workers, in slot order. */
  workers(): WorkerInfo[] {
    const performer = this.#running?.performer;
    const workers = [...(this.#running?.loop.state.workers.values() ?? [])];
    return workers
      .sort((a, b) => a.slot - b.slot)
      .map((worker) => infoOf(worker, performer?.activityOf(worker)));
  }

  /**
   * Ends for good each worker with the flag INTERRUPTIBLE that is connected to this database
   * (TerminateBackgroundWorkersForDatabase). Resolves with them when their processes are gone, so
   * that the database can be dropped, renamed, moved or copied. One that is not connected yet is not
   * found; it is done by itself when it finds no database.
   */
  async terminateWorkersOf(
    database: string,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<WorkerInfo[]> {
    signal?.throwIfAborted();
    if (this.#running === null) return [];
    const { loop, performer } = this.#running;
    const found = performer.connectedTo(database, loop.state.workers.values());
    const gone = found.map((worker) => untilGone(this, pidOf(worker), signal));
    for (const { slot, generation } of found) loop.post({ kind: 'terminate', slot, generation });
    await Promise.all(gone);
    return found.map((worker) => infoOf(worker));
  }

  /** All backends, those that wait for a client included. */
  backends(): BackendInfo[] {
    if (this.#running === null) return [];
    const { loop, performer } = this.#running;
    return [...loop.state.clients.backends.values()].map((one) =>
      this.#infoOf(one, performer.activityOfBackend(one)),
    );
  }

  /** What it listens on, with the port that was found for port 0; empty: nothing, or not yet. */
  addresses(): ListenAddress[] {
    return this.#running?.performer.addresses ?? [];
  }

  /**
   * What lies in shared memory (pg_shmem_allocations, pg_dsm_registry_allocations), read without a
   * lock; null: there is none, before the preload modules are loaded and after the end. Damaged
   * entries are left out.
   */
  sharedMemory(): SharedMemoryInfo | null {
    const inventory = this.#running?.performer.inventory() ?? null;
    return inventory === null ? null : memoryInfoOf(inventory);
  }

  /**
   * Resolves when the phase is RUN or HOT_STANDBY. If that is not to be had, or the signal is
   * aborted first, everything is ended again before it rejects.
   *
   * @throws BgworkerError ERR_INVALID_OPTION (more children than descriptors), ERR_DATA_DIRECTORY,
   * ERR_LOCK_FILE, ERR_LISTEN_FAILED, ERR_INVALID_REGISTRATION (of a backend), ERR_PRELOAD_*,
   * ERR_SERVER_*, ERR_START_TIMEOUT, ERR_WRONG_STATE (a second start)
   */
  async start({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#hasStarted) {
      throw new BgworkerError('ERR_WRONG_STATE', messages.startedTwice);
    }
    signal?.throwIfAborted();
    this.#hasStarted = true;
    const ready = this.#untilReady(signal);
    try {
      this.#begin();
    } catch (error) {
      await this.#resolveFinished(1);
      await ready.catch(() => {});
      throw error;
    }
    await ready;
  }

  /**
   * 'smart' waits for the last client, 'fast' ends the workers in order, 'immediate' at once. A
   * stronger request while one is under way replaces it. Resolves when everything is ended.
   */
  async stop(mode: ShutdownMode = 'fast'): Promise<void> {
    if (!SHUTDOWN_MODES.includes(mode)) {
      const rule = `must be ${SHUTDOWN_MODES.map((one) => `'${one}'`).join(' or ')}`;
      throw new BgworkerError(
        'ERR_INVALID_OPTION',
        messages.invalidOption('stop()', 'mode', rule, mode),
      );
    }
    if (this.#running === null) return;
    this.#running.loop.post({ kind: 'stop', mode });
    await this.#finished;
  }

  /** Passes SIGHUP on to the workers and the embedded server. */
  reload(): void {
    this.#running?.loop.post({ kind: 'reload' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('fast');
  }

  #begin(): void {
    checkDescriptorLimit(this.#options);
    const { path } = openDataDirectory(this.#options.dataDirectory);
    const lockFile = new LockFileWatch(path, (...lost) => this.#lostLockFile(...lost));
    let control: Control | null = null;
    try {
      control = this.#openControl(path, () => loop);
      const options = { ...this.#options, dataDirectory: path };
      const hooks = {
        post: (event: Event) => loop.post(event),
        finished: (exitCode: 0 | 1) => this.#end(exitCode),
      };
      const performer = new Performer(options, this.#log, hooks, control);
      const loop: ServerLoop = new ServerLoop(initialState(beginOf(this.#options)), {
        perform: (action, state) => performer.perform(action, state),
        changed: (event, before, after) => this.#changed(event, before, after),
      });
      const releaseSignals = this.#options.handleSignals ? this.#handleSignals() : () => {};
      this.#running = { loop, performer, control, lockFile, releaseSignals };
      loop.wake();
    } catch (error) {
      control?.close();
      lockFile.end();
      throw error;
    }
  }

  #openControl(dataDirectory: string, loop: () => ServerLoop): Control {
    return new Control({
      dataDirectory,
      slotCount: this.#options.maxWorkerProcesses,
      state: () => loop().state,
      post: (event) => loop().post(event),
      log: (sentence) => this.#log.warn(sentence),
    });
  }

  #untilReady(signal: AbortSignal | undefined): Promise<void> {
    const finished = this.#finished;
    const where = () => ({
      phase: this.phase,
      isStopped: this.#running === null || this.#running.loop.state.shutdown !== null,
    });
    return this.#readiness.wait({ finished, where, stop: () => this.stop('fast') }, signal);
  }

  /** After each event: the main area, the log and the listeners learn what came of it. */
  #changed(event: Event, before: State, after: State): void {
    for (const { level, text } of report(event, before, after)) this.#log[level](text);
    this.#readiness.learn(event, after);
    const workers = before.workers === after.workers ? [] : changedWorkers(event, before, after);
    for (const worker of workers) this.#running?.performer.publish(worker);
    // Before the user's listeners: what one of them throws is not to leave a client waiting.
    this.#running?.control.changed(event, before, after);
    for (const worker of workers) this.#tell(event, worker, before);
    this.#tellOfClients(event, before, after);
    if (before.crash.kind === 'none' && after.crash.kind === 'ending') this.emit('crash');
    if (before.phase !== after.phase) this.#entered(after.phase, before.phase);
  }

  #tell(event: Event, worker: Worker, before: State): void {
    if (event.kind === 'forked') this.emit('start', infoOf(worker));
    if (event.kind !== 'exited') return;
    const old = before.workers.get(worker.slot);
    if (old !== undefined && 'pid' in old.standing) {
      this.emit('exit', infoOf(worker), event.exit, old.standing.pid);
    }
  }

  #tellOfClients(event: Event, before: State, after: State): void {
    if (event.kind === 'listening') this.#running?.lockFile.listening(this.addresses());
    for (const news of clientNews(event, before, after)) {
      switch (news.kind) {
        case 'connect':
          this.emit('connect', this.#infoOf(news.backend));
          break;
        case 'disconnect':
          this.emit('disconnect', this.#infoOf(news.backend), news.exit);
          break;
        case 'refuse':
          this.emit('refuse', news.reason, news.peer);
          break;
      }
    }
  }

  #infoOf(backend: Backend, activity?: ShownActivity): BackendInfo {
    return backendInfoOf(backend, this.#options.maxWorkerProcesses, activity);
  }

  #entered(phase: Phase, before: Phase): void {
    this.#running?.lockFile.entered(phase);
    this.#readiness.entered(phase);
    this.emit('phase', phase, before);
  }

  #lostLockFile(path: string, found: 'missing' | 'foreign'): void {
    this.#log.error(messages.lockFileLost(path, found));
    this.#running?.loop.post({ kind: 'lock-file-lost' });
  }

  #handleSignals(): () => void {
    return handleSignals({
      reload: () => this.reload(),
      stop: (mode) => this.#running?.loop.post({ kind: 'stop', mode }),
    });
  }

  /** The removal of the lock file is the last visible act (§1.17). */
  #end(exitCode: 0 | 1): void {
    if (this.#running === null) return;
    this.#running.releaseSignals();
    this.#running.control.close();
    this.#running.lockFile.end();
    this.#running = null;
    this.#log[exitCode === 0 ? 'info' : 'error'](
      exitCode === 0 ? messages.isShutDown : messages.isShutDownAbnormally,
    );
    this.emit('finish', exitCode);
    this.#resolveFinished(exitCode);
  }
}
