// postmaster.ts: the Postmaster, as its user sees it.
//
// Wires the stages together: checked options and the data directory's lock at the beginning, the
// ServerLoop in between, and the log lines and events that the outside hears of each turn.

import { EventEmitter } from 'node:events';
import type { Client } from 'pg';
import { openDataDirectory } from './data-directory/data-directory.ts';
import { LockFile, type LockFileStatus } from './data-directory/lock-file.ts';
import { BgworkerError } from './errors.ts';
import { createLogger, type Logger } from './log.ts';
import { ServerLoop } from './loop.ts';
import * as messages from './messages.ts';
import type { Event } from './model/event.ts';
import type { Exit } from './model/exit.ts';
import type { Phase } from './model/phase.ts';
import type { Pid } from './model/standing.ts';
import {
  initialState,
  SHUTDOWN_MODES,
  type ShutdownMode,
  type SlotIndex,
  type State,
} from './model/state.ts';
import { Performer } from './perform.ts';
import { connectTo } from './postgres/connect/connect.ts';
import {
  overrideConninfo,
  processEnvironment,
  resolveConninfo,
} from './postgres/conninfo/index.ts';
import { type CheckedOptions, checkOptions, type PostmasterOptions } from './register/options.ts';
import { report } from './report.ts';
import type { ConnectOptions } from './run/background-worker.ts';
import { infoOf, type WorkerInfo } from './worker-info.ts';

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

/** How often postmaster.pid is looked at again (ServerLoop: once a minute), in milliseconds. */
const LOCK_FILE_RECHECK_MS = 60_000;

/** SIGKILL_CHILDREN_AFTER_SECS, in milliseconds. */
const QUIT_MS = 5_000;

const SERVER_RESTART_MS = 1_000;

/** What the signals mean to PostgreSQL's postmaster. */
const MODE_OF_SIGNAL = { SIGTERM: 'smart', SIGINT: 'fast', SIGQUIT: 'immediate' } as const;

/** Everything that exists only between start() and the end. */
interface Running {
  readonly loop: ServerLoop;
  readonly performer: Performer;
  readonly lockFile: LockFile;
  readonly recheck: NodeJS.Timeout;
}

export class Postmaster extends EventEmitter<PostmasterEvents> {
  readonly #options: CheckedOptions;
  readonly #log: Logger;
  readonly #finished: Promise<0 | 1>;
  #resolveFinished: (exitCode: 0 | 1) => void = () => {};
  #resolveReady: () => void = () => {};
  #running: Running | null = null;
  #hasStarted = false;
  /** Why it cannot go on; the first cause. */
  #failure: Error | null = null;
  /** What the followed database last said against us, for the error of a start that took too long. */
  #databaseTrouble: string | null = null;

  /** @throws BgworkerError ERR_INVALID_OPTION, naming the option, the rule and the value. */
  constructor(options: PostmasterOptions) {
    super();
    this.#options = checkOptions(options);
    this.#log = createLogger(this.#options.log, 'postmaster');
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
    return this.#running?.performer.conninfo ?? null;
  }

  /**
   * A plain client connection to that database, as many as you like. The caller ends it, and
   * listens for its 'error'.
   *
   * @throws BgworkerError ERR_NO_DATABASE_CONNECTION, ERR_SERVER_UNREACHABLE, ERR_SERVER_REFUSED
   */
  async connect(options: ConnectOptions = {}): Promise<Client> {
    const { conninfo } = this;
    if (conninfo === null) {
      throw new BgworkerError('ERR_NO_DATABASE_CONNECTION', messages.noDatabaseYet);
    }
    const { database, user, signal } = options;
    const wanted = overrideConninfo(conninfo, { database, user });
    return connectTo(resolveConninfo(wanted, processEnvironment()), { signal });
  }

  /** Resolves with the exit status when everything is ended, whoever asked for it. */
  get finished(): Promise<0 | 1> {
    return this.#finished;
  }

