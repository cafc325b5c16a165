// postmaster.ts: the Postmaster, as its user sees it.
//
// Wires the stages together: checked options and the data directory's lock at the beginning, the
// ServerLoop in between, and the log lines and events that the outside hears of each turn.

import { EventEmitter } from 'node:events';
import type { Client } from 'pg';
import { beginOf } from './begin.ts';
import { changedWorkers } from './changes.ts';
import { openDataDirectory } from './data-directory/data-directory.ts';
import { LockFileWatch } from './data-directory/lock-file-watch.ts';
import { BgworkerError } from './errors.ts';
import { createLogger, type Logger } from './log.ts';
import { ServerLoop } from './loop.ts';
import * as messages from './messages.ts';
import type { Event } from './model/event.ts';
import type { Exit } from './model/exit.ts';
import type { Phase } from './model/phase.ts';
import type { Pid } from './model/standing.ts';
import { initialState, SHUTDOWN_MODES, type ShutdownMode, type State } from './model/state.ts';
import { Performer } from './perform.ts';
import { connectTo } from './postgres/connect/connect.ts';
import { settingsOf } from './postgres/connect/session-options.ts';
import { targetOf } from './postgres/target-for.ts';
import { handleSignals } from './process-signals.ts';
import { Readiness } from './readiness.ts';
import { type CheckedOptions, checkOptions, type PostmasterOptions } from './register/options.ts';
import { report } from './report.ts';
import type { ConnectOptions } from './run/database-session.ts';
import { untilGone } from './until-gone.ts';
import { infoOf, pidOf, type WorkerInfo } from './worker-info.ts';

export interface PostmasterEvents {
  /** The phase has changed. */
  phase: [phase: Phase, before: Phase];
  /** A worker's process exists. */
  start: [worker: WorkerInfo];
  /** A worker's process was reaped; `worker` says where it stands after that. */
  exit: [worker: WorkerInfo, exit: Exit, pid: Pid];
  /** A crash cycle begins. */
  crash: [];
  /** Everything is ended. */
  finish: [exitCode: 0 | 1];
}

/** Everything that exists only between start() and the end. */
interface Running {
  readonly loop: ServerLoop;
  readonly performer: Performer;
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
    return connectTo(target, { signal, settings: settingsOf(options) });
  }

  /** Resolves with the exit status when everything is ended, whoever asked for it. */
  get finished(): Promise<0 | 1> {
    return this.#finished;
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

  /**
   * Resolves when the phase is RUN or HOT_STANDBY. If that is not to be had, or the signal is
   * aborted first, everything is ended again before it rejects.
   *
   * @throws BgworkerError ERR_DATA_DIRECTORY, ERR_LOCK_FILE, ERR_PRELOAD_*, ERR_SERVER_*,
   * ERR_START_TIMEOUT, ERR_WRONG_STATE (a second start)
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
    const { path } = openDataDirectory(this.#options.dataDirectory);
    const lockFile = new LockFileWatch(path, (...lost) => this.#lostLockFile(...lost));
    try {
      const performer = new Performer({ ...this.#options, dataDirectory: path }, this.#log, {
        post: (event) => loop.post(event),
        finished: (exitCode) => this.#end(exitCode),
      });
      const loop = new ServerLoop(initialState(beginOf(this.#options)), {
        perform: (action, state) => performer.perform(action, state),
        changed: (event, before, after) => this.#changed(event, before, after),
      });
      const releaseSignals = this.#options.handleSignals ? this.#handleSignals() : () => {};
      this.#running = { loop, performer, lockFile, releaseSignals };
      loop.wake();
    } catch (error) {
      lockFile.end();
      throw error;
    }
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
    if (before.workers !== after.workers) this.#publish(event, before, after);
    if (before.crash.kind === 'none' && after.crash.kind === 'ending') this.emit('crash');
    if (before.phase !== after.phase) this.#entered(after.phase, before.phase);
  }

  #publish(event: Event, before: State, after: State): void {
    for (const worker of changedWorkers(event, before, after)) {
      this.#running?.performer.publish(worker, before.workers.has(worker.slot));
      if (event.kind === 'forked') this.emit('start', infoOf(worker));
      if (event.kind !== 'exited') continue;
      const old = before.workers.get(worker.slot);
      if (old !== undefined && 'pid' in old.standing) {
        this.emit('exit', infoOf(worker), event.exit, old.standing.pid);
      }
    }
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
    this.#running.lockFile.end();
    this.#running = null;
    this.#log[exitCode === 0 ? 'info' : 'error'](
      exitCode === 0 ? messages.isShutDown : messages.isShutDownAbnormally,
    );
    this.emit('finish', exitCode);
    this.#resolveFinished(exitCode);
  }
}
