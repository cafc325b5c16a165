// lock-file.ts: postmaster.pid, which keeps two postmasters out of one data directory.
//
// The rules are those of PostgreSQL's CreateLockFile (miscinit.c), and so are lines 1 to 8: process
// id, data directory, start time in seconds, port, socket directory, listen address, shared memory
// key (always empty here), status. What differs, and why:
//
// - A stale file is succeeded and not removed, see exclusive-file.ts.
// - Line 9 names the owner exactly (boot, start time in clock ticks) and this file (a nonce). A
//   live pid whose process is not the one named there is a recycled pid, so the file is stale. The
//   start time of line 3 cannot decide this: set the clock, and a live owner seems to have started
//   later than it did.
// - PostgreSQL does not believe a file that names its own process, its parent or its grandparent:
//   after a reboot that is a coincidence. With line 9 we know whether it is. So an application
//   that holds the directory refuses its own second postmaster and a `bgworker start` that it runs.
//   For a file without line 9, PostgreSQL's rule stands.
// - A dead process that nobody has waited for (a zombie) is dead, though kill(pid, 0) finds it.

import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { BgworkerError } from '../errors.ts';
import {
  MAX_TRIES,
  readIfThere,
  replaceWhole,
  sweepBeside,
  takeExclusively,
  unlinkIfThere,
} from './exclusive-file.ts';
import { messages, reasonOf } from './messages.ts';
import { isGone, processIdentity, readProcess } from './process.ts';

export const LOCK_FILE_NAME = 'postmaster.pid';

export type LockFileStatus = 'starting' | 'ready' | 'standby' | 'stopping';

/** Where the postmaster can be reached; null is an empty line. */
export interface LockFileAddress {
  readonly port: number | null;
  readonly socketDirectory: string | null;
  readonly listenAddress: string | null;
}

export interface LockFileContent extends LockFileAddress {
  readonly pid: number;
  readonly dataDirectory: string;
  readonly startTimeSeconds: number;
  /** null: a file so young, or so old, that it has no such line. */
  readonly status: LockFileStatus | null;
  /** Line 9: the process behind the pid, then a nonce. null: PostgreSQL's own file has none. */
  readonly owner: string | null;
}

/** Whose the file is that stands there now. */
export type LockFileCheck = 'mine' | 'missing' | 'foreign';

export class LockFile {
  readonly path: string;
  #content: LockFileContent & { readonly status: LockFileStatus };

  /** Takes the lock of this (existing) data directory, with status 'starting', or throws. */
  static create(dataDirectory: string, address: Partial<LockFileAddress> = {}): LockFile {
    return new LockFile(dataDirectory, address);
  }

  private constructor(dataDirectory: string, address: Partial<LockFileAddress>) {
    this.path = join(dataDirectory, LOCK_FILE_NAME);
    this.#content = {
      port: null,
      socketDirectory: null,
      listenAddress: null,
      ...address,
      pid: process.pid,
      dataDirectory,
      startTimeSeconds: Math.floor(Date.now() / 1000),
      status: 'starting',
      owner: `${processIdentity(process.pid) ?? '-'} ${randomBytes(6).toString('hex')}`,
    };
    const file = {
      path: this.path,
      content: formatLockFile(this.#content),
      refuseIfHeld: (found: string) => refuseIfHeld(this.path, dataDirectory, found),
    };
    const taken = call('create', this.path, () => takeExclusively(file));
    if (!taken) throw failure(messages.lockFileTries(this.path, MAX_TRIES));
    call('create', this.path, () => sweepBeside(this.path, (text) => heldBy(text) !== null));
  }

  get content(): LockFileContent {
    return this.#content;
  }

