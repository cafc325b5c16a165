// backends.ts: what the events do to connections and their backends.
//
// Every function takes a whole state and gives a whole state. An answer that belongs to an earlier
// child of the same place (its number differs) changes nothing.

import type {
  Arrival,
  Backend,
  BackendStanding,
  Client,
  ClientEvent,
  Clients,
  Place,
  Refusal,
} from '../model/clients.ts';
import { isAttached } from '../model/registration.ts';
import { type Instant, unreachable } from '../model/standing.ts';
import type { State } from '../model/state.ts';
import { isOrderly } from './classify.ts';
import { beginCrash, fail } from './crash.ts';
import { concludeSmart } from './smart.ts';

/** How long after a spare one came to nothing another is tried, in milliseconds. */
const SPARE_RETRY_MS = 1_000;

type Of<K extends ClientEvent['kind']> = Extract<ClientEvent, { kind: K }>;

export function applyClient(state: State, event: ClientEvent, at: Instant): State {
  switch (event.kind) {
    case 'listening':
      return state.clients.listening === 'opening'
        ? withClients(state, { listening: 'bound' })
        : state;
    case 'listen-failed':
      return fail(withClients(state, { listening: 'none' }), event.error, at);
    case 'backend-announced':
      return withClients(state, { registration: event.registration });
    case 'connected': {
      const { connection, peer, isReserved } = event;
      return arrive(state, { client: { connection, peer, isReserved, since: at }, refusal: null });
    }
    case 'backend-forked':
      return backendForked(state, event, at);
    case 'backend-not-forked':
      return backendNotForked(state, event, at);
    case 'handed-over':
      return state; // It was counted as served from the action on; this is for who looks on.
    case 'not-handed-over':
      return notHandedOver(state, event, at);
    case 'backend-exited':
      return backendExited(state, event, at);
    default:
      return unreachable(event);
  }
}

export function withClients(state: State, changes: Partial<Clients>): State {
  return { ...state, clients: { ...state.clients, ...changes } };
}

export function withBackend(state: State, backend: Backend): State {
  const { backends } = state.clients;
  return withClients(state, { backends: backends.with(backend.place, backend) });
}

/** Behind those that wait already. */
function arrive(state: State, arrival: Arrival): State {
  return withClients(state, { arrivals: [...state.clients.arrivals, arrival] });
}

/** The place is free again; whose backend never came to be is refused, if there is one. */
function withoutProcess(state: State, { place, client }: Backend, refusal: Refusal): State {
  const next = withoutBackend(state, place);
  return client === null ? next : arrive(next, { client, refusal });
}

function withoutBackend(state: State, place: Place): State {
  return withClients(state, { backends: state.clients.backends.without(place) });
}

/** The backend that the answer is about. */
function ofChild(
  state: State,
  { place, child }: { readonly place: Place; readonly child: number },
): Backend | undefined {
  const backend = state.clients.backends.get(place);
  return backend?.standing.child === child ? backend : undefined;
}

function backendForked(state: State, event: Of<'backend-forked'>, at: Instant): State {
  const backend = ofChild(state, event);
  if (backend?.standing.kind !== 'forking') return state;
  const { child, pid } = event;
  return withBackend(state, { ...backend, standing: { kind: 'running', child, pid, since: at } });
}

function backendNotForked(state: State, event: Of<'backend-not-forked'>, at: Instant): State {
  const backend = ofChild(state, event);
  if (backend?.standing.kind !== 'forking') return state;
  return concludeSmart(
    postponeSpare(withoutProcess(state, backend, 'cannotFork'), backend, at),
    at,
  );
}

/** The next one in its place would do the same, perhaps, and again, as fast as the machine can. */
function postponeSpare(state: State, { client }: Backend, at: Instant): State {
  return client === null ? withClients(state, { spareNotBefore: at + SPARE_RETRY_MS }) : state;
}

/** Its connection is first in line again; it is as good as told to end, and never asked again. */
function notHandedOver(state: State, event: Of<'not-handed-over'>, at: Instant): State {
  const backend = state.clients.backends.get(event.place);
  if (backend?.client?.connection !== event.connection) return state;
  const { standing, client } = backend;
  const ended: BackendStanding =
    standing.kind === 'running'
      ? { ...standing, kind: 'stopping', told: 'SIGTERM', toldAt: at }
      : standing;
  const next = withBackend(state, { ...backend, client: null, standing: ended });
  const arrivals = [{ client, refusal: null }, ...next.clients.arrivals];
  return concludeSmart(withClients(next, { arrivals }), at);
}

/** Whatever its code: it is gone, and only what it did to shared memory is anybody else's affair. */
function backendExited(state: State, event: Of<'backend-exited'>, at: Instant): State {
  const backend = ofChild(state, event);
  if (backend === undefined) return state;
  const { standing } = backend;
  const wasToldToQuit = standing.kind === 'stopping' && standing.told !== 'SIGTERM';
  const hasCrashed =
    isAttached(backend.registration) && !(isOrderly(event.exit) && event.exit.cleanDetach);
  const next =
    standing.kind === 'stopping'
      ? withoutBackend(state, backend.place)
      : postponeSpare(withoutBackend(state, backend.place), backend, at);
  return concludeSmart(hasCrashed && !wasToldToQuit ? beginCrash(next, at) : next, at);
}

/** The launcher died with requests that it had not answered: their connections are still ours. */
export function loseBackendRequests(state: State): State {
  let next = state;
  for (const backend of state.clients.backends.values()) {
    if (backend.standing.kind === 'forking') next = withoutProcess(next, backend, 'inRecovery');
  }
  return next;
}

/** It is dealt with. */
export function withoutArrival(
  state: State,
  connection: number,
): {
  readonly state: State;
  readonly client: Client | null;
} {
  const { arrivals } = state.clients;
  const found = arrivals.find(({ client }) => client.connection === connection);
  if (found === undefined) return { state, client: null };
  return {
    state: withClients(state, { arrivals: arrivals.filter((one) => one !== found) }),
    client: found.client,
  };
}
