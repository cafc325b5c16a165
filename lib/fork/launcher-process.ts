// launcher-process.ts: the postmaster's side of the launcher: the process, its socket, its children.
//
// Starts the launcher program, hears what its preload modules registered, tries a fork, and from
// then on turns requests into children and reports into calls of its owner. It decides nothing:
// what a report means is react/'s business, what to ask for is schedule/'s.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { getSystemErrorMap } from 'node:util';
import { BgworkerError } from '../errors.ts';
import * as messages from '../messages.ts';
import type { ChildId, Pid } from '../model/standing.ts';
import {
  type DescriptorWatcher,
  type ExecRequest,
  type LauncherChannel,
  type LauncherReport,
  type MainArea,
  native,
} from '../native.ts';
import {
  type AnnouncedWorker,
  type Announcement,
  type ChildPayload,
  decodeNote,
  encodeNote,
  encodePayload,
  type LauncherConfig,
  TITLE_ROOM,
} from '../travel/notes.ts';
import type { ChildEnd } from './child-end.ts';
import type { SharedMemory } from './shared-memory.ts';

/** What the owner hears. Every child that was asked for ends in exactly one of the last two. */
export interface LauncherOwner {
  forked(child: ChildId, pid: Pid): void;
  failed(child: ChildId, call: string, why: string): void;
  ended(child: ChildId, pid: Pid, end: ChildEnd): void;
  /** The launcher itself is dead, and was not told to be. */
  lost(how: string): void;
}

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
  readonly startupHooks: boolean;
}

interface Child {
  readonly pid: Pid;
  readonly pidfd: number;
  /** Only once the launcher is dead: who else would say that the child is gone? */
  watcher: DescriptorWatcher | null;
}

const PROGRAM = fileURLToPath(new URL('../launcher.js', import.meta.url));

/**
 * V8 must have no helper threads that a fork would lose (architecture, fact 2); and no collection
 * out of boredom, which after 8 s would copy the shared heap into every idle worker: 7.4 MB private
 * instead of 1.2 MB.
 */
export const LAUNCHER_FLAGS = ['--single-threaded', '--v8-pool-size=0', '--no-memory-reducer'];

/** Not one of the policy's numbers, which count up from 1. */
const SELF_TEST_CHILD: ChildId = 0;
const SELF_TEST_MS = 5_000;

/** A signal ended it before it was ready: nothing is wrong with its modules. */
export class LauncherKilled extends BgworkerError {
  readonly how: string;

  constructor(signal: NodeJS.Signals) {
    const how = `signal ${signal}`;
    super('ERR_LAUNCHER_FAILED', messages.launcherDied(how));
    this.how = how;
  }
}

/** Until it is ready its end is the failure of start(), and nobody else's news. */
const NOBODY: LauncherOwner = { forked() {}, failed() {}, ended() {}, lost() {} };

export class LauncherProcess {
  readonly pid: Pid;
  /** Why workers are not forked, in words; null: they are. */
  forkProblem: string | null = null;

