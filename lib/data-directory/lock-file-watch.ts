// lock-file-watch.ts: the lock file while its postmaster runs: line 8 follows the phase, and each
// minute it is looked at again, because without it another postmaster may start in the directory.

import { dirname } from 'node:path';
import type { ListenAddress } from '../model/listening.ts';
import type { Phase } from '../model/phase.ts';
import { LockFile, type LockFileCheck, type LockFileStatus } from './lock-file.ts';

/** How often postmaster.pid is looked at again (ServerLoop: once a minute), in milliseconds. */
const RECHECK_MS = 60_000;

export class LockFileWatch {
  readonly #file: LockFile;
  readonly #recheck: NodeJS.Timeout;

  /**
   * Takes the lock of this (existing) data directory, or throws. `onLost` is called at each look
   * that finds it gone or another's.
   */
  constructor(
    dataDirectory: string,
    onLost: (path: string, found: Exclude<LockFileCheck, 'mine'>) => void,
  ) {
    const file = LockFile.create(dataDirectory);
    this.#file = file;
    this.#recheck = setInterval(() => {
      const found = file.recheck();
      if (found !== 'mine') onLost(file.path, found);
    }, RECHECK_MS);
    this.#recheck.unref();
  }

  entered(phase: Phase): void {
    const status = STATUS_IN[phase];
    if (status !== null) this.#file.setStatus(status);
  }

  /** Lines 4 to 6, for who looks for it: the first port, socket directory and address. */
  listening(addresses: readonly ListenAddress[]): void {
    const file = addresses.find((one) => 'path' in one);
    const inet = addresses.find((one) => 'host' in one);
    this.#file.setAddress({
      port: inet?.port ?? null,
      socketDirectory: file === undefined ? null : dirname(file.path),
      listenAddress: inet?.host ?? null,
    });
  }

  /** Gives the lock back: the file is removed if it is still ours. */
  end(): void {
    clearInterval(this.#recheck);
    this.#file.remove();
  }
}

/** Line 8 of the lock file in each phase; null: as before. */
const STATUS_IN: Readonly<Record<Phase, LockFileStatus | null>> = {
  INIT: 'starting',
  STARTUP: 'starting',
  RECOVERY: 'starting',
  HOT_STANDBY: 'standby',
  RUN: 'ready',
  STOP_BACKENDS: 'stopping',
  WAIT_BACKENDS: null,
  WAIT_XLOG_SHUTDOWN: 'stopping',
  NO_CHILDREN: 'stopping',
};
