// client.ts: a pg.Client that was told everything, and the parts of the protocol that pg leaves out.
//
// Left alone, pg fills gaps from PG* variables, pg.defaults and ~/.pgpass; here all of that has been
// decided already, by libpq's rules. What is added: what the server reports of itself without being
// asked (ParameterStatus), an answer without a statement (Sync), and a CancelRequest.

import { type EventEmitter, once } from 'node:events';
import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { native } from '../../native.ts';
import { connectMessages } from '../conninfo/messages.ts';
import {
  type ConnectionTarget,
  isSocketPath,
  type Keepalives,
  type TargetHost,
} from '../conninfo/target.ts';
import { orAborted } from './abort.ts';

export interface Endpoint {
  readonly host: TargetHost;
  /** An IP address, or the directory of a Unix socket. */
  readonly address: string;
  /** As messages name it. */
  readonly where: string;
}

export interface SessionSpec {
  readonly target: ConnectionTarget;
  readonly endpoint: Endpoint;
  /** null: plain. */
  readonly tls: ConnectionOptions | null;
  readonly applicationName: string | null;
  /** PostgreSQL's own settings, for this session. */
  readonly settings: Readonly<Record<string, string>>;
}

/** pg.Connection, of which the types say too little. */
interface Wire extends EventEmitter {
  connect(portOrPath: number | string, host?: string): void;
  requestSsl(): void;
  sync(): void;
  cancel(processId: number, secretKey: number): void;
  readonly stream: Socket;
}

/** A server that takes the request answers it by closing the connection, at once. */
const CANCEL_TIMEOUT_MS = 10_000;

export class TargetClient extends pg.Client {
  readonly endpoint: Endpoint;
  readonly #spec: SessionSpec;
  readonly #socket: Socket;
  readonly #startup: Record<string, string>;
  readonly #reported = new Map<string, string>();

  constructor(spec: SessionSpec, socket: Socket) {
    const { target, endpoint, tls } = spec;
    super({
      host: endpoint.address,
      port: endpoint.host.port,
      user: target.user,
      database: target.database,
      // A function even where there is none: an absent password sends pg to ~/.pgpass.
      password: endpoint.host.password ?? refuseToGuess,
      ssl: tls ?? false,
      sslnegotiation: negotiationOf(spec),
      client_encoding: 'UTF8',
      enableChannelBinding: false,
      // Set below, after libpq's rules; pg knows one of the four.
      keepAlive: false,
      connectionTimeoutMillis: 0,
      stream: () => socket,
    });
    this.endpoint = endpoint;
    this.#spec = spec;
    this.#socket = socket;
    this.#startup = startupOf(spec);
    this.#wire.on('parameterStatus', ({ parameterName, parameterValue }) => {
      this.#reported.set(parameterName, parameterValue);
    });
  }

  /** pg calls this for the startup packet, to which it then adds client_encoding. */
  getStartupConf(): Record<string, string> {
    return this.#startup;
  }

  /** What the server has said last of one of the settings that it reports (GUC_REPORT). */
  reported(setting: string): string | undefined {
    return this.#reported.get(setting);
  }

  /**
   * An answer of the server, with what it has to report, but without a statement: five bytes, no
   * transaction, no snapshot. Only while nothing runs. Rejects when the connection ends.
   */
  sync(): Promise<void> {
    const wire = this.#wire;
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => () => {
        wire.off('readyForQuery', answered).off('end', ended);
        act();
      };
      const answered = settle(resolve);
      const ended = settle(() => reject(connectMessages.ended()));
      wire.on('readyForQuery', answered).on('end', ended);
      wire.sync();
    });
  }

  /** It is lost, or being ended: pg takes no more queries. */
  get isOver(): boolean {
    const { _queryable, _ending } = this as unknown as { _queryable: boolean; _ending: boolean };
    return !_queryable || _ending;
  }

  /** Connected: from here on a dead peer is found out as the connection string says. */
  applyKeepalives(): void {
    if (isSocketPath(this.endpoint.address)) return;
    setKeepalives(this.#socket, this.#spec.target.keepalives);
  }

  /**
   * Asks the server to cancel what this session runs, on a connection of its own, with TLS where
   * the session has it (PQcancel). Resolves when the server has taken the request, which says
   * nothing about what became of it: the statement may have been over already.
   */
  async requestCancel(signal?: AbortSignal): Promise<void> {
    const { endpoint, tls } = this.#spec;
    const { processID, secretKey } = this as unknown as { processID: number; secretKey: number };
    const socket = new Socket();
    const wire = new pg.Connection({
      stream: socket,
      ssl: tls ?? false,
      sslNegotiation: negotiationOf(this.#spec),
    } as unknown as pg.ConnectionConfig) as unknown as Wire;
    const ask = () => wire.cancel(processID, secretKey);
    wire.once('connect', () => {
      if (tls === null) ask();
      else if (negotiationOf(this.#spec) !== 'direct') wire.requestSsl();
    });
    wire.once('sslconnect', ask);
    const patience = AbortSignal.timeout(CANCEL_TIMEOUT_MS);
    const giveUp = signal === undefined ? patience : AbortSignal.any([patience, signal]);
    try {
      const taken = once(wire, 'end');
      if (isSocketPath(endpoint.address)) {
        wire.connect(`${endpoint.address}/.s.PGSQL.${endpoint.host.port}`);
      } else wire.connect(endpoint.host.port, endpoint.address);
      await orAborted(taken, giveUp);
    } finally {
      wire.on('error', () => {}); // Whatever comes now, nobody waits for it.
      wire.stream.destroy();
      socket.destroy();
    }
  }

  get #wire(): Wire {
    return this.connection as unknown as Wire;
  }
}

function startupOf({ target, applicationName, settings }: SessionSpec): Record<string, string> {
  const replication = target.settings.replication ?? '';
  return {
    ...settings,
    user: target.user,
    database: target.database,
    ...(applicationName === null ? {} : { application_name: applicationName }),
    ...(replication === '' ? {} : { replication }),
    ...(target.options === '' ? {} : { options: target.options }),
  };
}

function negotiationOf({ target, tls }: SessionSpec): 'direct' | 'postgres' {
  return tls !== null && target.settings.sslnegotiation === 'direct' ? 'direct' : 'postgres';
}

function refuseToGuess(): never {
  throw connectMessages.noPassword();
}

/** The number of the descriptor is the one thing of a socket that Node does not say aloud. */
function setKeepalives(socket: Socket, keepalives: Keepalives): void {
  const descriptor = (socket as unknown as { _handle?: { fd?: number } | null })._handle?.fd;
  if (descriptor !== undefined && descriptor >= 0) native.setKeepalive(descriptor, keepalives);
}
