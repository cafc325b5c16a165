// departure.ts: waits for the end of a postmaster that is not our child: its process is gone and
// its lock file with it.
//
// The lock file's removal is its last visible act, and the kernel tells us of that. Nothing tells
// us of the end of a process that is not our child, short of a pidfd, which Node cannot open; so
// it is looked at as well, ten times a second and only while somebody waits here.

import { type FSWatcher, watch } from 'node:fs';
import {
  findLivePostmaster,
  LOCK_FILE_NAME,
  type LockFileContent,
  readLockFile,
} from '../data-directory/lock-file.ts';
import { isGone, readProcess } from '../data-directory/process.ts';

/**
 * 'left its lock file': killed, or without a handler for the signal; 'lives on': an application
 * that has ended its postmaster, not itself.
 */
export type Departure = 'gone' | 'left its lock file' | 'lives on' | 'still there';

const LOOK_MS = 100;

/** How long after the lock file's removal the process may still be leaving. */
const LEAVE_MS = 2_000;

export function departureOf(
  postmaster: LockFileContent,
  dataDirectory: string,
  timeoutMs: number,
): Promise<Departure> {
  const isAlive = sameProcess(postmaster.pid);
  let releasedAt: number | null = null;

  const look = (): Departure | null => {
    if (!isAlive()) {
      return names(readLockFile(dataDirectory), postmaster) ? 'left its lock file' : 'gone';
    }
    if (names(findLivePostmaster(dataDirectory), postmaster)) return null;
    releasedAt ??= performance.now();
    return performance.now() - releasedAt > LEAVE_MS ? 'lives on' : null;
  };

  return new Promise((resolve, reject) => {
    const turn = () => {
      try {
        const outcome = look();
        if (outcome !== null) end(() => resolve(outcome));
      } catch (error) {
        end(() => reject(error)); // the data directory itself has become unreadable
      }
    };
    const watcher = watchLockFile(dataDirectory, turn);
    const looks = setInterval(turn, LOOK_MS);
    const patience = setTimeout(() => end(() => resolve('still there')), timeoutMs);
    const end = (settle: () => void) => {
      watcher?.close();
      clearInterval(looks);
      clearTimeout(patience);
      settle();
    };
  });
}

function sameProcess(pid: number): () => boolean {
  const born = readProcess(pid)?.startTicks;
  return () => {
    const facts = readProcess(pid);
    return !isGone(facts) && facts?.startTicks === born;
  };
}

function names(content: LockFileContent | null, postmaster: LockFileContent): boolean {
  return content?.pid === postmaster.pid && content.owner === postmaster.owner;
}

/** null: no watch to be had (too many, a strange file system); the looks are enough then. */
function watchLockFile(dataDirectory: string, changed: () => void): FSWatcher | null {
  try {
    const watcher = watch(dataDirectory, (_event, name) => {
      if (name === LOCK_FILE_NAME) changed();
    });
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
