// initialize.ts: the server's own data directory, made by initdb at the first start.
//
// It appears whole or not at all: initdb works in a sibling with a name of its own, which is
// renamed at the end. What an interrupted one left is removed by the next. The caller holds the
// lock file of the directory around it, so there is no second one at work.

import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
} from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BgworkerError } from '../../errors.ts';
import { describeIdentity, type ServerIdentity } from './identity.ts';
import { type ServerBinaries, serverEnvironment } from './locate.ts';
import { messages } from './messages.ts';
import { firstUnreachable, letEnter } from './reach.ts';
import { type RunResult, run } from './run.ts';

export interface InitializeOptions {
  /** Absolute, without symbolic links; its parent exists. */
  readonly pgdata: string;
  readonly binaries: ServerBinaries;
  readonly identity: ServerIdentity;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
}

const INITDB_OPTIONS = [
  '--no-locale',
  '--encoding=UTF8',
  '--auth=trust', // the socket directory is what keeps others out
  '--username=postgres',
  '--wal-segsize=1', // 31 MB on disk, not 47
  '--no-sync', // a second, faster pass does it, see initialize()
];

/** The content of PG_VERSION; null: there is no such directory yet. */
export function readClusterMajor(pgdata: string): string | null {
  if (!existsSync(pgdata)) return null;
  const file = join(pgdata, 'PG_VERSION');
  if (!existsSync(file)) throw failure('ERR_DATA_DIRECTORY', messages.notACluster(pgdata));
  return attempt('read', file, () => readFileSync(file, 'utf8').trim());
}

/** The owner of the server's data; null: there is none yet. */
export function readClusterOwner(
  pgdata: string,
): { path: string; uid: number; gid: number } | null {
  const status = statSync(pgdata, { throwIfNoEntry: false });
  return status ? { path: pgdata, uid: status.uid, gid: status.gid } : null;
}

/** true: it was made now; false: it was there, and fits the binaries. */
export async function initialize(options: InitializeOptions): Promise<boolean> {
  const { pgdata, binaries, identity, signal } = options;
  signal?.throwIfAborted();
  makeReachable(dirname(pgdata), identity);
  await removeLeftovers(pgdata);
  const major = readClusterMajor(pgdata);
  if (major !== null) {
    if (major === binaries.major) return false;
    const { version, directory } = binaries;
    const sentence = messages.versionMismatch(pgdata, major, version, directory);
    throw failure('ERR_SERVER_BINARIES', sentence);
  }
  const making = `${pgdata}.initializing-${process.pid}`;
  try {
    attempt('make', making, () => makeOwned(making, identity));
    await initdb(options, ['-D', making, ...INITDB_OPTIONS]);
    // The server promises durability from its first commit, and this is what it builds on. Much
    // of it was written back meanwhile: 80 ms here.
    await initdb(options, ['-D', making, '--sync-only']);
    attempt('rename', making, () => renameSync(making, pgdata));
    return true;
  } catch (error) {
    await remove(making);
    throw error;
  }
}

/**
 * Lets the server's user through our own data directory if that is all it takes; throws the error
 * that names the directory in the way otherwise.
 */
function makeReachable(directory: string, identity: ServerIdentity): void {
  const check = () => attempt('look at', directory, () => firstUnreachable(directory, identity));
  let blocked = check();
  if (blocked === directory && letEnter(directory, identity)) blocked = check();
  if (blocked === null) return;
  const sentence = messages.unreachable(directory, blocked, describeIdentity(identity));
  throw failure('ERR_DATA_DIRECTORY', sentence);
}

async function removeLeftovers(pgdata: string): Promise<void> {
  const prefix = `${basename(pgdata)}.initializing-`;
  for (const name of attempt('read', dirname(pgdata), () => readdirSync(dirname(pgdata)))) {
    if (name.startsWith(prefix)) await remove(join(dirname(pgdata), name));
  }
}

async function remove(directory: string): Promise<void> {
  // Retried, because the initdb of a supervisor killed this very moment may still be writing.
  await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
}

function makeOwned(directory: string, identity: ServerIdentity): void {
  mkdirSync(directory, { mode: 0o700 });
  chmodSync(directory, 0o700); // whatever the umask was
  if (identity.switches) chownSync(directory, identity.uid, identity.gid);
}

async function initdb(
  { binaries, identity, env, signal }: InitializeOptions,
  args: readonly string[],
): Promise<void> {
  const result = await run(binaries.initdb, args, {
    identity,
    env: serverEnvironment(env ?? process.env, binaries.origin),
    signal,
  });
  if (result.kind === 'ended' && result.ok) return;
  throw failure('ERR_SERVER_FAILED', describeFailure(result));
}

function describeFailure(result: RunResult): string {
  switch (result.kind) {
    case 'not started':
      return messages.initdbFailed('could not be started', result.reason);
    case 'ended':
      return messages.initdbFailed(result.how, result.errors || result.output);
  }
}

function attempt<T>(what: string, path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw failure('ERR_DATA_DIRECTORY', messages.filesystem(what, path, reason), error);
  }
}

function failure(
  code: 'ERR_DATA_DIRECTORY' | 'ERR_SERVER_BINARIES' | 'ERR_SERVER_FAILED',
  message: string,
  cause?: unknown,
): BgworkerError {
  return new BgworkerError(code, message, cause === undefined ? undefined : { cause });
}
