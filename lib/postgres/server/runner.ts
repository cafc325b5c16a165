// runner.ts: one embedded server as a child of the launcher: prepared, started, heard, told to end.
//
// Mechanism only. Whether and when it is started, told to end and started again is decided by the
// postmaster's policy, which hears from here what became of it.

import { closeSync, openSync, readFileSync } from 'node:fs';
import { BgworkerError } from '../../errors.ts';
import type { ChildId, Pid, ServerSignal } from '../../model/standing.ts';
import type { ExecRequest } from '../../native.ts';
import { messages } from './messages.ts';
import {
  type PreparedServer,
  prepareServer,
  removeSocketDirectory,
  waitForPreviousServer,
  waitForReady,
} from './prepare.ts';

export interface RunnerOptions {
  readonly dataDirectory: string;
  readonly binDirectory?: string | undefined;
  readonly settings?: Readonly<Record<string, string>> | undefined;
}

export interface RunnerOwner {
  exec(child: ChildId, request: ExecRequest): void;
  kill(child: ChildId, signal: NodeJS.Signals): void;
  started(pid: Pid): void;
  /** It accepts connections. */
  ready(conninfo: string): void;
  /** It could not be prepared, or ended before it was ready; a second try would do the same. */
  failed(error: Error): void;
  /** It was ready, or was told to end, and is gone. */
  exited(): void;
}

type Course =
  | { readonly kind: 'idle' }
  | { readonly kind: 'preparing'; readonly abort: AbortController }
  | {
      readonly kind: 'starting';
      readonly abort: AbortController;
      readonly server: PreparedServer;
      /** null: the launcher was asked and has not answered yet. */
      readonly pid: Pid | null;
    }
  | { readonly kind: 'ready'; readonly server: PreparedServer };

/** How much of the server's log is shown when it does not come up. */
const LOG_TAIL_LINES = 10;

export class ServerRunner {
  readonly #options: RunnerOptions;
  readonly #child: ChildId;
  readonly #owner: RunnerOwner;
  #course: Course = { kind: 'idle' };
  #isToldToEnd = false;
  #socketDirectory: string | null = null;

  /** `child` is the number that the launcher knows the server by, one after the other. */
  constructor(options: RunnerOptions, child: ChildId, owner: RunnerOwner) {
    this.#options = options;
    this.#child = child;
    this.#owner = owner;
  }

  start(): void {
    const abort = new AbortController();
    this.#isToldToEnd = false;
    this.#course = { kind: 'preparing', abort };
    this.#prepare(abort).catch((error: Error) => this.#endOfPreparation(error));
  }

  end(signal: ServerSignal): void {
    this.#isToldToEnd = true;
    if (this.#course.kind === 'preparing') {
      this.#course.abort.abort(new Error('the postmaster is stopping'));
    } else {
      this.#owner.kill(this.#child, signal);
    }
  }

  reload(): void {
    if (this.#course.kind === 'ready') this.#owner.kill(this.#child, 'SIGHUP');
  }

  /** From the launcher: the server process exists. */
  forked(pid: Pid): void {
    if (this.#course.kind !== 'starting') return;
    const { abort, server } = this.#course;
    this.#course = { ...this.#course, pid };
    this.#owner.started(pid);
    waitForReady(server.pgdata, { pid, signal: abort.signal }).then(
      () => {
        this.#course = { kind: 'ready', server };
        this.#owner.ready(server.program.conninfo);
      },
      () => {}, // It ended first, and ended() says so.
    );
  }

  /** From the launcher: no server process came of it. */
  failed(call: string, why: string): void {
    const file = this.#course.kind === 'starting' ? this.#course.server.program.file : 'postgres';
    this.#course = { kind: 'idle' };
    if (this.#isToldToEnd) return this.#owner.exited();
    this.#owner.failed(
      new BgworkerError('ERR_SERVER_FAILED', messages.notStarted(file, call, why)),
    );
  }

  /** The launcher is dead. A server that it made has an end of its own; a mere request has none. */
  launcherLost(): void {
    this.#isToldToEnd = true;
    if (this.#course.kind !== 'starting' || this.#course.pid !== null) return;
    this.#course = { kind: 'idle' };
    this.#owner.exited();
  }

  /** From the launcher: the server process is gone. */
  ended(how: string): void {
    const course = this.#course;
    this.#course = { kind: 'idle' };
    if (course.kind === 'starting') course.abort.abort(new Error('the server ended'));
    if (course.kind !== 'starting' || this.#isToldToEnd) return this.#owner.exited();
    const { logFile } = course.server.program;
    const sentence = messages.endedEarly(how, logFile, tailOf(logFile));
    this.#owner.failed(new BgworkerError('ERR_SERVER_FAILED', sentence));
  }

  /** After the last end: removes what the server needed outside of its own directory. */
  cleanUp(): void {
    if (this.#socketDirectory !== null) removeSocketDirectory(this.#socketDirectory);
  }

  async #prepare(abort: AbortController): Promise<void> {
    const server = await prepareServer({ ...this.#options, signal: abort.signal });
    this.#socketDirectory = server.socketDirectory;
    await waitForPreviousServer(server.pgdata, abort.signal);
    abort.signal.throwIfAborted();
    this.#course = { kind: 'starting', abort, server, pid: null };
    const { logFile, conninfo: _, ...program } = server.program;
    const log = openSync(logFile, 'a', 0o600);
    try {
      this.#owner.exec(this.#child, {
        ...program,
        targets: [1, 2],
        descriptors: [log, log],
        limits: [],
      });
    } finally {
      closeSync(log);
    }
  }

  #endOfPreparation(error: Error): void {
    this.#course = { kind: 'idle' };
    if (this.#isToldToEnd) this.#owner.exited();
    else this.#owner.failed(error);
  }
}

function tailOf(logFile: string): string {
  return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
}
