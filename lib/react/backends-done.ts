// backends-done.ts: what an action for clients leaves behind in the state.

import { type ClientAction, FIRST_BACKEND_CHILD, LAST_BACKEND_CHILD } from '../model/clients.ts';
import { type Instant, unreachable } from '../model/standing.ts';
import type { State } from '../model/state.ts';
import { withBackend, withClients, withoutArrival } from './backends.ts';

type Of<K extends ClientAction['kind']> = Extract<ClientAction, { kind: K }>;

export function applyClientDone(state: State, action: ClientAction, at: Instant): State {
  switch (action.kind) {
    case 'listen':
      return withClients(state, { listening: 'opening' });
    case 'accept-connections':
      return withClients(state, { listening: 'accepting' });
    case 'refuse':
      return withClients(withoutArrival(state, action.connection).state, {
        refusing: action.reason,
      });
    case 'fork-backend':
      return afterFork(state, action);
    case 'hand-over':
      return afterHandOver(state, action);
    case 'end-backend':
      return afterEnd(state, action, at);
    default:
      return unreachable(action);
  }
}

function afterFork(state: State, { place, child, connection }: Of<'fork-backend'>): State {
  const { registration, backends } = state.clients;
  if (registration === null || backends.has(place)) return state;
  const served = connection === null ? null : withoutArrival(state, connection);
  const next = withBackend(served?.state ?? state, {
    place,
    registration,
    client: served?.client ?? null,
    serverLosses: state.serverLosses,
    standing: { kind: 'forking', child },
  });
  const nextChild = child === LAST_BACKEND_CHILD ? FIRST_BACKEND_CHILD : child + 1;
  return withClients(next, connection === null ? { nextChild } : { nextChild, refusing: null });
}

function afterHandOver(state: State, { place, connection }: Of<'hand-over'>): State {
  const backend = state.clients.backends.get(place);
  const { state: next, client } = withoutArrival(state, connection);
  const isSpare = backend?.standing.kind === 'running' && backend.client === null;
  if (!isSpare || client === null) return state;
  return withClients(withBackend(next, { ...backend, client }), { refusing: null });
}

function afterEnd(state: State, { place, signal }: Of<'end-backend'>, at: Instant): State {
  const backend = state.clients.backends.get(place);
  if (backend === undefined || backend.standing.kind === 'forking') return state;
  const { child, pid, since } = backend.standing;
  return withBackend(state, {
    ...backend,
    standing: { kind: 'stopping', child, pid, since, told: signal, toldAt: at },
  });
}