  /** All registered workers, in slot order. */
  workers(): WorkerInfo[] {
    const workers = [...(this.#running?.loop.state.workers.values() ?? [])];
    return workers.sort((a, b) => a.slot - b.slot).map(infoOf);
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
    const { dataDirectory, postgres, handleSignals } = this.#options;
    const { path } = openDataDirectory(dataDirectory);
    const lockFile = LockFile.create(path);
    try {
      const performer = new Performer({ ...this.#options, dataDirectory: path }, this.#log, {
        post: (event) => loop.post(event),
        finished: (exitCode) => this.#end(exitCode),
      });
      const loop = new ServerLoop(
        initialState({ limits: this.#limits(), follows: followsOf(postgres) }),
        {
          perform: (action, state) => performer.perform(action, state),
          changed: (event, before, after) => this.#changed(event, before, after),
        },
      );
      const recheck = setInterval(() => this.#recheckLockFile(), LOCK_FILE_RECHECK_MS);
      recheck.unref();
      this.#running = { loop, performer, lockFile, recheck };
      if (handleSignals) this.#handleSignals('on');
      loop.wake();
    } catch (error) {
      lockFile.remove();
      throw error;
    }
  }

  #limits() {
    const { maxWorkerProcesses, shutdownTimeout, restartAfterCrash } = this.#options;
    return {
      slotCount: maxWorkerProcesses,
      shutdownMs: shutdownTimeout * 1000,
      quitMs: QUIT_MS,
      serverRestartMs: SERVER_RESTART_MS,
      restartAfterCrash,
    };
  }

  /** Resolves when workers with a database may run; else rejects when everything is ended. */
  async #untilReady(signal: AbortSignal | undefined): Promise<void> {
    const { startTimeout } = this.#options;
    const patience = AbortSignal.timeout(startTimeout * 1000);
    const giveUp = AbortSignal.any(signal === undefined ? [patience] : [patience, signal]);
    const isReady = await new Promise<boolean>((resolve) => {
      this.#resolveReady = () => resolve(true);
      void this.#finished.then(() => resolve(false));
      giveUp.addEventListener('abort', () => resolve(false), { once: true });
    });
    if (isReady) return;
    const { phase } = this;
    const isStopped = this.#running === null || this.#running.loop.state.shutdown !== null;
    await this.stop('fast');
    if (this.#failure !== null) throw this.#failure;
    if (signal?.aborted) throw signal.reason;
    throw isStopped
      ? new BgworkerError('ERR_WRONG_STATE', messages.stoppedBeforeReady)
      : new BgworkerError(
          'ERR_START_TIMEOUT',
          messages.startTimedOut(startTimeout, phase, this.#databaseTrouble),
        );
  }

  /** After each event: the main area, the log and the listeners learn what came of it. */
  #changed(event: Event, before: State, after: State): void {
    for (const { level, text } of report(event, before, after)) this.#log[level](text);
    if (event.kind === 'database') this.#databaseTrouble = event.detail;
    if (after.failure.kind === 'failed') this.#failure = after.failure.error;
    if (before.workers !== after.workers) this.#publish(event, before, after);
    if (before.crash.kind === 'none' && after.crash.kind === 'ending') this.emit('crash');
    if (before.phase !== after.phase) this.#entered(after.phase, before.phase);
  }

  /** One worker changed, or, when the launcher spoke, perhaps all of them. */
  #publish(event: Event, before: State, after: State): void {
    const subject = slotOf(event);
    const changed =
      subject !== null
        ? [after.workers.get(subject)]
        : [...after.workers.values()].filter((one) => before.workers.get(one.slot) !== one);
    for (const worker of changed) {
      if (worker === undefined) continue;
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
    const status = LOCK_FILE_STATUS[phase];
    if (status !== null) this.#running?.lockFile.setStatus(status);
    if (phase === 'RUN' || phase === 'HOT_STANDBY') this.#resolveReady();
    this.emit('phase', phase, before);
  }

  #recheckLockFile(): void {
    if (this.#running === null) return;
    const { lockFile, loop } = this.#running;
    const standing = lockFile.recheck();
    if (standing === 'mine') return;
    this.#log.error(messages.lockFileLost(lockFile.path, standing));
    loop.post({ kind: 'lock-file-lost' });
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    if (signal === 'SIGHUP') this.reload();
    else if (signal in MODE_OF_SIGNAL) {
      const mode = MODE_OF_SIGNAL[signal as keyof typeof MODE_OF_SIGNAL];
      this.#running?.loop.post({ kind: 'stop', mode });
    }
  };

  #handleSignals(verb: 'on' | 'off'): void {
    for (const signal of ['SIGHUP', 'SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
      process[verb](signal, this.#onSignal);
    }
  }

  /** The removal of the lock file is the last visible act (§1.17). */
  #end(exitCode: 0 | 1): void {
    if (this.#running === null) return;
    clearInterval(this.#running.recheck);
    this.#handleSignals('off');
    this.#running.lockFile.remove();
    this.#running = null;
    this.#log[exitCode === 0 ? 'info' : 'error'](
      exitCode === 0 ? messages.isShutDown : messages.isShutDownAbnormally,
    );
    this.emit('finish', exitCode);
    this.#resolveFinished(exitCode);
  }
}

/** Line 8 of the lock file in each phase; null: as before. */
const LOCK_FILE_STATUS: Readonly<Record<Phase, LockFileStatus | null>> = {
  INIT: 'starting',
  STARTUP: 'starting',
  RECOVERY: 'starting',
  HOT_STANDBY: 'standby',
  RUN: 'ready',
  STOP_BACKENDS: 'stopping',
  WAIT_BACKENDS: null,
  WAIT_XLOG_SHUTDOWN: 'stopping',
  NO_CHILDREN: 'stopping',
};

function followsOf(postgres: CheckedOptions['postgres']): 'nothing' | 'conninfo' | 'embedded' {
  if (postgres === null) return 'nothing';
  return 'embedded' in postgres ? 'embedded' : 'conninfo';
}

/** The one worker that an event is about; null: it may be about all of them. */
function slotOf(event: Event): SlotIndex | null {
  const about = event.kind === 'done' ? event.action : event;
  return 'slot' in about ? about.slot : null;
}
