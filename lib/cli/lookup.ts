// lookup.ts: whose a data directory is at this moment, for the commands that speak to a postmaster
// that runs already.

import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  findLivePostmaster,
  LOCK_FILE_NAME,
  type LockFileContent,
  readLockFile,
} from '../data-directory/lock-file.ts';
import { EXIT, type ExitStatus, type Settings } from './command.ts';
import * as messages from './messages.ts';
import type { Output } from './output.ts';

export type Lookup =
  | { readonly kind: 'running'; readonly postmaster: LockFileContent }
  /** There is a lock file, and its postmaster is dead. */
  | { readonly kind: 'stale'; readonly pid: number }
  | { readonly kind: 'none' }
  | { readonly kind: 'invalid' }
  | { readonly kind: 'inaccessible'; readonly sentence: string };

export function lookUp(dataDirectory: string): Lookup {
  try {
    statSync(`${dataDirectory}/.`); // ENOTDIR, if it is a file
    accessSync(dataDirectory, constants.R_OK | constants.X_OK);
  } catch (error) {
    return { kind: 'inaccessible', sentence: trouble(dataDirectory, error) };
  }
  try {
    const postmaster = findLivePostmaster(dataDirectory);
    return postmaster === null ? lookAtDead(dataDirectory) : { kind: 'running', postmaster };
  } catch (error) {
    return { kind: 'inaccessible', sentence: (error as Error).message };
  }
}

function trouble(dataDirectory: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ENOENT'
    ? messages.directoryMissing(dataDirectory)
    : messages.directoryInaccessible(dataDirectory, message);
}

function lookAtDead(dataDirectory: string): Lookup {
  const content = readLockFile(dataDirectory);
  if (content !== null) return { kind: 'stale', pid: content.pid };
  return { kind: existsSync(join(dataDirectory, LOCK_FILE_NAME)) ? 'invalid' : 'none' };
}

/** Absolute, and checked by parseArguments() to be there. */
export function dataDirectoryOf({ dataDirectory }: Settings): string {
  return resolve(dataDirectory ?? '.');
}

/** For stop and reload: the running postmaster, or null after having said why there is none. */
export function requirePostmaster(dataDirectory: string, output: Output): LockFileContent | null {
  const found = lookUp(dataDirectory);
  const file = join(dataDirectory, LOCK_FILE_NAME);
  switch (found.kind) {
    case 'running':
      return found.postmaster;
    case 'none':
      output.complain(messages.lockFileMissing(file));
      output.advise(messages.isPostmasterRunning);
      return null;
    case 'stale':
      output.complain(messages.seemsToBeGone(found.pid));
      output.advise(messages.isPostmasterRunning);
      return null;
    case 'invalid':
      output.complain(messages.lockFileInvalid(file));
      return null;
    case 'inaccessible':
      output.complain(found.sentence);
      return null;
  }
}

/** For what is asked over the control socket: 'ok', or why it cannot be, after having said so. */
export function requireRunning(dataDirectory: string, output: Output): ExitStatus {
  const found = lookUp(dataDirectory);
  if (found.kind === 'running') return EXIT.ok;
  if (found.kind === 'inaccessible') {
    output.complain(found.sentence);
    return EXIT.noDataDirectory;
  }
  requirePostmaster(dataDirectory, output);
  return found.kind === 'invalid' ? EXIT.failed : EXIT.notRunning;
}

/** false, after having said so: the signal did not get there. */
export function sendSignal(
  what: 'stop' | 'reload',
  { pid }: LockFileContent,
  signal: NodeJS.Signals,
  output: Output,
): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    output.complain(messages.signalFailed(what, pid, (error as Error).message));
    return false;
  }
}
