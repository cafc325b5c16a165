// program.ts: the server as a program to start. It says what to start and how; it starts nothing.
// The launcher does, as it would any other program.

import { constants } from 'node:os';
import { join } from 'node:path';
import { BgworkerError } from '../../errors.ts';
import type { ServerIdentity } from './identity.ts';
import { type ServerBinaries, serverEnvironment } from './locate.ts';
import { messages } from './messages.ts';

/** The fields of the launcher's ExecRequest, and what else one must know about the server. */
export interface ServerProgram {
  readonly file: string;
  /** Including argv[0], which is the whole path: postgres finds its libraries from there. */
  readonly args: readonly string[];
  /** 'NAME=value', all of it. */
  readonly env: readonly string[];
  readonly cwd: string;
  /** null: as this process. */
  readonly uid: number | null;
  readonly gid: number | null;
  /** SIGINT, a fast shutdown: what the server gets when its parent dies. */
  readonly deathSignal: number;
  /** For its standard output and error; opened for appending by whoever starts it. */
  readonly logFile: string;
  /** libpq's keyword/value form. */
  readonly conninfo: string;
}

export interface DescribeOptions {
  readonly dataDirectory: string;
  readonly pgdata: string;
  readonly socketDirectory: string;
  readonly port: number;
  readonly binaries: ServerBinaries;
  readonly identity: ServerIdentity;
  readonly settings?: Readonly<Record<string, string>>;
  readonly env?: NodeJS.ProcessEnv;
}

/** What conninfo, the search for the server and the promise of who can reach it rely on. */
const RESERVED_SETTINGS = new Set([
  'listen_addresses', // whoever reaches the server is let in, as its superuser
  'dynamic_shared_memory_type',
  'port',
  'data_directory',
  'unix_socket_directories',
  'unix_socket_group',
  'unix_socket_permissions',
]);

/** Pure. Throws ERR_INVALID_OPTION for a setting that cannot be. */
export function describeServer(options: DescribeOptions): ServerProgram {
  const { dataDirectory, pgdata, socketDirectory, port, binaries, identity } = options;
  const ours = {
    listen_addresses: '', // the Unix socket only
    port: String(port),
    unix_socket_permissions: '0700',
    // In its own directory: what a killed server leaves in /dev/shm stays until it starts again.
    dynamic_shared_memory_type: 'mmap',
  };
  return {
    file: binaries.postgres,
    args: [
      binaries.postgres,
      '-D',
      pgdata,
      '-k',
      quoteListItem(socketDirectory),
      ...asArguments({ ...ours, ...checkSettings(options.settings ?? {}) }),
    ],
    env: Object.entries(serverEnvironment(options.env ?? process.env, binaries.origin)).map(
      ([name, value]) => `${name}=${value}`,
    ),
    cwd: '/',
    uid: identity.switches ? identity.uid : null,
    gid: identity.switches ? identity.gid : null,
    deathSignal: constants.signals.SIGINT,
    logFile: join(dataDirectory, 'postgres.log'),
    conninfo: formatConninfo({
      host: socketDirectory,
      port: String(port),
      user: 'postgres',
      dbname: 'postgres',
    }),
  };
}

/** libpq's rule: quoted if empty or with a space, a quote or a backslash in it. Pure. */
export function formatConninfo(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([keyword, value]) => `${keyword}=${quoteConninfo(value)}`)
    .join(' ');
}

/** Checked before anything is made on disk. */
export function checkSettings(settings: Readonly<Record<string, string>>): Record<string, string> {
  for (const [name, value] of Object.entries(settings)) {
    if (!/^[A-Za-z_][\w.]*$/.test(name)) throw mistake(messages.badSettingName(name));
    if (RESERVED_SETTINGS.has(name.toLowerCase())) throw mistake(messages.reservedSetting(name));
    if (typeof value !== 'string' || value.includes('\0')) {
      throw mistake(messages.badSettingValue(name, value));
    }
  }
  return { ...settings };
}

export function checkPort(port: number): number {
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw mistake(messages.badPort(port));
}

function asArguments(settings: Readonly<Record<string, string>>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** -k takes a list: a name with anything special in it stands in double quotes. */
function quoteListItem(directory: string): string {
  return /^[\w./-]+$/.test(directory) ? directory : `"${directory.replaceAll('"', '""')}"`;
}

function quoteConninfo(value: string): string {
  if (value.includes('\0')) throw mistake(messages.badConninfoValue());
  if (/^[^\s'\\]+$/.test(value)) return value;
  return `'${value.replaceAll(/['\\]/g, '\\$&')}'`;
}

function mistake(message: string): BgworkerError {
  return new BgworkerError('ERR_INVALID_OPTION', message);
}
