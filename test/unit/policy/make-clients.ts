// make-clients.ts: connections and backends for the tables, beside make.ts.

import type {
  Arrival,
  Backend,
  BackendRegistration,
  Client,
  ClientLimits,
  Clients,
} from '../../../lib/model/clients.ts';
import { initialClients, REFUSALS } from '../../../lib/model/clients.ts';
import { SlotMap } from '../../../lib/model/slot-map.ts';
import type { State } from '../../../lib/model/state.ts';
import { registration, up } from './make.ts';

export const CLIENT_LIMITS: ClientLimits = {
  maxConnections: 5,
  reservedConnections: 2,
  spareBackends: 0,
};

export function backendRegistration(
  changes: Partial<BackendRegistration> = {},
): BackendRegistration {
  const { flags, launch, database, user } = registration();
  return {
    name: 'client backend',
    type: 'client backend',
    flags,
    launch,
    database,
    user,
    allowInHotStandby: true,
    allowHalfOpen: false,
    noDelay: true,
    keepAlive: null,
    refusals: Object.fromEntries(
      REFUSALS.map((reason) => [reason, Buffer.from(reason)]),
    ) as unknown as BackendRegistration['refusals'],
    ...changes,
  };
}

export const attachedBackend = backendRegistration({ flags: ['SHMEM_ACCESS'] });

export function client(connection: number, changes: Partial<Client> = {}): Client {
  const peer = { kind: 'inet', address: '127.0.0.1', port: connection } as const;
  return { connection, peer, isReserved: false, since: 0, ...changes };
}

export function arrival(connection: number, changes: Partial<Client> = {}): Arrival {
  return { client: client(connection, changes), refusal: null };
}

export function backend(place: number, changes: Partial<Backend> = {}): Backend {
  return {
    place,
    registration: backendRegistration(),
    client: client(1_000 + place),
    serverLosses: 0,
    standing: { kind: 'running', child: 0x4000_0000 + place, pid: 2_000 + place, since: 0 },
    ...changes,
  };
}

export const spare = (place: number, changes: Partial<Backend> = {}): Backend =>
  backend(place, { client: null, ...changes });

/** A part of the state in which clients are served. */
export function clients(
  backends: readonly Backend[] = [],
  changes: Partial<Clients> = {},
): Clients {
  return {
    ...initialClients(CLIENT_LIMITS),
    listening: 'accepting',
    registration: backendRegistration(),
    backends: SlotMap.of(backends.map((one) => [one.place, one])),
    nextChild: 0x4000_0064,
    ...changes,
  };
}

/** Up, in RUN, with these backends and nobody else. */
export function serving(
  backends: readonly Backend[] = [],
  changes: Partial<Clients> = {},
  state: Partial<State> = {},
): State {
  return up([], { clients: clients(backends, changes), ...state });
}
