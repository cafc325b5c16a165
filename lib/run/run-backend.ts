// run-backend.ts: the life of one process that serves a client, from its first JavaScript to its exit.
//
// The steps before are those of a worker (enter.ts). One that was forked for a connection has it; a
// spare one waits for it on a socket of its own.

import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import type { LogOptions } from '../log.ts';
import * as messages from '../messages.ts';
import { native, type Peer } from '../native.ts';
import type { SharedRequests } from '../shared/names.ts';
import type { ControlPlace } from '../travel/control.ts';
import type { BackendStart } from '../travel/notes.ts';
import type { InheritedMemory } from './attach.ts';
import { Backend } from './backend.ts';
import type { BackendMain } from './backend-options.ts';
import { DONE, type Entered, enter, FAILED } from './enter.ts';
import { hangUp, whenClosed } from './hang-up.ts';
import { deliverHeld, holdSignals, installDefaults } from './signals.ts';

/** Where the process finds what its preload modules registered. */
export interface BackendSource {
  /** @throws Error if there is none: a bug of ours. */
  backendMain(): BackendMain;
  readonly shared: SharedRequests;
}

export interface BackendEnvironment {
  readonly start: BackendStart;
  readonly registry: BackendSource;
  /** What it inherited, if it asked for shared memory. */
  readonly memory: InheritedMemory | null;
  readonly control: ControlPlace;
  readonly log: LogOptions;
  /** The connection; of a spare one, the socket on which it will come. */
  readonly descriptor: number;
}

/** Returns when main()'s synchronous part is over, or when a spare one is ready for its client. */
export function runBackend(environment: BackendEnvironment): void {
  const entered = prepare(environment);
  if (environment.start.peer === null) awaitClient(environment, entered);
  else serve(environment, entered, environment.descriptor);
}

/** Launcher only, before its first fork; see rehearseWorker(). Its main closes the connection. */
export function rehearseBackend(environment: BackendEnvironment): void {
  const { worker, undo } = prepare(environment);
  const connection = open(environment.start, environment.descriptor);
  environment.registry.backendMain()(connection, worker);
  undo();
}

function prepare(environment: BackendEnvironment): Entered<Backend> {
  const { start, registry, memory, control, log } = environment;
  let backend: Backend | null = null;
  return enter({
    start,
    memory,
    shared: registry.shared,
    control,
    log,
    title: titleOf(start.peer),
    make: (surroundings) => {
      backend = new Backend(start, surroundings);
      return backend;
    },
    describe: (error) => messages.backendFailed(backend?.client ?? null, error),
  });
}

function titleOf(peer: Peer | null): string {
  return `backend: ${peer === null ? 'spare' : messages.describePeer(peer)}`;
}

/** Nothing of the user's runs before the client is there, and a spare one leaves without a word. */
function awaitClient(environment: BackendEnvironment, entered: Entered<Backend>): void {
  const { descriptor: control } = environment;
  const alive = setInterval(() => {}, 1 << 30); // A watcher holds no event loop open.
  const leave = () => process.exit(DONE);
  process.on('SIGTERM', leave);
  // No statement of anybody's runs yet, so there is nothing to interrupt.
  installDefaults({ terminate: leave, interrupt: () => {} });
  const watcher = new native.DescriptorWatcher(control, () => {
    // As at the beginning of any main: signals wait until it has installed its handlers.
    native.blockSignals();
    holdSignals();
    watcher.close();
    const connection = native.receiveDescriptors(control)?.[0];
    closeSync(control);
    const peer = connection === undefined ? null : peerIfThere(connection);
    // Not needed any more; or the client has left already.
    if (connection === undefined || peer === null) return leave();
    process.title = titleOf(peer);
    process.off('SIGTERM', leave);
    clearInterval(alive);
    entered.worker.meet(peer);
    serve(environment, entered, connection);
  });
  native.unblockSignals();
  deliverHeld();
}

/** One that has left again has no name any more. */
function peerIfThere(connection: number): Peer | null {
  try {
    return native.peerOf(connection);
  } catch {
    return null;
  }
}

function serve(
  environment: BackendEnvironment,
  { worker: backend, fail }: Entered<Backend>,
  descriptor: number,
): void {
  let over: Promise<void>;
  try {
    over = converse(environment, backend, descriptor);
  } catch (error) {
    return fail(error);
  }
  installDefaults({
    terminate() {
      backend.log.fatal(messages.connectionTerminated);
      process.exit(FAILED);
    },
    interrupt: () => backend.interrupt(),
  });
  native.unblockSignals();
  deliverHeld();
  over.then(() => process.exit(), fail);
}

/** main(). Signals are blocked until its synchronous part is over. */
function converse(
  { start, registry }: BackendEnvironment,
  backend: Backend,
  descriptor: number,
): Promise<void> {
  const connection = open(start, descriptor);
  const closed = whenClosed(connection);
  // Who waits on its latch is to look.
  void closed.then(() => backend.latch.set());
  // A client that is cut off is no failure: whoever minds has a listener of its own.
  connection.on('error', (error) => {
    backend.log.debug(messages.clientLost(backend.peer, error));
  });
  const returned = registry.backendMain()(connection, backend);
  return isPromise(returned) ? Promise.resolve(returned).then(() => hangUp(connection)) : closed;
}

function open({ registration }: BackendStart, descriptor: number): Socket {
  const { noDelay, keepAlive, allowHalfOpen } = registration;
  native.tuneConnection(descriptor, noDelay, keepAlive);
  return new Socket({ fd: descriptor, readable: true, writable: true, allowHalfOpen });
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
