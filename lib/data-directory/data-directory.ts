// data-directory.ts: the one directory that a postmaster owns. Made with mode 0700 if it is not
// there; else held to PostgreSQL's rules (checkDataDir): a directory, ours, nothing for others and
// no writing for the group. As initdb does, an empty directory of ours is put right, not refused.
//
// It takes no lock; LockFile.create() comes next. Two processes may open it at the same moment.

import {
  accessSync,
  chmodSync,
  constants,
  mkdirSync,
  readdirSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { BgworkerError } from '../errors.ts';
import { messages, reasonOf } from './messages.ts';

export interface DataDirectory {
  /** Absolute, with symbolic links resolved: one directory has one name. */
  readonly path: string;
  /** true: it was not there before. */
  readonly created: boolean;
}

/** The rights that nobody but the owner may have: S_IWGRP | S_IRWXO. */
const FORBIDDEN_MODE = 0o027;

export function openDataDirectory(path: string): DataDirectory {
  // The path is a line of the lock file, and a NUL ends it for the system.
  if (path === '' || /[\n\r\0]/.test(path)) throw failure(messages.notAPath(path));
  const wanted = resolve(path);
  const created = make(wanted);
  const real = look(wanted, () => realpathSync(wanted));
  if (!created) check(real);
  return { path: real, created };
}

/** May this directory, with this owner and mode, be ours? A pure rule, for tables. */
export function judge(
  status: { readonly isDirectory: boolean; readonly uid: number; readonly mode: number },
  me: number,
): 'fine' | 'not a directory' | 'wrong owner' | 'wrong mode' {
  if (!status.isDirectory) return 'not a directory';
  if (status.uid !== me) return 'wrong owner';
  return (status.mode & FORBIDDEN_MODE) === 0 ? 'fine' : 'wrong mode';
}

/** Not mkdir's own recursive form, which on Node 20 never ends below /proc. */
function makeParents(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    makeParents(dirname(path));
    mkdirSync(path);
  }
}

function make(path: string): boolean {
  try {
    makeParents(dirname(path));
    mkdirSync(path, { mode: 0o700 });
    return true;
  } catch (error) {
    // EEXIST also from a parent that is a file; the check that follows names what is wrong.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw failure(messages.cannotCreate(path, reasonOf(error)), error);
  }
}

function check(path: string): void {
  const status = look(path, () => statSync(path));
  const me = process.geteuid?.() ?? 0;
  const facts = { isDirectory: status.isDirectory(), uid: status.uid, mode: status.mode };
  const verdict = judge(facts, me);
  switch (verdict) {
    case 'not a directory':
      throw failure(messages.notADirectory(path));
    case 'wrong owner':
      throw failure(messages.wrongOwner(path, status.uid, me));
    case 'wrong mode':
      if (look(path, () => readdirSync(path)).length > 0) {
        throw failure(messages.wrongMode(path, status.mode));
      }
      look(path, () => chmodSync(path, 0o700));
      break;
    case 'fine':
      break;
    default:
      verdict satisfies never;
  }
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw failure(messages.notWritable(path, reasonOf(error)), error);
  }
}

function look<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const missingPart = (error as NodeJS.ErrnoException).code === 'ENOTDIR';
    const sentence = missingPart
      ? messages.notADirectory(path)
      : messages.cannotLook(path, reasonOf(error));
    throw failure(sentence, error);
  }
}

function failure(message: string, cause?: unknown): BgworkerError {
  const options = cause === undefined ? undefined : { cause };
  return new BgworkerError('ERR_DATA_DIRECTORY', message, options);
}
