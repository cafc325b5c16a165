// exclusive-file.ts: create a file that only one process can hold, or replace a dead owner's.
//
// PostgreSQL removes a stale lock file and creates it anew. Between two starts this loses: both
// read the stale file, the first removes it and creates its own, the second removes *that*, and
// both believe they own it. PostgreSQL survives this by its shared memory key; we have no such
// second line of defence, so here a stale file is never removed, only succeeded:
//
//   1. The right to succeed file F with content C is itself an exclusive file, named after F and
//      a hash of C. Only one process can hold it.
//   2. Its holder looks at F once more. As long as F still holds C, nobody else can change it:
//      the owner is dead, and every other successor needs the right that we hold.
//   3. rename(right, F) replaces F and gives up the right in one step.
//
// A successor that dies between 1 and 3 leaves its right behind, as a stale exclusive file; it is
// succeeded by the same rule, one level down. No step waits, and none relies on a clock.
//
// Content appears whole: it is written elsewhere and linked into place. Where a file system knows
// no hard links, O_EXCL does it, and then a reader may see the file empty for a moment.

import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** PostgreSQL's number. Each try but the last met another process that came or went. */
export const MAX_TRIES = 100;

export interface ExclusiveFile {
  readonly path: string;
  readonly content: string;
  /** Returns if the content is that of a dead owner; throws the error for the user if not. */
  readonly refuseIfHeld: (content: string) => void;
}

/** false: MAX_TRIES were not enough. Throws what refuseIfHeld() throws, or a system error. */
export function takeExclusively(file: ExclusiveFile): boolean {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    if (createWhole(file.path, file.content)) return true;
    const found = readIfThere(file.path);
    if (found === null) continue; // its owner removed it meanwhile
    file.refuseIfHeld(found);
    const right = `${file.path}.${createHash('sha256').update(found).digest('hex').slice(0, 16)}`;
    if (!takeExclusively({ ...file, path: right })) return false;
    if (readIfThere(file.path) === found) {
      renameSync(right, file.path);
      return true;
    }
    unlinkIfThere(right);
  }
  return false;
}

/**
 * Removes what dead processes left beside a file that the caller holds. Rights to succeed an older
 * content are worthless now, and a live process that still writes one finds that out by itself.
 */
export function sweepBeside(path: string, isHeld: (content: string) => boolean): void {
  for (const name of readdirSync(dirname(path))) {
    if (!name.startsWith(`${basename(path)}.`)) continue;
    const leftover = join(dirname(path), name);
    const content = readIfThere(leftover);
    if (content !== null && !isHeld(content)) unlinkIfThere(leftover);
  }
}

/** Replaces the file by a whole new one; for its owner only. */
export function replaceWhole(path: string, content: string): void {
  const written = writeBeside(path, content);
  try {
    renameSync(written, path);
  } catch (error) {
    unlinkIfThere(written);
    throw error;
  }
}

export function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

export function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
}

function createWhole(path: string, content: string): boolean {
  const written = writeBeside(path, content);
  try {
    linkSync(written, path);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    // Swept away by the owner of the file, who took it for a dead process's: there is an owner.
    if (hasCode(error, 'ENOENT')) return false;
    if (hasCode(error, 'EPERM', 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS')) {
      return createInPlace(path, content);
    }
    throw error;
  } finally {
    unlinkIfThere(written);
  }
}

function createInPlace(path: string, content: string): boolean {
  try {
    write(path, content);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

function writeBeside(path: string, content: string): string {
  const beside = `${path}.new-${process.pid}-${randomBytes(4).toString('hex')}`;
  write(beside, content);
  return beside;
}

function write(path: string, content: string): void {
  const descriptor = openSync(path, 'wx', 0o600);
  try {
    writeSync(descriptor, content);
    fsyncSync(descriptor); // or a power cut leaves an empty lock file, which refuses every start
  } catch (error) {
    unlinkIfThere(path);
    throw error;
  } finally {
    closeSync(descriptor);
  }
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? '');
}
