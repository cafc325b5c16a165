// clients.ts: client connections and the backends that serve them, as the policy knows them.
//
// A pool of its own: clients never take a worker's slot, nor workers a client's place. A connection
// arrives, is judged, and is refused or gets a backend: a fork made for it, or a spare one that was
// forked ahead. The backend is gone when its process is; nothing of it is ever started again.

import type { KeepAliveNumbers, Peer } from '../native.ts';
import type { Exit } from './exit.ts';
import type { WorkerFlag } from './registration.ts';
import { SlotMap } from './slot-map.ts';
import type { ChildId, EndingSignal, Instant, Pid, Standing } from './standing.ts';

/** Names an accepted connection; never used twice by one postmaster. */
export type ConnectionId = number;

/** Which of the maxConnections places a backend has. Its slot is that many behind the workers'. */
export type Place = number;

/** Why a connection is not served (canAcceptConnections). */
export const REFUSALS = [
  'startingUp', //   the database is not reachable yet, or the postmaster is on its way up
  'inRecovery', //   the database recovers, or a crash cycle is under way
  'shuttingDown', // a shutdown was asked for, a smart one, too
  'tooMany', //      maxConnections are served; or all but the reserved ones
  'cannotFork', //   the system has no process to give
] as const;

export type Refusal = (typeof REFUSALS)[number];

/** How the connections of a postmaster are served, checked: every default filled in. */
export interface BackendRegistration {
  readonly name: string;
  readonly type: string;
  readonly flags: readonly WorkerFlag[];
  /** null: as the postmaster launches by default. */
  readonly launch: 'fork' | 'exec' | null;
  readonly database: string | null;
  readonly user: string | null;
  readonly allowInHotStandby: boolean;
  readonly allowHalfOpen: boolean;
  readonly noDelay: boolean;
  /** null: the kernel does not ask. */
  readonly keepAlive: KeepAliveNumbers | null;
  /** What a client reads that is not served. */
  readonly refusals: Readonly<Record<Refusal, Uint8Array>>;
}

/** One connection. */
export interface Client {
  readonly connection: ConnectionId;
  readonly peer: Peer;
  /** It came in where the last, reserved places may be used. */
  readonly isReserved: boolean;
  readonly since: Instant;
}

/** A connection that is not served yet; `refusal` null: it is still to be judged. */
export interface Arrival {
  readonly client: Client;
  readonly refusal: Refusal | null;
}

/** A backend has no interval to wait, and is out of the book when it is gone. */
export type BackendStanding = Exclude<Standing, { readonly kind: 'due' | 'gone' }>;

export interface Backend {
  readonly place: Place;
  readonly registration: BackendRegistration;
  /** null: it is a spare one, and waits for its client. */
  readonly client: Client | null;
  /** State.serverLosses when it was asked for. */
  readonly serverLosses: number;
  readonly standing: BackendStanding;
}

/**
 * `none`: nobody listens; `due`, `opening`: the addresses are to be bound; `bound`: clients can
 * connect, and wait until the launcher can serve them; `accepting`: from then on to the end.
 */
export type Listening = 'none' | 'due' | 'opening' | 'bound' | 'accepting';

export interface ClientLimits {
  readonly maxConnections: number;
  /** The last of them, for the reserved listeners. */
  readonly reservedConnections: number;
  readonly spareBackends: number;
}

/** The part of the state that is about clients. */
export interface Clients {
  readonly limits: ClientLimits;
  readonly listening: Listening;
  /** null: the launcher has not announced it yet. */
  readonly registration: BackendRegistration | null;
  /** In the order in which they were accepted. */
  readonly arrivals: readonly Arrival[];
  /** By place. */
  readonly backends: SlotMap<Backend>;
  /** The next number for a backend's child, see childNumbers(). */
  readonly nextChild: ChildId;
  /** After a spare one that came to nothing: not before this. */
  readonly spareNotBefore: Instant;
  /**
   * A smart shutdown was asked for and waits for the last client (connsAllowed is false); null:
   * none, or it has become the state's `shutdown`.
   */
  readonly smartSince: Instant | null;
  /** Why the last connection was refused; null: it was served. For the log, which tells it once. */
  readonly refusing: Refusal | null;
}

