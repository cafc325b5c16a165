// backend-options.ts: what a user writes to serve the connections of a postmaster.
//
// The docstrings here are the manual of each field; the rules are in register/check-backend.ts.

import type { Socket } from 'node:net';
import type { Refusal } from '../model/clients.ts';
import type { WorkerFlag } from '../model/registration.ts';
import type { Backend } from './backend.ts';

/**
 * Serves one connection, in a process of its own.
 *
 * A main that returns a promise is over when that is settled: what it wrote is sent, the connection
 * is closed, exit code 0. One that returns nothing has left its connection to handlers: it is over
 * when the connection is closed. A throw is logged and is exit code 1; nobody else notices.
 */
export type BackendMain = (connection: Socket, backend: Backend) => unknown;

/** How the kernel finds out whether a silent client is still there; what is left out is its own. */
export interface KeepAliveOptions {
  /** Seconds of silence before the first question (tcp_keepalives_idle). */
  readonly idle?: number;
  /** Seconds between two questions (tcp_keepalives_interval). */
  readonly interval?: number;
  /** Unanswered questions until the connection is lost (tcp_keepalives_count). */
  readonly count?: number;
}

/** What `registerBackend()` takes besides its main. */
export interface BackendOptions {
  /** As a worker's: SHMEM_ACCESS and BACKEND_DATABASE_CONNECTION. Default: none. */
  readonly flags?: readonly WorkerFlag[];
  /** 'exec': a fresh node instead of a fork. Default: the postmaster's. */
  readonly launch?: 'fork' | 'exec';
  /** The default database of `backend.connect()`. */
  readonly database?: string;
  /** The default user of `backend.connect()`. */
  readonly user?: string;
  /** false: nobody is served while the database is read-only. Default: true. */
  readonly allowInHotStandby?: boolean;
  /** true: who has said all it has to say still gets its answer, as in node:net. Default: false. */
  readonly allowHalfOpen?: boolean;
  /** TCP_NODELAY: small answers go at once. Default: true. */
  readonly noDelay?: boolean;
  /** Default: true, with the system's own numbers. */
  readonly keepAlive?: boolean | KeepAliveOptions;
  /**
   * What a client reads that is not served, by reason; at most 8192 bytes each. Data and no
   * functions: they are sent by the postmaster, which runs none of your code. Default: a line each.
   */
  readonly refusals?: Partial<Readonly<Record<Refusal, string | Uint8Array>>>;
}