  /**
   * Rewrites line 8 in place: one write of eight bytes, as every status is padded to eight, so that
   * a reader sees the old one or the new one. Does nothing if the file is not ours any more.
   */
  setStatus(status: LockFileStatus): LockFileCheck {
    const check = this.recheck();
    if (check !== 'mine') return check;
    this.#content = { ...this.#content, status };
    call('write', this.path, () => {
      const descriptor = openSync(this.path, 'r+');
      try {
        writeSync(descriptor, padded(status), statusOffset(this.#content));
      } finally {
        closeSync(descriptor);
      }
    });
    return 'mine';
  }

  /** Rewrites lines 4 to 6. Their length changes, so a whole new file takes the place of the old. */
  setAddress(address: Partial<LockFileAddress>): LockFileCheck {
    const check = this.recheck();
    if (check !== 'mine') return check;
    this.#content = { ...this.#content, ...address };
    call('write', this.path, () => replaceWhole(this.path, formatLockFile(this.#content)));
    return 'mine';
  }

  /** An error other than "not there" says nothing about the owner, and counts as 'mine'. */
  recheck(): LockFileCheck {
    let text: string | null;
    try {
      text = readIfThere(this.path);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ENOTDIR' ? 'missing' : 'mine';
    }
    if (text === null) return 'missing';
    const found = parseLockFile(text);
    return found?.pid === this.#content.pid && found.owner === this.#content.owner
      ? 'mine'
      : 'foreign';
  }

  /** Removes the file if it is still ours, and says what it was. */
  remove(): LockFileCheck {
    const check = this.recheck();
    if (check === 'mine') call('remove', this.path, () => unlinkIfThere(this.path));
    return check;
  }

  [Symbol.dispose](): void {
    this.remove();
  }
}

/** The lock file of this directory as it stands there; null if there is none or it is no lock file. */
export function readLockFile(dataDirectory: string): LockFileContent | null {
  const path = join(dataDirectory, LOCK_FILE_NAME);
  const text = call('read', path, () => readIfThere(path));
  return text === null ? null : parseLockFile(text);
}

/** The same, if the postmaster that it names is alive: what `bgworker status` and `stop` ask. */
export function findLivePostmaster(dataDirectory: string): LockFileContent | null {
  const content = readLockFile(dataDirectory);
  return content !== null && isHeld(content) ? content : null;
}

export function formatLockFile(content: LockFileContent): string {
  return `${[...linesBeforeStatus(content), padded(content.status ?? ''), content.owner ?? ''].join('\n')}\n`;
}

/** null: the first line is no process id. */
export function parseLockFile(text: string): LockFileContent | null {
  const lines = text.split('\n');
  const line = (number: number) => lines[number - 1]?.trim() || null;
  const pid = line(1);
  if (pid === null || !/^-?[1-9]\d*$/.test(pid)) return null;
  const port = line(4);
  return {
    pid: Math.abs(Number(pid)), // negative: a standalone backend
    dataDirectory: lines[1] ?? '',
    startTimeSeconds: Number(line(3) ?? 0),
    port: port === null ? null : Number(port),
    socketDirectory: lines[4] || null,
    listenAddress: line(6),
    status: STATUSES.find((status) => status === line(8)) ?? null,
    owner: line(9),
  };
}

const STATUSES: readonly LockFileStatus[] = ['starting', 'ready', 'standby', 'stopping'];

function linesBeforeStatus(content: LockFileContent): string[] {
  return [
    String(content.pid),
    content.dataDirectory,
    String(content.startTimeSeconds),
    content.port === null ? '' : String(content.port),
    content.socketDirectory ?? '',
    content.listenAddress ?? '',
    '', // the shared memory key: ours has no name that could outlive us
  ];
}

function statusOffset(content: LockFileContent): number {
  return Buffer.byteLength(`${linesBeforeStatus(content).join('\n')}\n`);
}

function padded(status: string): string {
  return status.padEnd('stopping'.length);
}

function refuseIfHeld(path: string, dataDirectory: string, text: string): void {
  if (text === '') throw failure(messages.lockFileEmpty(path));
  const content = parseLockFile(text);
  if (content === null) {
    throw failure(messages.lockFileBogus(path, text.split('\n', 1)[0] ?? ''));
  }
  if (!isHeld(content)) return;
  throw failure(
    content.pid === process.pid
      ? messages.lockFileMine(path, dataDirectory)
      : messages.lockFileExists(path, content.pid, dataDirectory),
  );
}

/** The living postmaster that a lock file's text names; null: there is none. */
export function heldBy(text: string): LockFileContent | null {
  const content = parseLockFile(text);
  return content !== null && isHeld(content) ? content : null;
}

/** Is the process that this file names alive, and really that one? */
function isHeld(content: LockFileContent): boolean {
  try {
    process.kill(content.pid, 0);
  } catch {
    return false; // ESRCH; or EPERM, and then it is not ours, but the directory is
  }
  const facts = readProcess(content.pid);
  if (facts !== null && isGone(facts)) return false;
  const named = content.owner?.split(' ', 1)[0];
  const actual = processIdentity(content.pid);
  if (named !== undefined && named !== '-' && actual !== null) return named === actual;
  return !isMyselfOrMyElders(content.pid);
}

function isMyselfOrMyElders(pid: number): boolean {
  const grandparent = readProcess(process.ppid)?.parentPid;
  return pid === process.pid || pid === process.ppid || pid === grandparent;
}

/** Puts what the system refuses into our words; what is in our words already passes through. */
function call<T>(what: string, path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof BgworkerError) throw error;
    throw failure(messages.lockFileCall(what, path, reasonOf(error)), error);
  }
}

function failure(message: string, cause?: unknown): BgworkerError {
  return new BgworkerError('ERR_LOCK_FILE', message, cause === undefined ? undefined : { cause });
}
