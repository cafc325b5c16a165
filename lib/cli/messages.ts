// messages.ts: every sentence of the command line. Where pg_ctl has one, it is pg_ctl's, with a
// postmaster in place of the server.

import { nearest } from '../messages.ts';
import type { CommandName } from './commands.ts';
import type { OptionName } from './options.ts';

// The command line itself.

export const noCommand = 'no operation specified';

export function unknownCommand(word: string, known: readonly string[]): string {
  return `unrecognized operation mode "${word}"; ${didYouMean(word, known, `the operation modes are ${known.join(', ')}`)}`;
}

export function unknownOption(spelling: string, known: readonly string[]): string {
  const options = known.map((name) => `--${name}`);
  const all = `the options are ${options.join(', ')}`;
  // One letter is near to every other; and `--` alone must not make two short words neighbours.
  const near = spelling.startsWith('--') ? nearest(spelling.slice(2), known) : null;
  return `unrecognized option ${spelling}; ${near === null ? all : `did you mean --${near}?`}`;
}

export function optionOfOthers(spelling: string, command: string): string {
  return `"bgworker ${command}" has no option ${spelling}`;
}

export function valueMissing(spelling: string, what: string): string {
  return `option ${spelling} requires a value: ${spelling} ${what}`;
}

export function valueLooksLikeOption(spelling: string, name: string, value: string): string {
  return `option ${spelling} requires a value, and "${value}" looks like an option; if it is meant, write --${name}=${value}`;
}

export function valueUnwanted(spelling: string, value: string): string {
  return `option ${spelling} takes no value, got "${value}"`;
}

export function badMode(word: string, modes: readonly string[]): string {
  return `unrecognized shutdown mode "${word}"; ${didYouMean(word, modes, `the modes are ${modes.join(', ')}`)}`;
}

export function badTimeout(word: string, maxSeconds: number): string {
  return `--timeout must be a whole number of seconds from 1 to ${maxSeconds}, got "${word}"`;
}

export function tooManyArguments(first: string): string {
  return `too many command-line arguments (first is "${first}")`;
}

export function operandMissing(what: string): string {
  return `too few command-line arguments: ${what} is missing`;
}

export const moduleOrProgram =
  'name what to run: a module, or, behind --, a program with its arguments; one of the two';

export function badRestartTime(word: string): string {
  return `--restart-time must be 'never' or a whole number of seconds, got "${word}"`;
}

export function badArg(reason: string): string {
  return `--arg must be JSON: ${reason}`;
}

export const logInForeground =
  'option --log is for a start in the background; with --foreground the log goes to stderr, which the shell can redirect';

export function seeHelp(command: string | null): string {
  return `Try "bgworker ${command === null ? '' : `${command} `}--help" for more information.`;
}

export const noDataDirectory =
  'no data directory specified and environment variable BGWORKER_DATA unset; name it with -D DIR';

export const noDataDirectoryForStart =
  'no data directory specified: neither -D DIR, nor environment variable BGWORKER_DATA, nor dataDirectory in the configuration file';

function didYouMean(word: string, known: readonly string[], otherwise: string): string {
  const near = nearest(word, known);
  return near === null ? otherwise : `did you mean "${near}"?`;
}

// The postmaster of a data directory.

export function directoryMissing(path: string): string {
  return `directory "${path}" does not exist`;
}

export function directoryInaccessible(path: string, reason: string): string {
  return `could not access directory "${path}": ${reason}`;
}

export function lockFileMissing(path: string): string {
  return `PID file "${path}" does not exist`;
}

export function lockFileInvalid(path: string): string {
  return `invalid data in PID file "${path}"; either a postmaster is starting at this moment, or, if none runs, the file can be removed`;
}

export function seemsToBeGone(pid: number): string {
  return `old postmaster process (PID: ${pid}) seems to be gone`;
}

export const isPostmasterRunning = 'Is postmaster running?';

export const notRunning = 'bgworker: no postmaster running';

export function running(facts: {
  readonly pid: number;
  readonly dataDirectory: string;
  readonly status: string | null;
  readonly startTimeSeconds: number;
}): string {
  return [
    `bgworker: postmaster is running (PID: ${facts.pid})`,
    `data directory: ${facts.dataDirectory}`,
    `status: ${facts.status ?? 'unknown'}`,
    `since: ${instant(facts.startTimeSeconds)}`,
  ].join('\n');
}

function instant(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('T', ' ').replace('.000Z', ' UTC');
}

export function signalFailed(what: 'stop' | 'reload', pid: number, reason: string): string {
  return `could not send ${what} signal (PID: ${pid}): ${reason}`;
}

// Waiting, and how it ends.

export const waitingForStart = 'waiting for postmaster to start';
export const waitingForStop = 'waiting for postmaster to shut down';
export const done = ' done';
export const stoppedWaiting = ' stopped waiting';

export const started = 'postmaster started';
export const starting = 'postmaster starting';
export const stopped = 'postmaster stopped';
export const stopping = 'postmaster shutting down';
export const signaled = 'postmaster signaled';

