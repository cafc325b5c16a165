// launcher-process.ts: the postmaster's side of the launcher: its socket, and what is said on it.
//
// Starts the launcher program, hears what its preload modules registered, tries a fork, and from
// then on turns requests into children and reports into calls of its owner. It decides nothing:
// what a report means is react/'s business, what to ask for is schedule/'s.

import { getSystemErrorMap } from 'node:util';
import { BgworkerError } from '../errors.ts';
import * as messages from '../messages.ts';
import type { ChildId, Pid } from '../model/standing.ts';
import {
  type ExecRequest,
  type LauncherChannel,
  type LauncherReport,
  type MainArea,
  native,
} from '../native.ts';
import {
  type AnnouncedBackend,
  type AnnouncedWorker,
  type Announcement,
  type ChildPayload,
  decodeNote,
  encodeNote,
  encodePayload,
  type LauncherConfig,
} from '../travel/notes.ts';
import { Children } from './children.ts';
import { type LauncherOwner, NOBODY } from './launcher-owner.ts';
import { LauncherProgram } from './launcher-program.ts';
import { tryFork } from './self-test.ts';
import type { SharedMemory } from './shared-memory.ts';

export interface LauncherOptions {
  readonly config: LauncherConfig;
  readonly memory: SharedMemory;
  /** The read end of the pipe whose write end only the postmaster holds. */
  readonly deathDescriptor: number;
  /** 'fork': try a fork, and exec if it fails. */
  readonly launch: 'fork' | 'exec';
  readonly owner: LauncherOwner;
  readonly signal: AbortSignal;
}

export interface StartedLauncher {
  readonly launcher: LauncherProcess;
  readonly workers: readonly AnnouncedWorker[];
  /** null: nobody has called registerBackend(). */
  readonly backend: AnnouncedBackend | null;
  readonly startupHooks: boolean;
  /** The name of the startup process; null: there is none. */
  readonly startupProcess: string | null;
}

export class LauncherProcess {
  readonly pid: Pid;
  /** Why workers are not forked, in words; null: they are. */
  forkProblem: string | null = null;

  readonly #program: LauncherProgram;
  readonly #channel: LauncherChannel;
  readonly #children = new Children();
  #owner = NOBODY;
  #onNote: ((announcement: Announcement) => void) | null = null;
  /** 'lost': it died unasked, and what it is still asked for is lost like the rest. */
  #course: 'open' | 'lost' | 'closing' = 'open';

  /**
   * @throws BgworkerError ERR_PRELOAD_FAILED, ERR_PRELOAD_NOT_QUIET, ERR_LAUNCHER_FAILED; the
   * signal's reason if it is aborted. Nothing of the launcher is left then.
   */
  static async start(options: LauncherOptions): Promise<StartedLauncher> {
    options.signal.throwIfAborted();
    const launcher = new LauncherProcess(options);
    const abort = () => {
      launcher.#course = 'closing'; // Its end is wanted, so it is not lost.
      launcher.#program.kill();
    };
    options.signal.addEventListener('abort', abort, { once: true });
    try {
      const ready = await launcher.#introduce(options);
      const { workers, backend, needExec, startupHooks, startupProcess } = ready;
      if (options.launch === 'exec') launcher.forkProblem = 'the option launch says so';
      else if (needExec.length > 0) launcher.forkProblem = messages.declaredExec(needExec);
      else launcher.forkProblem = await launcher.#tryFork();
      options.signal.throwIfAborted();
      launcher.#owner = options.owner;
      return { launcher, workers, backend, startupHooks, startupProcess };
    } catch (error) {
      await launcher.end();
      throw options.signal.aborted ? options.signal.reason : error;
    } finally {
      options.signal.removeEventListener('abort', abort);
    }
  }

