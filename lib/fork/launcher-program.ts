// launcher-program.ts: the launcher as a process of the system: started, ended, and how it ended.
//
// What is said over its socket is launcher-process.ts's business.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import { BgworkerError } from '../errors.ts';
import * as messages from '../messages.ts';
import type { Pid } from '../model/standing.ts';
import { native } from '../native.ts';
import { packageFile } from '../package-files.ts';
import { TITLE_ROOM } from '../travel/notes.ts';

export interface LauncherDescriptors {
  /** Its end of the control socket; closed here. */
  readonly control: number;
  /** The read end of the pipe whose write end only the postmaster holds. */
  readonly death: number;
  readonly doorbells: readonly number[];
}

const PROGRAM = packageFile('#launcher');

/**
 * V8 must have no helper threads that a fork would lose (architecture, fact 2); and no collection
 * out of boredom, which after 8 s would copy the shared heap into every idle worker: 7.4 MB private
 * instead of 1.2 MB. (Node's code on large pages, --use-largepages, saves each fork 90 of 290 page
 * faults; but they cost 24 MB and the launcher a tenth of a second, and a start is no shorter.)
 */
export const LAUNCHER_FLAGS = ['--single-threaded', '--v8-pool-size=0', '--no-memory-reducer'];

/** A signal ended it before it was ready: nothing is wrong with its modules. */
export class LauncherKilled extends BgworkerError {
  readonly how: string;

  constructor(signal: NodeJS.Signals) {
    const how = `signal ${signal}`;
    super('ERR_LAUNCHER_FAILED', messages.launcherDied(how));
    this.how = how;
  }
}

export class LauncherProgram {
  readonly pid: Pid;
  /** How it ended, in words, or that there never was a process. */
  readonly ended: Promise<string>;
  /** Rejects when it has ended: for who waits for something else of it. */
  readonly died: Promise<never>;
  readonly #process: ChildProcess;
  /** null: there never was a process, or what was to be done with it is done. */
  #pidfd: number | null = null;

  constructor({ control, death, doorbells }: LauncherDescriptors) {
    this.#process = spawn(process.execPath, [...LAUNCHER_FLAGS, PROGRAM, TITLE_ROOM], {
      stdio: [
        ...(['ignore', 'inherit', 'inherit'] as const),
        control,
        death,
        'ignore', // AREA_DESCRIPTOR, of an exec'ed worker only
        ...doorbells,
      ],
    });
    closeSync(control);
    if (this.#process.pid !== undefined) this.#pidfd = native.openProcess(this.#process.pid);
    const exited = once(this.#process, 'exit');
    this.ended = exited.then(
      ([code, signal]) => (signal === null ? `exit code ${code}` : `signal ${signal}`),
      (error: Error) => error.message,
    );
    this.died = exited.then(
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
    this.died.catch(() => {}); // It will die one day; that is an error only before it is ready.
    this.pid = this.#process.pid ?? 0;
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }

  /**
   * Itself, if it lives, and what its preload modules have started for themselves: it leads a
   * session of its own. By its pidfd, because its number may be somebody else's by now. Idempotent.
   */
  killSession(): void {
    if (this.#pidfd === null) return;
    native.sendSignal(this.#pidfd, constants.signals.SIGKILL, 'group');
    closeSync(this.#pidfd);
    this.#pidfd = null;
  }
}
