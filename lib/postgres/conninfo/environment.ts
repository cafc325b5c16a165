// environment.ts: all that resolving a connection string may look at outside of it.
//
// The core takes it as a parameter, so a test invents one. Nothing in this folder but
// processEnvironment() touches the process or the disk.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';

export type FileLook =
  | { readonly kind: 'file'; readonly text: string; readonly mode: number; readonly uid: number }
  | { readonly kind: 'not a plain file' }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unreadable'; readonly cause: unknown };

export interface ConninfoEnvironment {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Never throws: what cannot be read is a kind of answer. */
  readonly readFile: (path: string) => FileLook;
  /** The operating system's name for the user, or null if it has none for this user id. */
  readonly userName: string | null;
  /** Where ~/.pgpass, ~/.pg_service.conf and ~/.postgresql/ are. */
  readonly homeDirectory: string | null;
  /** Where a server on this machine has its socket: the host when none is given. */
  readonly socketDirectory: string;
  /** Where pg_service.conf for the whole machine is, unless PGSYSCONFDIR says otherwise. */
  readonly systemDirectory: string;
  readonly warn: (sentence: string) => void;
}

/** This process's. Warnings become process warnings. */
export function processEnvironment(
  env: Readonly<Record<string, string | undefined>> = process.env,
): ConninfoEnvironment {
  const user = lookUpUser();
  return {
    env,
    readFile,
    userName: user?.username ?? null,
    // HOME first, as libpq and the shell do; an empty one counts as none.
    homeDirectory: env.HOME || user?.homedir || homedir() || null,
    socketDirectory: localSocketDirectory(),
    systemDirectory: '/etc/postgresql-common',
    warn: (sentence) => process.emitWarning(sentence, 'BgworkerWarning'),
  };
}

/**
 * libpq has it compiled in, and the packagers differ: Debian's and Red Hat's say
 * /var/run/postgresql, PostgreSQL's own makefile says /tmp. The directory of the former exists
 * exactly where such a package is installed.
 */
function localSocketDirectory(): string {
  return existsSync('/var/run/postgresql') ? '/var/run/postgresql' : '/tmp';
}

function lookUpUser(): { username: string; homedir: string } | null {
  try {
    return userInfo();
  } catch {
    // A container often runs under a user id that /etc/passwd does not know. That is a state of
    // the world, not a failure: the resolver says what to do if the name turns out to be needed.
    return null;
  }
}

function readFile(path: string): FileLook {
  try {
    const status = statSync(path);
    if (!status.isFile()) return { kind: 'not a plain file' };
    const text = readFileSync(path, 'utf8');
    return { kind: 'file', text, mode: status.mode & 0o777, uid: status.uid };
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    return code === 'ENOENT' || code === 'ENOTDIR'
      ? { kind: 'missing' }
      : { kind: 'unreadable', cause };
  }
}