export function notInTime(pid: number, seconds: number): string {
  return `postmaster did not start in time (${seconds} s); it goes on starting (PID: ${pid})`;
}

export function doesNotStop(pid: number, seconds: number): string {
  return `postmaster (PID: ${pid}) does not shut down; it was given ${seconds} s`;
}

export const smartHint =
  'HINT: The "-m fast" option immediately disconnects sessions rather than waiting for session-initiated disconnection.';

export function livesOn(pid: number): string {
  return `process ${pid} has ended its postmaster and goes on with something else`;
}

export function leftLockFile(path: string): string {
  return `it ended without removing "${path}"; the next start replaces the file`;
}

// The process in the background.

export function logFileNotOpened(path: string, reason: string): string {
  return `could not open log file "${path}": ${reason}`;
}

export function notSpawned(reason: string): string {
  return `could not start postmaster: ${reason}`;
}

export function endedEarly(code: number | null, signal: string | null): string {
  const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
  return `could not start postmaster: its process ended before it was ready (${how})`;
}

export function examineLog(path: string): string {
  return `Examine the log output in "${path}".`;
}

// The configuration file.

export function configMissing(path: string, reason: string): string {
  return `could not read configuration file "${path}": ${reason}`;
}

export function configNotFound(directory: string, names: readonly string[]): string {
  return `no configuration file in "${directory}" (${names.join(', ')}); name it with -c FILE`;
}

/** The line is where it went wrong, if that is known and in this file. */
export function configFailed(path: string, line: number | null, reason: string): string {
  return `${inConfig(path)}${line === null ? '' : `, line ${line}`}: ${reason}`;
}

export const commonJsHint =
  'node takes a .js file for CommonJS unless its package.json says "type": "module"; name it .mjs';

export const inAnotherModule = 'it is in a module that this file imports';

export function threw(value: string): string {
  return `it threw ${value}`;
}

export function noDefaultExport(path: string, exported: readonly string[]): string {
  return `${inConfig(path)} has no default export; it exports ${exported.join(', ') || 'nothing'}`;
}

export function notOptions(path: string, got: string): string {
  return `${inConfig(path)}: the default export must be an object of postmaster options, or a function that returns one, got ${got}`;
}

function inConfig(path: string): string {
  return `configuration file "${path}"`;
}

// The help. The types see to it that no command and no option is without a line.

export const summary = 'bgworker starts, stops and controls a postmaster of background workers.';

export const summaries: Readonly<Record<CommandName, string>> = {
  start: 'start a postmaster, in the background unless told otherwise',
  stop: 'stop the postmaster of a data directory',
  reload: 'send it SIGHUP, which it passes on to its workers',
  status: 'say whether it is running; exit status 3 if it is not, 4 if there is no directory',
  ps: 'list its workers',
  launch: 'register a worker, and wait until it is started',
  terminate: 'end a worker for good, and wait until it is gone',
};

export const explanations: Readonly<Record<OptionName, string>> = {
  pgdata: 'the data directory (default: environment variable BGWORKER_DATA)',
  config: 'the configuration file (default: bgworker.config.ts, .js or .mjs here)',
  log: 'append what the postmaster writes to FILE (default: bgworker.log in DIR)',
  foreground: 'run in this process; its exit status is the postmaster’s',
  mode: 'smart, fast or immediate (default: fast)',
  silent: 'only print errors and results, no informational messages',
  timeout: 'seconds to wait (default: 60)',
  wait: 'wait until the operation completes (default)',
  'no-wait': 'do not wait until the operation completes',
  name: 'its name (default: the function’s, or the program’s)',
  type: 'its type (default: its name)',
  function: 'the function of the module (default: main)',
  arg: 'its argument',
  flag: 'SHMEM_ACCESS and so on; may be given several times',
  'restart-time': 'seconds until it is started again, or never (default: 60)',
  database: 'the default database of its connection',
  user: 'the default user of its connection',
  help: 'show this help, then exit',
  version: 'output version information, then exit',
};

export const modesHelp = `Shutdown modes are:
  smart       quit after all clients have disconnected
  fast        quit directly, with proper shutdown (default)
  immediate   quit without complete shutdown
Their first letters do as well.`;

export const configHelp = `The configuration file's default export is an object of postmaster options, or a
function, which may be async, that returns one:
  export default { dataDirectory: 'data', preload: ['workers.js'] };
Paths in it are taken from the working directory; -D and BGWORKER_DATA count more than its
dataDirectory. A reload does not read it again.`;

export const launchHelp = `MODULE is a file, a file: URL or the name of a package, which is looked for from the directory
in which the postmaster was started. The worker outlives this command. A program is given no
argument but its own.`;

export const terminateHelp = `WORKER is the handle that "bgworker ps" shows (SLOT/GENERATION), a PID, or a name that only one
worker has. A worker that does not listen to SIGTERM takes the time it needs.`;
