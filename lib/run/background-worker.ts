// background-worker.ts: what main() gets: the worker's view of itself (MyBgworkerEntry).

import type { Client } from 'pg';
import { BgworkerError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { connectedTwice, flagMissing, noDatabaseFollowed, noSharedMemory } from '../messages.ts';
import type { WorkerFlag } from '../model/registration.ts';
import { type Attachment, native } from '../native.ts';
import type { Attached } from '../shared/attached.ts';
import { DynamicSharedMemory } from '../shared/dynamic-shared-memory.ts';
import { SharedLatch } from '../shared/latch.ts';
import { AttachedNames, type SharedNames, type SharedRequests } from '../shared/names.ts';
import type { WorkerStart } from '../travel/notes.ts';
import { type Latch, PrivateLatch } from './latch.ts';
import { onSignal, type SignalHandler } from './signals.ts';

export interface ConnectOptions {
  /** Default: the registration's `database`, else the one of the postmaster's conninfo. */
  readonly database?: string;
  /** Default: the registration's `user`, else the one of the postmaster's conninfo. */
  readonly user?: string;
  readonly signal?: AbortSignal;
}

/** One worker process, seen from inside. Made once, before main() is called. */
export class BackgroundWorker {
  readonly name: string;
  readonly type: string;
  readonly flags: readonly WorkerFlag[];
  /** The slot of the main area, 0 to maxWorkerProcesses - 1. */
  readonly slot: number;
  /** Set by its own code, after each signal handler, and, with shared memory, by other processes. */
  readonly latch: Latch;

  readonly #start: WorkerStart;
  readonly #ownLatch: PrivateLatch | SharedLatch;
  readonly #attached: Attached | null;
  readonly #requests: SharedRequests;
  readonly #createLog: () => Logger;
  #log: Logger | null = null;
  #shmem: SharedNames | null = null;
  #dsm: DynamicSharedMemory | null = null;
  #shutdown: AbortController | null = null;
  #hasConnected = false;

  /** For the worker's wiring. `requests`: what the preload modules asked for in shared memory. */
  constructor(
    start: WorkerStart,
    attached: Attached | null,
    requests: SharedRequests,
    createLog: () => Logger,
  ) {
    this.#start = start;
    this.#attached = attached;
    this.#requests = requests;
    this.#createLog = createLog;
    this.#ownLatch =
      attached === null ? new PrivateLatch() : SharedLatch.ofProcess(attached.process);
    this.latch = this.#ownLatch;
    this.slot = start.slot;
    this.name = start.registration.name;
    this.type = start.registration.type;
    this.flags = start.registration.flags;
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

  /** For the library's own wiring: the postmaster is dead. true if somebody waited to hear it. */
  orphan(): boolean {
    return this.#ownLatch.orphan();
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
   * The database connection (BackgroundWorkerInitializeConnection): once per worker, and only with
   * the flag BACKEND_DATABASE_CONNECTION. application_name is the worker's name.
   *
   * @throws BgworkerError ERR_NO_DATABASE_CONNECTION (flag missing, second call, nothing followed),
   * ERR_SERVER_UNREACHABLE or ERR_SERVER_REFUSED.
   */
  async connect(options: ConnectOptions = {}): Promise<Client> {
    const refuse = (sentence: string) => new BgworkerError('ERR_NO_DATABASE_CONNECTION', sentence);
    if (!this.flags.includes('BACKEND_DATABASE_CONNECTION')) throw refuse(flagMissing(this.name));
    if (this.#start.conninfo === null) throw refuse(noDatabaseFollowed(this.name));
    if (this.#hasConnected) throw refuse(connectedTwice(this.name));
    this.#hasConnected = true;
    // Loaded before the fork if the postmaster follows a database; what comes here is a look-up.
    const { connectTo } = await import('../postgres/connect/connect.ts');
    const { targetFor } = await import('../postgres/target-for.ts');
    const target = targetFor(this.#start.conninfo, this.#start.registration, options);
    return connectTo(target, { signal: options.signal });
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