export type ClientEvent =
  /** All addresses are bound. */
  | { readonly kind: 'listening' }
  /** One could not be, or there is nobody who could serve. */
  | { readonly kind: 'listen-failed'; readonly error: Error }
  /** How connections are served; comes before 'launcher-ready'. */
  | { readonly kind: 'backend-announced'; readonly registration: BackendRegistration }
  | {
      readonly kind: 'connected';
      readonly connection: ConnectionId;
      readonly peer: Peer;
      readonly isReserved: boolean;
    }
  | {
      readonly kind: 'backend-forked';
      readonly place: Place;
      readonly child: ChildId;
      readonly pid: Pid;
    }
  | {
      readonly kind: 'backend-not-forked';
      readonly place: Place;
      readonly child: ChildId;
      /** Which step failed, and what the system said. */
      readonly call: string;
      readonly why: string;
    }
  /** A spare one has its connection. */
  | { readonly kind: 'handed-over'; readonly place: Place; readonly connection: ConnectionId }
  /** A spare one did not take its connection: it was dead already, and ends if it is not. */
  | { readonly kind: 'not-handed-over'; readonly place: Place; readonly connection: ConnectionId }
  | {
      readonly kind: 'backend-exited';
      readonly place: Place;
      readonly child: ChildId;
      readonly exit: Exit;
    };

export type ClientAction =
  /** Bind the addresses. */
  | { readonly kind: 'listen' }
  | { readonly kind: 'accept-connections' }
  /** Say why, and close. */
  | { readonly kind: 'refuse'; readonly connection: ConnectionId; readonly reason: Refusal }
  /** Ask the launcher for a backend; `connection` null: a spare one. */
  | {
      readonly kind: 'fork-backend';
      readonly place: Place;
      readonly child: ChildId;
      readonly connection: ConnectionId | null;
    }
  /** Give a connection to a spare one. */
  | { readonly kind: 'hand-over'; readonly place: Place; readonly connection: ConnectionId }
  | { readonly kind: 'end-backend'; readonly place: Place; readonly signal: EndingSignal };

const CLIENT_ACTIONS: Readonly<Record<ClientAction['kind'], true>> = {
  listen: true,
  'accept-connections': true,
  refuse: true,
  'fork-backend': true,
  'hand-over': true,
  'end-backend': true,
};

export function isClientAction(action: { readonly kind: string }): action is ClientAction {
  return action.kind in CLIENT_ACTIONS;
}

export const NO_CLIENTS: ClientLimits = {
  maxConnections: 0,
  reservedConnections: 0,
  spareBackends: 0,
};

/** Backends have numbers of their own towards the launcher; a worker's are below. */
export const FIRST_BACKEND_CHILD: ChildId = 0x4000_0000;
export const LAST_BACKEND_CHILD: ChildId = 0x7fff_ffff;

export function isBackendChild(child: ChildId): boolean {
  return child >= FIRST_BACKEND_CHILD && child <= LAST_BACKEND_CHILD;
}

export function initialClients(limits: ClientLimits): Clients {
  return {
    limits,
    listening: limits.maxConnections === 0 ? 'none' : 'due',
    registration: null,
    arrivals: [],
    backends: SlotMap.of(),
    nextChild: FIRST_BACKEND_CHILD,
    spareNotBefore: 0,
    smartSince: null,
    refusing: null,
  };
}

/** How many connections have a backend. Spare ones have no client, and one that leaves still has. */
export function clientCount({ backends }: Clients): number {
  let count = 0;
  for (const { client } of backends.values()) if (client !== null) count++;
  return count;
}
