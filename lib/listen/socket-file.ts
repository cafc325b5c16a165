// socket-file.ts: a listener with a name in the file system, and the right to that name.
//
// PostgreSQL's rules: a lock file beside the socket says which postmaster has the name. Who holds
// it replaces the socket file that a killed one has left; one behind which somebody listens all the
// same, or which is no socket, is not ours to replace. At the end both go, the socket only if it is
// still the one that was made.

import { lstatSync, type Stats, unlinkSync } from 'node:fs';
import { SocketLock } from '../data-directory/socket-lock.ts';
import { BgworkerError } from '../errors.ts';
import type { ListenEntry } from '../model/listening.ts';
import { native } from '../native.ts';
import { messages, reasonOf, remedyFor, where } from './messages.ts';

export class SocketFile {
  /** It belongs to whoever made this. */
  readonly descriptor: number;
  readonly #path: string;
  readonly #lock: SocketLock;
  readonly #made: Stats;

  /** @throws BgworkerError ERR_LISTEN_FAILED, ERR_LOCK_FILE; nothing is left then */
  constructor(
    { path, mode, backlog }: Extract<ListenEntry, { kind: 'local' }>,
    dataDirectory: string,
  ) {
    this.#path = path;
    try {
      this.#lock = SocketLock.take(path, dataDirectory);
      try {
        removeStale(path);
        this.descriptor = native.listenLocal(path, mode, backlog);
        this.#made = lstatSync(path);
      } catch (error) {
        this.#lock.release();
        throw error;
      }
    } catch (error) {
      if (error instanceof BgworkerError) throw error;
      const remedy = remedyFor((error as NodeJS.ErrnoException).code);
      const sentence = messages.cannotListen(where({ path }), reasonOf(error), remedy);
      throw new BgworkerError('ERR_LISTEN_FAILED', sentence, { cause: error });
    }
  }

  /** Removes the name. The descriptor is closed before: nobody may connect in between. */
  remove(): void {
    const found = lstatSync(this.#path, { throwIfNoEntry: false });
    const isOurs = found?.ino === this.#made.ino && found.dev === this.#made.dev;
    if (isOurs && this.#lock.isOurs()) unlinkSync(this.#path);
    this.#lock.release();
  }
}

function removeStale(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new BgworkerError('ERR_LISTEN_FAILED', messages.notASocket(path));
  if (native.isSocketFileUsed(path)) {
    throw new BgworkerError('ERR_LISTEN_FAILED', messages.socketFileUsed(path));
  }
  unlinkSync(path);
}
