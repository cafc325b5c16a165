// prepare.ts: the embedded server, made ready to be started. The one door to this folder.
//
//     const server = await prepareServer({ dataDirectory, signal });
//     // exec server.program by the launcher, then
//     await waitForReady(server.pgdata, { pid, signal });
//     // … and after its end
//     removeSocketDirectory(server.socketDirectory);
//
// The caller holds the lock file of the data directory, so nobody else prepares there.

import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { BgworkerError } from '../../errors.ts';
import { chooseIdentity, readPasswd, type ServerIdentity } from './identity.ts';
import { initialize, readClusterMajor, readClusterOwner } from './initialize.ts';
import { locateServer, type ServerBinaries } from './locate.ts';
import { messages } from './messages.ts';
import { checkPort, checkSettings, describeServer, type ServerProgram } from './program.ts';
import { makeSocketDirectory } from './socket-directory.ts';
import { findServerProcesses, waitForExit } from './status.ts';

export { removeSocketDirectory } from './socket-directory.ts';
export {
  findRunningServer,
  findServerProcesses,
  type ServerStatus,
  waitForExit,
  waitForReady,
} from './status.ts';

export interface PrepareOptions {
  /** The postmaster's data directory. It exists, and is ours. */
  readonly dataDirectory: string;
  /** Where initdb and postgres are; without it they are looked for. */
  readonly binDirectory?: string | undefined;
  /** Only names the socket; default 5432. */
  readonly port?: number | undefined;
  /** PostgreSQL's own settings, as by -c name=value. */
  readonly settings?: Readonly<Record<string, string>> | undefined;
  /** Where the npm package is copied to if it cannot be used in place. */
  readonly cacheDirectory?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
}

export interface PreparedServer {
  readonly program: ServerProgram;
  readonly binaries: ServerBinaries;
  readonly identity: ServerIdentity;
  readonly pgdata: string;
  readonly socketDirectory: string;
  readonly port: number;
  /** true: initdb ran now. */
  readonly initialized: boolean;
}

const DEFAULT_PORT = 5432;

export async function prepareServer(options: PrepareOptions): Promise<PreparedServer> {
  const { signal, env = process.env } = options;
  signal?.throwIfAborted();
  const port = checkPort(options.port ?? DEFAULT_PORT);
  const settings = checkSettings(options.settings ?? {});
  const dataDirectory = realPathOf(options.dataDirectory);
  const pgdata = join(dataDirectory, 'postgres');
  const identity = chooseIdentity({
    uid: process.geteuid?.() ?? 0,
    gid: process.getegid?.() ?? 0,
    passwd: readPasswd(),
    data: readClusterOwner(pgdata),
  });
  const binaries = await locateServer({
    identity,
    major: readClusterMajor(pgdata),
    binDirectory: options.binDirectory,
    cacheDirectory: options.cacheDirectory,
    env,
    signal,
  });
  const initialized = await initialize({ pgdata, binaries, identity, env, signal });
  const socketDirectory = makeSocketDirectory(dataDirectory, port, identity);
  const place = { dataDirectory, pgdata, socketDirectory, port };
  const program = describeServer({ ...place, binaries, identity, settings, env });
  return { program, binaries, identity, pgdata, socketDirectory, port, initialized };
}

/**
 * Waits until the processes of an earlier server of this directory are gone. They have been told to
 * stop when their parent died; this does not end them, and gives up only by the signal.
 */
export async function waitForPreviousServer(
  pgdata: string,
  signal?: AbortSignal,
): Promise<number[]> {
  const pids = findServerProcesses(pgdata);
  await Promise.all(pids.map((pid) => waitForExit(pid, signal)));
  return pids;
}

function realPathOf(directory: string): string {
  try {
    return realpathSync(directory);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const sentence = messages.filesystem('find', directory, reason);
    throw new BgworkerError('ERR_DATA_DIRECTORY', sentence, { cause: error });
  }
}
