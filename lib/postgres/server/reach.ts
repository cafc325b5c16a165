// reach.ts: may this user get to that directory? One directory on the way that the user may not
// enter (root's home is 0700) is enough to keep the server out, and its own message would only say
// "Permission denied" about the last one.
//
// Decided by owner, group and mode of each; access control lists are not looked at.

import { chmodSync, chownSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { ServerIdentity } from './identity.ts';

export interface Ownership {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

type User = Pick<ServerIdentity, 'uid' | 'gid'>;

/** The first directory on the way to (and including) this one that the user may not enter. */
export function firstUnreachable(
  directory: string,
  user: User,
  ownershipOf: (path: string) => Ownership = statSync,
): string | null {
  return pathsDownTo(directory).find((path) => !may(user, ownershipOf(path), 0o1)) ?? null;
}

/** As firstUnreachable(), for a path with symbolic links in it. */
export function firstUnreachableReal(directory: string, user: User): string | null {
  return firstUnreachable(realpathSync(directory), user);
}

/** May the user do this (4 read, 2 write, 1 enter or execute) with something that is owned so? */
export function may(user: User, what: Ownership, right: number): boolean {
  if (user.uid === 0) return true;
  const shift = user.uid === what.uid ? 6 : user.gid === what.gid ? 3 : 0;
  return ((what.mode >> shift) & right) === right;
}

/**
 * Lets the user's group enter, but not list, a directory that is otherwise closed to everyone but
 * us (0700 becomes 0710, which PostgreSQL's rule for a data directory allows). Says whether it did;
 * a directory whose group has rights already is somebody's decision and stays as it is.
 */
export function letEnter(directory: string, user: User): boolean {
  const { uid, mode } = statSync(directory);
  if (process.geteuid?.() !== 0 || uid !== 0 || (mode & 0o077) !== 0) return false;
  chownSync(directory, uid, user.gid);
  chmodSync(directory, (mode & 0o700) | 0o010);
  return true;
}

function pathsDownTo(directory: string): string[] {
  const parent = dirname(directory);
  return parent === directory ? [directory] : [...pathsDownTo(parent), directory];
}
