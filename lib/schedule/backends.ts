// backends.ts: what is to be done for clients: the doors, who is served by whom, and spare backends.
//
// All connections that have come in are dealt with in one turn, before the one worker start of the
// turn, and none of them waits for it.

import {
  type Backend,
  type ClientAction,
  type Clients,
  clientCount,
  FIRST_BACKEND_CHILD,
  LAST_BACKEND_CHILD,
  type Place,
} from '../model/clients.ts';
import { isNormal } from '../model/phase.ts';
import type { ChildId, Instant } from '../model/standing.ts';
import { hasLostItsServer, type State } from '../model/state.ts';
import { admit, closedBecause } from './admission.ts';

/** Bind first, so that an address in use is known before anything is loaded; accept when ready. */
export function* openDoors({ clients, phase, shutdown, launcher }: State): Generator<ClientAction> {
  if (!isNormal(phase) || shutdown !== null) return;
  if (clients.listening === 'due') yield { kind: 'listen' };
  const canServe = launcher.kind === 'ready' && clients.registration !== null;
  if (clients.listening === 'bound' && canServe) yield { kind: 'accept-connections' };
}

/** The launcher is not started before it is known that the addresses are ours. */
export function isOpeningDoors({ clients }: State): boolean {
  return clients.listening === 'due' || clients.listening === 'opening';
}

/** Each connection that waits: refused, given to a spare backend, or to one that is made for it. */
export function* dispatch(state: State): Generator<ClientAction> {
  const { clients } = state;
  if (clients.arrivals.length === 0) return;
  let served = clientCount(clients);
  const spares = idleSpares(state);
  const places = freePlaces(clients);
  const children = childNumbers(clients);
  for (const { client, refusal } of clients.arrivals) {
    const { connection } = client;
    const reason = refusal ?? admit(state, client.isReserved, served);
    if (reason !== null) {
      yield { kind: 'refuse', connection, reason };
      continue;
    }
    served++;
    const spare = spares.next();
    if (!spare.done) {
      yield { kind: 'hand-over', place: spare.value.place, connection };
      continue;
    }
    const place = places.next();
    // Spare ones that are not up yet, or not gone yet, have the other places: their news will come.
    if (place.done) continue;
    yield { kind: 'fork-backend', place: place.value, child: children.next().value, connection };
  }
}

/** At most one a turn, and none while one is under way: they are no hurry. */
export function* refillSpares(state: State, now: Instant): Generator<ClientAction> {
  const { clients } = state;
  if (clients.spareNotBefore > now || clients.arrivals.length > 0) return;
  if (!wantsSpare(state)) return;
  const place = freePlaces(clients).next();
  if (place.done) return;
  const child = childNumbers(clients).next().value;
  yield { kind: 'fork-backend', place: place.value, child, connection: null };
}

/** When refillSpares() will have something to do by time alone; null: not by that. */
export function nextSpareAt(state: State, now: Instant): Instant | null {
  const { clients } = state;
  if (clients.spareNotBefore <= now || clients.arrivals.length > 0) return null;
  if (!wantsSpare(state)) return null;
  return freePlaces(clients).next().done ? null : clients.spareNotBefore;
}

function wantsSpare(state: State): boolean {
  const { limits, backends } = state.clients;
  if (limits.spareBackends === 0 || closedBecause(state) !== null) return false;
  let spares = 0;
  for (const { client, standing } of backends.values()) {
    if (client !== null || standing.kind === 'stopping') continue;
    if (standing.kind === 'forking') return false;
    spares++;
  }
  return spares < limits.spareBackends;
}

/** Not who is being ended in this very turn, because it was forked before its server was lost. */
function* idleSpares(state: State): Generator<Backend, undefined> {
  for (const backend of state.clients.backends.values()) {
    const isIdle = backend.client === null && backend.standing.kind === 'running';
    if (isIdle && !hasLostItsServer(state, backend)) yield backend;
  }
}

function* freePlaces({ limits, backends }: Clients): Generator<Place, undefined> {
  for (let place = 0; place < limits.maxConnections; place++) {
    if (!backends.has(place)) yield place;
  }
}

/** Round and round through the backends' numbers, past those in use: there are a billion. */
function* childNumbers({ backends, nextChild }: Clients): Generator<ChildId, never> {
  const used = new Set<ChildId>();
  for (const { standing } of backends.values()) used.add(standing.child);
  for (let child = nextChild; ; child++) {
    if (child > LAST_BACKEND_CHILD) child = FIRST_BACKEND_CHILD;
    if (!used.has(child)) yield child;
  }
}
