// socket-directory.ts: the private directory of the server's Unix socket. Mode 0700 and owned by
// the server's user, so that user and root get in and nobody else: authentication is `trust`, and
// this directory is what guards it.
//
// Beside the data if the path is short enough for a socket (107 bytes); else in the system's
// temporary directory, under a name that follows from the data directory, so that a start after a
// SIGKILL finds it again.

import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  unlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { BgworkerError } from '../../errors.ts';
import { describeIdentity, type ServerIdentity } from './identity.ts';
import { messages } from './messages.ts';
import { firstUnreachableReal } from './reach.ts';

/** sizeof(sockaddr_un.sun_path) less the final NUL. */
const MAX_SOCKET_PATH_BYTES = 107;

/** The places in question, best first. Pure; `dataDirectory` is a real path. */
export function socketDirectoryCandidates(
  dataDirectory: string,
  port: number,
  temporaryDirectories: readonly string[],
): string[] {
  const hash = createHash('sha256').update(dataDirectory).digest('hex').slice(0, 16);
  const places = [
    join(dataDirectory, 'socket'),
    ...temporaryDirectories.map((directory) => join(directory, `bgworker-${hash}`)),
  ];
  return [...new Set(places)].filter(
    (place) =>
      Buffer.byteLength(join(place, `.s.PGSQL.${port}`)) <= MAX_SOCKET_PATH_BYTES &&
      !place.includes(','), // libpq takes a comma in `host` for a list, and knows no escape
  );
}

/** Makes it, or takes the one of an earlier start. */
export function makeSocketDirectory(
  dataDirectory: string,
  port: number,
  identity: ServerIdentity,
): string {
  const temporary = [tmpdir(), '/tmp'];
  const candidates = socketDirectoryCandidates(dataDirectory, port, temporary);
  const directory = candidates.find((place) => isReachable(dirname(place), identity));
  if (directory === undefined) {
    const sentence = messages.noSocketDirectory(
      [join(dataDirectory, 'socket'), ...temporary],
      describeIdentity(identity),
    );
    throw new BgworkerError('ERR_DATA_DIRECTORY', sentence);
  }
  try {
    takeDirectory(directory, identity);
  } catch (error) {
    if (error instanceof BgworkerError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    const sentence = messages.filesystem('make', directory, reason);
    throw new BgworkerError('ERR_DATA_DIRECTORY', sentence, { cause: error });
  }
  return directory;
}

/**
 * After the server has ended: removes the directory, and a socket that a killed server left in it.
 * Anything else in there is not ours; then the directory stays, and the answer is false.
 */
export function removeSocketDirectory(directory: string): boolean {
  try {
    for (const name of readdirSync(directory)) {
      if (/^\.s\.PGSQL\.\d+(\.lock)?$/.test(name)) unlinkSync(join(directory, name));
    }
    rmdirSync(directory);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return true;
    if (code === 'ENOTEMPTY') return false;
    const sentence = messages.filesystem('remove', directory, (error as Error).message);
    throw new BgworkerError('ERR_DATA_DIRECTORY', sentence, { cause: error });
  }
}

function takeDirectory(directory: string, identity: ServerIdentity): void {
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  // lstat: in a directory that all can write to, a link could lead anywhere. Ours and the
  // server's are the only owners; ours, if a start ended between mkdir and chown.
  const status = lstatSync(directory);
  if (!status.isDirectory()) {
    throw new BgworkerError(
      'ERR_DATA_DIRECTORY',
      messages.notASocketDirectory(directory, status.mode),
    );
  }
  if (status.uid !== identity.uid && status.uid !== process.geteuid?.()) {
    throw new BgworkerError(
      'ERR_DATA_DIRECTORY',
      messages.foreignSocketDirectory(directory, status.uid),
    );
  }
  if ((status.mode & 0o777) !== 0o700) chmodSync(directory, 0o700);
  if (status.uid !== identity.uid) chownSync(directory, identity.uid, identity.gid);
}

function isReachable(directory: string, identity: ServerIdentity): boolean {
  try {
    return firstUnreachableReal(directory, identity) === null;
  } catch {
    return false; // TMPDIR may name what is not there
  }
}