  readonly #process: ChildProcess;
  /** null: there never was a process, or what was to be done with it is done. */
  #pidfd: number | null = null;
  readonly #channel: LauncherChannel;
  readonly #children = new Map<ChildId, Child>();
  readonly #exited: Promise<unknown[]>;
  /** Rejects when it has ended: for who waits for something else of it. */
  readonly #died: Promise<never>;
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
      launcher.#process.kill('SIGKILL');
    };
    options.signal.addEventListener('abort', abort, { once: true });
    try {
      const { workers, needExec, startupHooks } = await launcher.#introduce(options);
      if (options.launch === 'exec') launcher.forkProblem = 'the option launch says so';
      else if (needExec.length > 0) launcher.forkProblem = messages.declaredExec(needExec);
      else launcher.forkProblem = await launcher.#selfTest();
      options.signal.throwIfAborted();
      launcher.#owner = options.owner;
      return { launcher, workers, startupHooks };
    } catch (error) {
      await launcher.end();
      throw options.signal.aborted ? options.signal.reason : error;
    } finally {
      options.signal.removeEventListener('abort', abort);
    }
  }

  private constructor({ memory, deathDescriptor }: LauncherOptions) {
    const [ourEnd, launcherEnd] = native.channelPair();
    this.#process = spawn(process.execPath, [...LAUNCHER_FLAGS, PROGRAM, TITLE_ROOM], {
      stdio: [
        ...(['ignore', 'inherit', 'inherit'] as const),
        launcherEnd,
        deathDescriptor,
        'ignore', // AREA_DESCRIPTOR, of an exec'ed worker only
        ...memory.doorbells,
      ],
    });
    closeSync(launcherEnd);
    if (this.#process.pid !== undefined) this.#pidfd = native.openProcess(this.#process.pid);
    this.#exited = once(this.#process, 'exit');
    this.#died = this.#exited.then(
      ([code, signal]) => {
        if (signal !== null) throw new LauncherKilled(signal as NodeJS.Signals);
        const sentence = messages.launcherDied(`exit code ${code}`);
        throw new BgworkerError('ERR_LAUNCHER_FAILED', sentence);
      },
      (cause: Error) => {
        const sentence = messages.launcherDied(cause.message);
        throw new BgworkerError('ERR_LAUNCHER_FAILED', sentence, { cause });
      },
    );
    this.#died.catch(() => {}); // It will die one day; that is an error only before it is ready.
    this.pid = this.#process.pid ?? 0;
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
    const known = this.#children.get(child);
    return known !== undefined && native.sendSignal(known.pidfd, constants.signals[signal], to);
  }

  /** Ends a launcher that does not answer; its owner hears of it as of any other loss. */
  destroy(): void {
    this.#process.kill('SIGKILL');
  }

  /** It is not needed any more: resolves when it is gone. Idempotent. */
  async end(): Promise<void> {
    this.#course = 'closing';
    this.#channel.close();
    // It has no children any more, and would leave by itself, unless somebody has stopped it.
    this.#killSession();
    await this.#exited.catch(() => {});
    for (const child of this.#children.keys()) this.#forget(child);
  }

  async #introduce({
    config,
    memory,
  }: LauncherOptions): Promise<Extract<Announcement, { kind: 'ready' }>> {
    const announced = new Promise<Announcement>((resolve) => {
      this.#onNote = resolve;
    });
    this.#channel.note(encodeNote(config));
    const announcement = await Promise.race([announced, this.#died]);
    if (announcement.kind === 'ready') {
      // It waits for its memory, whose size nobody knew before.
      this.replaceArea(memory.areaFor(announcement.structBytes));
      return announcement;
    }
    const cause = new Error(announcement.message);
    cause.stack = announcement.stack ?? announcement.message;
    throw new BgworkerError(announcement.code, announcement.message, { cause });
  }

  /** The first fork is nobody's worker: null if it did what it should, else what it did instead. */
  async #selfTest(): Promise<string | null> {
    const outcome = new Promise<string | null>((resolve) => {
      this.#owner = {
        ...NOBODY,
        failed: (_child, call, why) => resolve(`failed (${call}: ${why})`),
        ended: (_child, _pid, end) => resolve(selfTestOutcome(end)),
      };
    });
    const impatience = setTimeout(
      () => this.kill(SELF_TEST_CHILD, 'SIGKILL', 'group'),
      SELF_TEST_MS,
    );
    try {
      this.fork(SELF_TEST_CHILD, false, { kind: 'self-test' });
      const problem = await Promise.race([outcome, this.#died]);
      return problem === null ? null : messages.selfTestFailed(problem);
    } finally {
      clearTimeout(impatience);
    }
  }

  #hear(report: LauncherReport): void {
    switch (report.kind) {
      case 'note':
        this.#onNote?.(decodeNote<Announcement>(report.body));
        this.#onNote = null;
        return;
      case 'forked':
        this.#children.set(report.childId, { ...report, watcher: null });
        this.#owner.forked(report.childId, report.pid);
        return;
      case 'failed':
        this.#owner.failed(report.childId, report.call, systemError(report.errno));
        return;
      case 'exited': {
        const { childId, pid, status, usage } = report;
        this.#forget(childId);
        this.#owner.ended(childId, pid, { kind: 'reaped', status, usage });
        return;
      }
    }
  }

  /** The socket is closed: the launcher is dead or as good as dead. */
  #hangUp(): void {
    if (this.#course === 'closing') return;
    this.#course = 'lost';
    this.#killSession();
    this.#exited.then(
      ([code, signal]) => this.#mourn(signal === null ? `exit code ${code}` : `signal ${signal}`),
      (error: Error) => this.#mourn(error.message),
    );
  }

  /** The kernel ends its children (PR_SET_PDEATHSIG), and nobody but us can say when they are gone. */
  #mourn(how: string): void {
    this.#channel.close();
    this.#owner.lost(how);
    for (const [childId, child] of this.#children) {
      child.watcher = new native.DescriptorWatcher(child.pidfd, () => {
        // What it started itself is in its process group and has lost its parent, too.
        native.sendSignal(child.pidfd, constants.signals.SIGKILL, 'group');
        this.#forget(childId);
        this.#owner.ended(childId, child.pid, { kind: 'lost' });
      });
    }
  }

  /**
   * Itself, if it lives, and what its preload modules have started for themselves: it leads a
   * session of its own. By its pidfd, because its number may be somebody else's by now.
   */
  #killSession(): void {
    if (this.#pidfd === null) return;
    native.sendSignal(this.#pidfd, constants.signals.SIGKILL, 'group');
    closeSync(this.#pidfd);
    this.#pidfd = null;
  }

  #forget(childId: ChildId): void {
    const child = this.#children.get(childId);
    if (child === undefined) return;
    this.#children.delete(childId);
    child.watcher?.close();
    closeSync(child.pidfd);
  }
}

function systemError(errno: number): string {
  const [code, sentence] = getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error'];
  return `${code}, ${sentence}`;
}

function selfTestOutcome(end: ChildEnd): string | null {
  if (end.kind === 'lost') return 'ended with the launcher';
  const { status } = end;
  if (status.kind === 'signal') return `was ended by signal ${status.signal}`;
  return status.code === 0 ? null : `left with exit code ${status.code}`;
}
