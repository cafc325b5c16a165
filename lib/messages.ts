// messages.ts: the sentences of the postmaster, the launcher and the workers, in one place.
//
// Each names the thing, the rule and the remedy, as far as there is one. Who logs or throws them
// adds nothing. The sentences about PostgreSQL servers and about the data directory stand in
// messages.ts files of their own, in postgres/ and data-directory/.

import { inspect } from 'node:util';
import type { Refusal } from './model/clients.ts';
import type { Exit, ExitCause } from './model/exit.ts';
import type { Registration } from './model/registration.ts';
import type { Peer } from './native.ts';

export function quote(value: unknown): string {
  return inspect(value, { depth: 1, maxStringLength: 100, maxArrayLength: 5, breakLength: 100 });
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

// Options and registrations.

export function invalidOption(subject: string, path: string, rule: string, got: unknown): string {
  return `${subject}: ${path} ${rule}, got ${quote(got)}`;
}

export function tooFewDescriptors(
  maxWorkerProcesses: number,
  maxConnections: number,
  wanted: number,
  limit: number,
): string {
  const clients = maxConnections === 0 ? '' : ` and maxConnections ${maxConnections}`;
  return `postmaster options: maxWorkerProcesses ${maxWorkerProcesses}${clients} may take ${wanted} descriptors, and this process may open ${limit}: raise its limit (ulimit -n, LimitNOFILE=) or lower the options`;
}

export function unknownOption(subject: string, name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  const remedy = near === null ? `the options are ${known.join(', ')}` : `did you mean "${near}"?`;
  return `${subject}: there is no option "${name}"; ${remedy}`;
}

export function registrationSubject(name: unknown): string {
  return typeof name === 'string' ? `background worker "${name}"` : 'background worker';
}

export function oneBody(given: readonly string[]): string {
  return given.length === 0
    ? 'must say what to run: main (a function), module, exec or native'
    : `must have one of main, module, exec and native, not ${given.join(' and ')}`;
}

export const functionNeedsModule =
  'is the name of a function of a module, and there is no module; give module, or leave function out';

export const interruptibleNeedsDatabase =
  'must include BACKEND_DATABASE_CONNECTION for INTERRUPTIBLE: it is the database that it is ended with';

export const interruptibleIsFinal =
  'is not possible for an INTERRUPTIBLE worker, because it leaves with 0 when its database is gone';

export const databaseNeedsSharedMemory =
  'must include SHMEM_ACCESS for BACKEND_DATABASE_CONNECTION: whoever crashes in a transaction takes the others down';

export const postmasterStartAlone =
  "must be 'ConsistentState' or 'RecoveryFinished' for a worker with SHMEM_ACCESS or BACKEND_DATABASE_CONNECTION: at 'PostmasterStart' neither is there";

export const parallelNeverRestarts = "must be 'never' for a worker of the class CLASS_PARALLEL";

export const parallelStaysDone =
  'must be false for a worker of the class CLASS_PARALLEL, which is never started again';

export const execWithoutFlags =
  'must be empty for an exec program, which cannot attach; give `database` instead, and it finds PGHOST, PGDATABASE and the rest in its environment';

export const closureIsStatic =
  'is not possible for a dynamic worker, because a closure cannot travel to another process; give module and function instead';

export function argCannotTravel(problem: string): string {
  return `must be structured-cloneable: ${problem}`;
}

export function registeredTooLate(name: string): string {
  return `background worker "${name}": static workers are registered in init() of a preload module, before it returns`;
}

export function tooManyWorkers(name: string, slotCount: number): string {
  return `background worker "${name}": too many background workers; up to ${slotCount} can be registered with the current settings, consider raising maxWorkerProcesses`;
}

export function tooManyParallelWorkers(name: string, parallelCount: number): string {
  return `background worker "${name}": too many workers of the class CLASS_PARALLEL; up to ${parallelCount} can be registered with the current settings, consider raising maxParallelWorkers`;
}

// The launcher and its preload modules.

export function preloadFailed(module: string, cause: unknown): string {
  return `preload module ${module} failed: ${reason(cause)}`;
}

export const noSuchFile = 'there is no such file';

export function initMissing(exported: readonly string[]): string {
  return `it exports no function "init", only ${exported.join(', ') || 'nothing'}`;
}

export function preloadNotQuiet(module: string, left: readonly string[]): string {
  return `preload module ${module} left something running that a fork would lose: ${left.join(', ')}; start it in main() of a worker, or end it before init() returns, or declare \`export const launch = 'exec'\` in the module, at the price of a slower start`;
}

export function launcherDied(how: string): string {
  return `the launcher ended before it was ready (${how})`;
}

export function preloadEnded(module: string, code: number): string {
  return code === 0
    ? `preload module ${module} never finished: its init() waits for something, and there is nothing left that could come`
    : `preload module ${module} ended the process with exit code ${code}; init() returns, or throws`;
}

export const launcherSilent =
  'the launcher process does not answer any more; issuing SIGKILL to it, and its children end with it';

export function launcherLost(how: string): string {
  return `launcher process was lost (${how}); its children end with it`;
}

export function forkUnsafe(why: string): string {
  return `workers are launched by exec of a fresh node, which is slower, because ${why}`;
}

export function selfTestFailed(outcome: string): string {
  return `a test fork of this node (${process.version}) ${outcome}`;
}

export function declaredExec(modules: readonly string[]): string {
  return `${modules.join(', ')} declared launch = 'exec'`;
}

export function askedTooLate(verb: string): string {
  return `${verb}: the main shared memory is asked for in init() of a preload module, before it returns; a worker asks for more by worker.shmem, as far as init() has reserved room`;
}

export function leaveFailed(error: unknown): string {
  return `a callback failed while the process left shared memory: ${reason(error)}`;
}

export function areaDamaged(error: unknown): string {
  return `the main shared memory area cannot be mapped: ${reason(error)}`;
}

export function noSharedMemory(name: string, verb: string): string {
  return `worker "${name}" has no shared memory, so no ${verb}; register it with the flag SHMEM_ACCESS`;
}

/** An error in words; what was thrown need not be one. */
export function sentenceOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function startupHookFailed(what: string): string {
  return `a start-up hook of shared memory failed: ${what}`;
}

// A worker's life.

export function functionMissing(module: string, name: string, exported: readonly string[]): string {
  return `module ${module} has no function "${name}"; it exports ${exported.join(', ') || 'nothing'}`;
}

export function terminatedByAdministrator({ type }: Registration): string {
  return `terminating background worker "${type}" due to administrator command`;
}

export function workerFailed({ name }: Registration, error: unknown): string {
  return `background worker "${name}" failed: ${reason(error)}`;
}

export function registering({ name }: Registration): string {
  return `registering background worker "${name}"`;
}

export function unregistering({ name }: Registration): string {
  return `unregistering background worker "${name}"`;
}

export function starting({ name }: Registration): string {
  return `starting background worker process "${name}"`;
}

export function forkFailed({ name, body }: Registration, call: string, why: string): string {
  const program = body.kind === 'exec' ? ` (${body.argv[0]})` : '';
  return `could not start background worker "${name}"${program}: ${call}: ${why}`;
}

export function exited({ type }: Registration, pid: number, exit: Exit): string {
  return `background worker "${type}" (PID ${pid}) ${describeExit(exit)}${lastActivity(exit)}`;
}

/** Of one that did not leave because its work was done. */
function lastActivity({ cause, activity }: Exit): string {
  const isFailure = cause.kind !== 'code' || cause.code !== 0;
  return isFailure && activity !== undefined ? `; it was running: ${activity}` : '';
}

export function describeExit({ cause, cleanDetach }: Exit): string {
  const isSilent = cause.kind === 'code' && cause.code <= 1 && !cleanDetach;
  return `${describeCause(cause)}${isSilent ? ' without detaching from shared memory' : ''}`;
}

export function describeCause(cause: ExitCause): string {
  switch (cause.kind) {
    case 'signal':
      return `was terminated by signal ${cause.signal}`;
    case 'lost':
      return 'ended with the launcher';
    case 'code':
      return `exited with exit code ${cause.code}`;
  }
}

// The startup process.

export const startupAndPostgres =
  'a startup process and the option postgres exclude each other: each of them moves the phases';

export const startupTwice = 'there is one startup process, and it is registered already';

export const startupTooLate =
  'the startup process is registered in init() of a preload module, before it returns';

export function startupNotStarted(call: string, why: string): string {
  return `could not start the startup process: ${call}: ${why}`;
}

export function startupFailed(exit: Exit, said: string | null): string {
  return `aborting the start because the startup process ${said === null ? describeExit(exit) : `failed: ${said}`}`;
}

export function startupExited(pid: number, exit: Exit): string {
  return `startup process (PID ${pid}) ${describeExit(exit)}`;
}

// Clients and their backends.

/** PostgreSQL's way: 127.0.0.1(54321), and [local] for who came through a socket file. */
export function describePeer(peer: Peer | null): string {
  if (peer === null) return '(none)';
  return peer.kind === 'local' ? '[local]' : `${peer.address}(${peer.port})`;
}

export const BACKEND_SUBJECT = 'registerBackend()';

export const registeredTwice =
  'registerBackend() can be called once for all preload modules: a postmaster has one kind of backend';

export const backendTooLate =
  'registerBackend() is called in init() of a preload module, before it returns';

export const mainMissing = 'must be a function: registerBackend(main, options)';

export const nowhereToListen =
  'a backend is registered, and nobody will ever connect: give the postmaster the option listen';

/** What a client reads, where the registration says nothing else. */
export const DEFAULT_REFUSALS: Readonly<Record<Refusal, string>> = {
  startingUp: 'the server is starting up\n',
  inRecovery: 'the server is in recovery mode\n',
  shuttingDown: 'the server is shutting down\n',
  tooMany: 'sorry, too many clients already\n',
  cannotFork: 'the server could not fork a process for this connection\n',
};

const REFUSED_BECAUSE: Readonly<Record<Refusal, string>> = {
  startingUp: 'the server is starting up',
  inRecovery: 'the server is in recovery mode',
  shuttingDown: 'the server is shutting down',
  tooMany: 'too many clients already; consider raising maxConnections',
  cannotFork: 'no process could be forked for it',
};

export function connectionReceived(peer: Peer): string {
  return `connection received: ${describePeer(peer)}`;
}

export function connectionRefused(peer: Peer, reason: Refusal): string {
  return `connection refused: ${describePeer(peer)}: ${REFUSED_BECAUSE[reason]}`;
}

export function backendNotForked(peer: Peer | null, call: string, why: string): string {
  const what = peer === null ? 'a spare backend' : `connection ${describePeer(peer)}`;
  return `could not start a process for ${what}: ${call}: ${why}`;
}

export function backendExited(peer: Peer | null, pid: number, exit: Exit): string {
  const whose = peer === null ? 'spare backend' : `client backend of ${describePeer(peer)}`;
  return `${whose} (PID ${pid}) ${describeExit(exit)}${lastActivity(exit)}`;
}

export function backendFailed(peer: Peer | null, error: unknown): string {
  return `client backend of ${describePeer(peer)} failed: ${reason(error)}`;
}

export function clientLost(peer: Peer | null, error: unknown): string {
  return `connection to client ${describePeer(peer)} lost: ${reason(error)}`;
}

export const connectionTerminated = 'terminating connection due to administrator command';

export const waitingForClients =
  'smart shutdown: no new connections; the shutdown begins when the last client has left';

// The postmaster.

export const terminatingOthers = 'terminating any other active worker processes';
export const reinitializing = 'all attached processes terminated; reinitializing';
export const abortingWorkers = 'stopping all background workers';
export const isShutDown = 'postmaster is shut down';
export const isShutDownAbnormally = 'abnormal postmaster shutdown';
export const reloading = 'received SIGHUP, passing it on to the workers';

export function receivedShutdown(mode: string): string {
  return `received ${mode} shutdown request`;
}

export function killing(signal: string, pids: readonly number[]): string {
  return `issuing ${signal} to recalcitrant children (${pids.join(', ')})`;
}

export function readyIn(phase: string): string {
  return phase === 'RUN'
    ? 'postmaster is ready'
    : 'postmaster is ready; the database accepts read-only connections';
}

export function restartAfterCrashIsOff(): string {
  return 'shutting down because restartAfterCrash is off';
}

export function lockFileLost(path: string, standing: string): string {
  return `lock file ${path} is ${standing === 'missing' ? 'gone' : "another postmaster's"}; performing an immediate shutdown`;
}

export const registeredWithoutPostmaster =
  'workers can be registered from when start() is called until everything is ended';

export const startedTwice =
  'start() can be called once; make another Postmaster to start the same again';

export const stoppedBeforeReady = 'the postmaster was stopped before it was ready';

export function startTimedOut(seconds: number, phase: string, trouble: string | null): string {
  const because = trouble === null ? '' : `: ${trouble}`;
  return `the postmaster did not become ready within ${seconds} s (startTimeout); it was in phase ${phase}${because}`;
}

// Databases and their connections.

export function databaseAway(state: string, detail: string): string {
  return state === 'recovering'
    ? `the database does not accept connections yet: ${detail}`
    : `the database is not reachable: ${detail}`;
}

export function following(where: string, instead: string | null): string {
  const again = instead === null ? '' : ` again; only the session had been ended: ${instead}`;
  return `following the database server at ${where}${again}`;
}

export const serverLost =
  'the database server was lost; terminating the workers and client backends that need it';

export function flagMissing(name: string): string {
  return `background worker "${name}": database connection requirement not indicated during registration; add BACKEND_DATABASE_CONNECTION (and SHMEM_ACCESS) to its flags`;
}

export function noDatabaseFollowed(name: string): string {
  return `background worker "${name}": this postmaster has no database; give it the option postgres, or connect with a conninfo of your own`;
}

export const noDatabaseYet =
  'this postmaster has no database to connect to: give it the option postgres, and wait for start()';

export function connectedTwice(name: string): string {
  return `background worker "${name}": there is a connection already, and connect() makes one at a time; further ones are made by connectClient(), with a conninfo of their own`;
}

export function notConnected(verb: string): string {
  return `${verb} needs the connection of connect(), which has not been made yet`;
}

export const transactionUnderWay =
  'a transaction is under way on this connection, and there can be one at a time; wait for it, or use a savepoint within it';

export function commitUnknown(error: unknown): string {
  return `the connection was lost before the server answered to COMMIT, so the transaction may have been committed or not: ${reason(error)}`;
}

export const transactionAborted =
  'the transaction was rolled back, not committed: a statement in it had failed, and its error was caught; use a savepoint around what may fail';

export function cancelFailed(error: unknown): string {
  return `the request to cancel the statement did not reach the server: ${reason(error)}`;
}

export function databaseGone({ name }: Pick<Registration, 'name'>, error: unknown): string {
  return `background worker "${name}" is done, because its database does not exist (any more): ${reason(error)}`;
}

/** The known word that was probably meant: at most two edits away. */
export function nearest(word: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = 3;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Edits of one letter, and swaps of two neighbours, from one word to the other. */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const substitution = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = isSwap ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, substitution, swap));
    }
  }
  return at(a.length, b.length);
}
