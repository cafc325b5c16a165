// background-worker.ts: what main() gets: the worker's view of itself (MyBgworkerEntry).

import type { Client } from 'pg';
import { BgworkerError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { connectedTwice, flagMissing, noDatabaseFollowed } from '../messages.ts';
import type { WorkerFlag } from '../model/registration.ts';
import { type Attachment, native } from '../native.ts';
import type { WorkerStart } from '../travel/notes.ts';
import { Latch } from './latch.ts';
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
  readonly latch = new Latch();
  /** For the library's own wiring: set before main() in a worker with shared memory, else null. */
  attachment: Attachment | null = null;

  readonly #start: WorkerStart;
  readonly #createLog: () => Logger;
  #log: Logger | null = null;
  #shutdown: AbortController | null = null;
  #hasConnected = false;

  /** For the worker's wiring. */
  constructor(start: WorkerStart, createLog: () => Logger) {
    this.#start = start;
    this.#createLog = createLog;
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