  private constructor({ memory, deathDescriptor }: LauncherOptions) {
    const [ourEnd, launcherEnd] = native.channelPair();
    this.#program = new LauncherProgram({
      control: launcherEnd,
      death: deathDescriptor,
      doorbells: memory.doorbells,
    });
    this.pid = this.#program.pid;
    this.#channel = new native.LauncherChannel(
      ourEnd,
      (report) => this.#hear(report),
      () => this.#hangUp(),
    );
  }

  /** A worker as a fork of the warm launcher. `attach`: it keeps the main area mapped. */
  fork(
    child: ChildId,
    attach: boolean,
    payload: ChildPayload,
    descriptors: readonly number[] = [],
  ): void {
    if (this.#course !== 'open') return;
    this.#channel.fork(child, attach, encodePayload(payload), descriptors);
  }

  /** Any other program. */
  exec(child: ChildId, request: ExecRequest): void {
    if (this.#course === 'open') this.#channel.exec(child, request);
  }

  replaceArea(area: MainArea): void {
    if (this.#course === 'open') this.#channel.replaceArea(area);
  }

  /** false: it is gone already, and its end is on the way. */
  kill(child: ChildId, signal: NodeJS.Signals, to: 'process' | 'group'): boolean {
    return this.#children.kill(child, signal, to);
  }

  /** Ends a launcher that does not answer; its owner hears of it as of any other loss. */
  destroy(): void {
    this.#program.kill();
  }

  /** It is not needed any more: resolves when it is gone. Idempotent. */
  async end(): Promise<void> {
    this.#course = 'closing';
    this.#channel.close();
    // It has no children any more, and would leave by itself, unless somebody has stopped it.
    this.#program.killSession();
    await this.#program.ended;
    this.#children.forgetAll();
  }

  async #introduce({
    config,
    memory,
  }: LauncherOptions): Promise<Extract<Announcement, { kind: 'ready' }>> {
    const announced = new Promise<Announcement>((resolve) => {
      this.#onNote = resolve;
    });
    this.#channel.note(encodeNote(config));
    const announcement = await Promise.race([announced, this.#program.died]);
    if (announcement.kind === 'ready') {
      // It waits for its memory, whose size nobody knew before.
      this.replaceArea(memory.areaFor(announcement.structBytes));
      return announcement;
    }
    const cause = new Error(announcement.message);
    cause.stack = announcement.stack ?? announcement.message;
    throw new BgworkerError(announcement.code, announcement.message, { cause });
  }

  #tryFork(): Promise<string | null> {
    return tryFork({
      fork: (child, attach, payload) => this.fork(child, attach, payload),
      kill: (child, signal, to) => this.kill(child, signal, to),
      died: this.#program.died,
      setOwner: (owner) => {
        this.#owner = owner;
      },
    });
  }

  #hear(report: LauncherReport): void {
    switch (report.kind) {
      case 'note':
        this.#onNote?.(decodeNote<Announcement>(report.body));
        this.#onNote = null;
        return;
      case 'forked':
        this.#children.add(report.childId, report);
        this.#owner.forked(report.childId, report.pid);
        return;
      case 'failed':
        this.#owner.failed(report.childId, report.call, systemError(report.errno));
        return;
      case 'exited': {
        const { childId, pid, status, usage } = report;
        this.#children.forget(childId);
        this.#owner.ended(childId, pid, { kind: 'reaped', status, usage });
        return;
      }
    }
  }

  /** The socket is closed: the launcher is dead or as good as dead. */
  #hangUp(): void {
    if (this.#course === 'closing') return;
    this.#course = 'lost';
    this.#program.killSession();
    void this.#program.ended.then((how) => this.#mourn(how));
  }

  #mourn(how: string): void {
    this.#channel.close();
    this.#owner.lost(how);
    this.#children.mourn((child, pid) => this.#owner.ended(child, pid, { kind: 'lost' }));
  }
}

function systemError(errno: number): string {
  const [code, sentence] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  return `${code}, ${sentence}`;
}
