// backend-processes.ts: the backends' processes: how each is asked for, given its connection, told
// things, and seen to end.
//
// What becomes of one is posted as an event. Decides nothing, like perform.ts, whose part it is.

import { closeSync } from 'node:fs';
import { type ChildEnd, causeOf } from './fork/child-end.ts';
import type { LauncherProcess } from './fork/launcher-process.ts';
import type { NodeChildren } from './fork/node-children.ts';
import type { SharedMemory } from './fork/shared-memory.ts';
import type { Connections } from './listen/connections.ts';
import type { Backend, BackendRegistration, ConnectionId, Place } from './model/clients.ts';
import type { Event } from './model/event.ts';
import type { Exit } from './model/exit.ts';
import type { FollowedDatabase } from './model/followed.ts';
import type { ChildId, Pid } from './model/standing.ts';
import type { State } from './model/state.ts';
import { native, type Peer } from './native.ts';

export interface BackendProcessesOptions {
  readonly nodes: NodeChildren;
  readonly memory: SharedMemory;
  readonly connections: Connections;
  /** The present one; null: there has been none yet. */
  launcher(): LauncherProcess | null;
  post(event: Event): void;
}

/** One that was asked for; null: there is none, or none any more. */
interface Child {
  readonly place: Place;
  /** Ours until the process is there. */
  connection: ConnectionId | null;
  /** Our end of the socket on which a spare one gets its connection. */
  control: number | null;
  pid: Pid | null;
}

/** What the policy asks for, with what the process needs to know. */
export interface BackendRequest {
  readonly child: ChildId;
  readonly place: Place;
  readonly registration: BackendRegistration;
  /** null: a spare one. */
  readonly client: { readonly connection: ConnectionId; readonly peer: Peer } | null;
  /** Where the database is, if there is one. */
  readonly database: FollowedDatabase | null;
}

export class BackendProcesses {
  readonly #options: BackendProcessesOptions;
  readonly #children = new Map<ChildId, Child>();

  constructor(options: BackendProcessesOptions) {
    this.#options = options;
  }

  start({ child, place, registration, client, database }: BackendRequest): void {
    const launcher = this.#options.launcher();
    if (launcher === null) return;
    const { memory, connections, nodes } = this.#options;
    const { refusals: _, ...travelling } = registration;
    const known: Child = {
      place,
      connection: client?.connection ?? null,
      control: null,
      pid: null,
    };
    this.#children.set(child, known);
    const start = {
      slot: memory.slotOf(place),
      registration: travelling,
      database,
      peer: client?.peer ?? null,
    };
    const errand = { kind: 'backend', start } as const;
    try {
      if (client === null) {
        known.control = startSpare((control) => nodes.start(launcher, child, errand, [control]));
      } else {
        const descriptor = connections.descriptorOf(client.connection);
        if (descriptor === undefined) throw new Error('the connection is closed');
        nodes.start(launcher, child, errand, [descriptor]);
      }
    } catch (error) {
      // No descriptor is left, perhaps; that is this client's misfortune and nobody else's.
      const { syscall, message } = error as NodeJS.ErrnoException;
      this.failed(child, syscall ?? 'fork', message);
    }
  }

  /** To a spare one that is up. */
  handOver({ place, standing }: Backend, connection: ConnectionId): void {
    const { connections, post } = this.#options;
    const known = this.#children.get(standing.child);
    const descriptor = connections.descriptorOf(connection);
    const control = known?.control ?? null;
    const isTaken = control !== null && descriptor !== undefined && trySend(control, descriptor);
    if (known !== undefined) this.#hangUp(known);
    if (isTaken) connections.release(connection);
    post({ kind: isTaken ? 'handed-over' : 'not-handed-over', place, connection });
  }

  end(backend: Backend | undefined, signal: NodeJS.Signals, state: State): void {
    if (backend === undefined) return;
    // As workers: one alone is told by itself, everybody at once with all that they have started.
    const to = state.shutdown === null && signal === 'SIGTERM' ? 'process' : 'group';
    const { child } = backend.standing;
    const tell = () => this.#options.launcher()?.kill(child, signal, to);
    if (signal === 'SIGTERM') this.#options.nodes.whenUp(child, tell);
    else tell();
  }

  reload(backends: Iterable<Backend>): void {
    const { nodes, launcher } = this.#options;
    for (const { standing } of backends) {
      const { child } = standing;
      nodes.whenUp(child, () => launcher()?.kill(child, 'SIGHUP', 'process'));
    }
  }

  forked(child: ChildId, pid: Pid): void {
    const known = this.#children.get(child);
    if (known === undefined) return;
    const { memory, connections, post } = this.#options;
    known.pid = pid;
    // From here on it is the child's alone, and its end is the client's end of file.
    if (known.connection !== null) connections.release(known.connection);
    memory.occupy(known.place, pid);
    post({ kind: 'backend-forked', place: known.place, child, pid });
  }

  /** No child came of it. */
  failed(child: ChildId, call: string, why: string): void {
    const known = this.#forget(child);
    if (known === undefined) return;
    this.#options.post({ kind: 'backend-not-forked', place: known.place, child, call, why });
  }

  ended(child: ChildId, end: ChildEnd): void {
    const known = this.#forget(child);
    if (known === undefined) return;
    const { memory, post } = this.#options;
    const slot = memory.slotOf(known.place);
    const activity = memory.takeActivity(slot);
    const exit: Exit = {
      cause: causeOf(end),
      cleanDetach: !memory.takeDeadMan(slot),
      usage: end.kind === 'reaped' ? end.usage : null,
      ...(activity !== null && { activity }),
    };
    memory.release(slot);
    post({ kind: 'backend-exited', place: known.place, child, exit });
  }

  /** Requests that were not answered never will be; the policy has given up on them, too. */
  launcherLost(): void {
    for (const [child, { pid }] of this.#children) if (pid === null) this.#forget(child);
  }

  /** Everybody is gone. */
  close(): void {
    for (const child of [...this.#children.keys()]) this.#forget(child);
  }

  #forget(child: ChildId): Child | undefined {
    const known = this.#children.get(child);
    if (known === undefined) return undefined;
    this.#children.delete(child);
    this.#hangUp(known);
    this.#options.nodes.forget(child);
    return known;
  }

  /** A spare one that has not got a connection by then leaves by itself. */
  #hangUp(known: Child): void {
    if (known.control !== null) closeSync(known.control);
    known.control = null;
  }
}

/** Gives our end of the socket on which it will get its connection. */
function startSpare(start: (theirs: number) => void): number {
  const [ours, theirs] = native.channelPair();
  try {
    start(theirs);
    return ours;
  } catch (error) {
    closeSync(ours);
    throw error;
  } finally {
    closeSync(theirs);
  }
}

/** false: it is dead already, or the system has no room for one more descriptor on its way. */
function trySend(control: number, descriptor: number): boolean {
  try {
    return native.sendDescriptors(control, [descriptor]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return false;
    throw error;
  }
}
