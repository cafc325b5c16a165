// background-worker.ts: what main() gets: the worker's view of itself (MyBgworkerEntry).

import type { Client } from 'pg';
import { ControlClient } from '../dynamic/control-client.ts';
import { DynamicWorkers } from '../dynamic/dynamic-workers.ts';
import type { BackgroundWorkerHandle, WaitOptions } from '../dynamic/handle.ts';
import { BgworkerError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { cancelFailed, noSharedMemory } from '../messages.ts';
import type { WorkerFlag } from '../model/registration.ts';
import { type Attachment, native } from '../native.ts';
import type { Attached } from '../shared/attached.ts';
import { DynamicSharedMemory } from '../shared/dynamic-shared-memory.ts';
import { SharedLatch } from '../shared/latch.ts';
import { AttachedNames, type SharedNames, type SharedRequests } from '../shared/names.ts';
import type { ControlPlace } from '../travel/control.ts';
import type { ProcessStart } from '../travel/notes.ts';
import { type ConnectOptions, DatabaseSession } from './database-session.ts';
import { type Latch, PrivateLatch } from './latch.ts';
import {
  checkParallel,
  type ParallelOptions,
  type ParallelTask,
} from './parallel/parallel-options.ts';
import { type Leader, ParallelRun } from './parallel/parallel-run.ts';
import { onSignal, type SignalHandler } from './signals.ts';
import type { NotificationHandler, Subscription } from './subscriptions.ts';
import type { TransactionBody, TransactionOptions } from './transaction.ts';
import type { DynamicBackgroundWorkerOptions } from './worker-options.ts';

/** What the process around a worker has for it. */
export interface WorkerSurroundings {
  /** null: it has not asked for shared memory. */
  readonly attached: Attached | null;
  /** What the preload modules asked for in shared memory. */
  readonly requests: SharedRequests;
  readonly control: ControlPlace;
  createLog(): Logger;
}

/** One worker process, seen from inside. Made once, before main() is called. */
export class BackgroundWorker {
  readonly name: string;
  readonly type: string;
  readonly flags: readonly WorkerFlag[];
  /** The slot of the main area, 0 to maxWorkerProcesses - 1; those of backends follow. */
  readonly slot: number;
  /** Set by its own code, after each signal handler, and, with shared memory, by other processes. */
  readonly latch: Latch;

  readonly #start: ProcessStart;
  readonly #session: DatabaseSession;
  readonly #ownLatch: PrivateLatch | SharedLatch;
  readonly #attached: Attached | null;
  readonly #requests: SharedRequests;
  readonly #control: ControlPlace;
  readonly #createLog: () => Logger;
  #log: Logger | null = null;
  #shmem: SharedNames | null = null;
  #dsm: DynamicSharedMemory | null = null;
  #dynamic: DynamicWorkers | null = null;
  #shutdown: AbortController | null = null;

  /** For the worker's wiring. */
  constructor(start: ProcessStart, { attached, requests, control, createLog }: WorkerSurroundings) {
    this.#start = start;
    this.#attached = attached;
    this.#requests = requests;
    this.#control = control;
    this.#createLog = createLog;
    this.#ownLatch =
      attached === null ? new PrivateLatch() : SharedLatch.ofProcess(attached.process);
    this.latch = this.#ownLatch;
    this.slot = start.slot;
    this.name = start.registration.name;
    this.type = start.registration.type;
    this.flags = start.registration.flags;
    const { registration, database } = start;
    this.#session = new DatabaseSession({
      registration,
      database,
      latch: this.latch,
      activity: attached?.activity ?? null,
    });
  }

  get pid(): number {
    return process.pid;
  }

  /** The postmaster's logger, with this worker's name and pid; made at the first use. */
  get log(): Logger {
    this.#log ??= this.#createLog();
    return this.#log;
  }

  /**
   * The main shared memory area, by name (ShmemInitStruct): what preload modules asked for, or
   * something new as far as they have reserved room.
   *
   * @throws BgworkerError ERR_WRONG_STATE without SHMEM_ACCESS, ERR_SHMEM_…
   */
  get shmem(): SharedNames {
    this.#shmem ??= new AttachedNames(this.#memory('shmem'), this.#requests);
    return this.#shmem;
  }

  /**
   * Dynamic shared memory: segments, by handle or by name, and hash tables.
   *
   * @throws BgworkerError ERR_WRONG_STATE without SHMEM_ACCESS
   */
  get dsm(): DynamicSharedMemory {
    this.#dsm ??= new DynamicSharedMemory(this.#memory('dsm'));
    return this.#dsm;
  }

  /**
   * The latch of the process in another slot, to set it.
   *
   * @throws BgworkerError ERR_WRONG_STATE without SHMEM_ACCESS, ERR_INVALID_OPTION for what is no slot
   */
  latchOf(slot: number): Pick<Latch, 'set' | 'isSet'> {
    return SharedLatch.ofProcess(this.#memory('latchOf()').process, slot);
  }

  /**
   * Aborted by SIGTERM. Asking for it installs the handler: from then on SIGTERM no longer ends
   * the worker, it sets the latch, and main() leaves its loop and returns (exit 0: done for good).
   */
  get signal(): AbortSignal {
    if (this.#shutdown === null) {
      const controller = new AbortController();
      this.#shutdown = controller;
      this.on('SIGTERM', () => controller.abort(new Error('SIGTERM: the worker is to end')));
    }
    return this.#shutdown.signal;
  }

  /**
   * Registers a worker while the postmaster runs (RegisterDynamicBackgroundWorker). Resolves when it
   * is registered, which is before it is started: see BackgroundWorkerHandle. It outlives this one.
   *
   * @throws BgworkerError ERR_INVALID_REGISTRATION, ERR_TOO_MANY_WORKERS, ERR_POSTMASTER_DIED,
   * ERR_CONTROL_SOCKET; the signal's reason
   */
  async registerDynamicBackgroundWorker(
    options: DynamicBackgroundWorkerOptions,
    waitOptions: WaitOptions = {},
  ): Promise<BackgroundWorkerHandle> {
    return this.#registrar().register(options, waitOptions);
  }

  /**
   * Has the task done for each input by parallel workers, which it starts and ends: `await` gives all
   * results, `for await` one after the other, in the order of the inputs either way. Nothing happens
   * before one of them. If a worker fails or dies, the others are ended and it rejects.
   *
   * @throws BgworkerError ERR_INVALID_OPTION, and ERR_WRONG_STATE without SHMEM_ACCESS, at once;
   * then ERR_TOO_MANY_WORKERS if there is no room for a single one, ERR_PARALLEL_FAILED, what
   * inputs or registration throw; the signal's reason
   */
  runParallel<Result = unknown, Input = unknown>(
    task: ParallelTask,
    inputs: Iterable<Input> | AsyncIterable<Input>,
    options: ParallelOptions,
  ): ParallelRun<Result> {
    const checked = checkParallel(task, inputs, options);
    const { process: here } = this.#memory('runParallel()');
    const { database, user } = this.#start.registration;
    const leader: Leader = {
      name: this.name,
      database,
      user,
      dsm: this.dsm,
      log: () => this.log,
      look: () => here.waits.look(),
      register: (registration, wait) => this.#registrar().register(registration, wait),
    };
    return new ParallelRun<Result>({ leader, task, inputs, checked, signal: options.signal });
  }

  #registrar(): DynamicWorkers {
    this.#dynamic ??= new DynamicWorkers(new ControlClient(this.#control));
    return this.#dynamic;
  }

  /**
   * What it is doing, in words, for `postmaster.workers()` (pg_stat_activity); up to 944 bytes are
   * kept. null: the statement that its database connection runs is shown instead, if one does.
   *
   * @throws BgworkerError ERR_WRONG_STATE without SHMEM_ACCESS
   */
  get activity(): string | null {
    return this.#memory('activity').activity.own;
  }

  set activity(text: string | null) {
    this.#memory('activity').activity.own = text;
  }

  /** For the library's own wiring: the postmaster is dead. true if somebody waited to hear it. */
  orphan(): boolean {
    const wasHeard = this.#dynamic?.orphan() ?? false;
    return this.#ownLatch.orphan() || wasHeard;
  }

  /** For the library's own wiring: what a C worker works with; null without shared memory. */
  get attachment(): Attachment | null {
    return this.#attached?.attachment ?? null;
  }

  #memory(verb: string): Attached {
    if (this.#attached !== null) return this.#attached;
    throw new BgworkerError('ERR_WRONG_STATE', noSharedMemory(this.name, verb));
  }

  /** A signal handler; the latch is set after it has run. */
  on(signal: NodeJS.Signals, handler: SignalHandler): this {
    onSignal(signal, handler, this.latch);
    return this;
  }

  /** Sooner than the end of main()'s synchronous part (BackgroundWorkerUnblockSignals). */
  unblockSignals(): void {
    native.unblockSignals();
  }

  blockSignals(): void {
    native.blockSignals();
  }

  /**
   * The database connection (BackgroundWorkerInitializeConnection): one at a time, and only with
   * the flag BACKEND_DATABASE_CONNECTION. application_name is the worker's name. Of several servers
   * the one that the postmaster follows is asked first. What the connection runs is the worker's
   * `activity`, and is cancelled by SIGINT.
   *
   * It is never replaced in silence: when it is lost, whatever runs on it rejects, the client says
   * 'error' and 'end', and connect() may be called again.
   *
   * @throws BgworkerError ERR_NO_DATABASE_CONNECTION (flag missing, there is one already, nothing
   * followed), ERR_INVALID_OPTION, ERR_SERVER_UNREACHABLE or ERR_SERVER_REFUSED.
   */
  connect(options: ConnectOptions = {}): Promise<Client> {
    return this.#session.connect(options);
  }

  /**
   * LISTEN on the connection of connect(): a notification calls the handler, then sets the latch.
   * It ends with the connection.
   *
   * @throws BgworkerError ERR_WRONG_STATE without connect(), ERR_INVALID_OPTION; what the server says
   */
  async listen(channel: string, handler?: NotificationHandler): Promise<Subscription> {
    return this.#session.listen(channel, handler);
  }

  /**
   * Runs the function in a transaction on the connection of connect(), commits, and gives what it
   * returned; what it throws rolls back. One at a time.
   *
   * @throws BgworkerError ERR_WRONG_STATE without connect() or within another one,
   * ERR_INVALID_OPTION, ERR_COMMIT_UNKNOWN, ERR_TRANSACTION_ABORTED; what the function throws
   */
  transaction<Value>(
    body: TransactionBody<Value>,
    options: TransactionOptions = {},
  ): Promise<Value> {
    return this.#session.transaction(body, options);
  }

  /**
   * Asks the server to cancel the statement that runs on the connection of connect(), which then
   * rejects (SQLSTATE 57014). Nothing happens if none does.
   */
  cancelStatement(): Promise<void> {
    return this.#session.cancel();
  }

  /** For the library's own wiring: SIGINT, where the worker has no handler of its own. */
  interrupt(): void {
    this.cancelStatement().catch((error: unknown) => {
      this.log.warn({ err: error }, cancelFailed(error));
    });
  }

  /** For the library's own wiring: is it done for good by this error, because its database is gone? */
  isOverWith(error: unknown): boolean {
    return this.flags.includes('INTERRUPTIBLE') && this.#session.wasRefusedWith(error);
  }

  /**
   * A plain client connection, as many as the worker likes and without any flag, by a libpq
   * connection string of its own (keyword/value or URI; what it leaves out comes from the service
   * file, the PG* environment and the password file). application_name defaults to the worker's
   * name.
   *
   * @throws BgworkerError ERR_CONNINFO, ERR_SERVER_UNREACHABLE or ERR_SERVER_REFUSED.
   */
  async connectClient(conninfo: string, options: { signal?: AbortSignal } = {}): Promise<Client> {
    const { connectTo } = await import('../postgres/connect/connect.ts');
    const { processEnvironment, resolveConninfo } = await import('../postgres/conninfo/index.ts');
    const target = resolveConninfo(conninfo, processEnvironment());
    return connectTo(target, { fallbackApplicationName: this.name, signal: options.signal });
  }
}
