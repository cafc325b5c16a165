// socket-lock.ts: the lock file beside a socket file, as PostgreSQL's CreateSocketLockFile makes it.
//
// Same form and same rules as postmaster.pid (lock-file.ts): whoever it names has the right to the
// socket's path, as long as that process lives. It holds no status and is written once.

import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { BgworkerError } from '../errors.ts';
import {
  MAX_TRIES,
  readIfThere,
  sweepBeside,
  takeExclusively,
  unlinkIfThere,
} from './exclusive-file.ts';
import { formatLockFile, heldBy, parseLockFile } from './lock-file.ts';
import { messages } from './messages.ts';
import { processIdentity } from './process.ts';

export class SocketLock {
  readonly #path: string;
  readonly #content: string;

  /** @throws BgworkerError ERR_LOCK_FILE if a living postmaster has it; what the system says */
  static take(socketPath: string, dataDirectory: string): SocketLock {
    const path = `${socketPath}.lock`;
    const content = formatLockFile({
      pid: process.pid,
      dataDirectory,
      startTimeSeconds: Math.floor(Date.now() / 1000),
      port: null,
      socketDirectory: dirname(socketPath),
      listenAddress: null,
      status: null,
      owner: `${processIdentity(process.pid) ?? '-'} ${randomBytes(6).toString('hex')}`,
    });
    const refuseIfHeld = (found: string) => refuse(path, socketPath, found);
    if (!takeExclusively({ path, content, refuseIfHeld })) {
      throw failure(messages.lockFileTries(path, MAX_TRIES));
    }
    sweepBeside(path, (text) => heldBy(text) !== null);
    return new SocketLock(path, content);
  }

  private constructor(path: string, content: string) {
    this.#path = path;
    this.#content = content;
  }

  isOurs(): boolean {
    return readIfThere(this.#path) === this.#content;
  }

  /** Removes the file if it is still ours. */
  release(): void {
    if (this.isOurs()) unlinkIfThere(this.#path);
  }
}

function refuse(path: string, socketPath: string, text: string): void {
  if (text === '') throw failure(messages.lockFileEmpty(path));
  if (parseLockFile(text) === null) {
    throw failure(messages.lockFileBogus(path, text.split('\n', 1)[0] ?? ''));
  }
  const holder = heldBy(text);
  if (holder !== null) throw failure(messages.socketLocked(path, socketPath, holder));
}

function failure(message: string): BgworkerError {
  return new BgworkerError('ERR_LOCK_FILE', message);
}
