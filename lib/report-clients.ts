// report-clients.ts: what the postmaster logs of its clients. Pure, like report.ts, whose part it is.
//
// A storm of connections must not become a storm of lines: that somebody is refused is told when it
// begins, and again when the reason changes; each single connection is for those who debug.

import * as messages from './messages.ts';
import type { ClientAction, ClientEvent } from './model/clients.ts';
import type { Exit } from './model/exit.ts';
import { unreachable } from './model/standing.ts';
import type { State } from './model/state.ts';

export interface Line {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly text: string;
}

export function* ofClientEvent(event: ClientEvent, before: State, after: State): Generator<Line> {
  switch (event.kind) {
    case 'connected':
      yield { level: 'debug', text: messages.connectionReceived(event.peer) };
      return;
    case 'backend-not-forked': {
      const backend = ofChild(event, before);
      if (backend === undefined) return;
      const text = messages.backendNotForked(backend.client?.peer ?? null, event.call, event.why);
      yield { level: 'error', text };
      return;
    }
    case 'backend-exited': {
      const backend = ofChild(event, before);
      if (backend === undefined || !('pid' in backend.standing)) return;
      const { client, standing } = backend;
      const text = messages.backendExited(client?.peer ?? null, standing.pid, event.exit);
      const beginsCrash = before.crash.kind === 'none' && after.crash.kind === 'ending';
      const isExpected = standing.kind === 'stopping' || before.crash.kind === 'ending';
      const isNews = beginsCrash || (!isExpected && !isOrdinary(event.exit));
      yield { level: isNews ? 'info' : 'debug', text };
      return;
    }
    case 'listening':
    case 'listen-failed':
    case 'backend-announced':
    case 'backend-forked':
    case 'handed-over':
    case 'not-handed-over':
      return;
    default:
      return unreachable(event);
  }
}

export function* ofClientAction(action: ClientAction, before: State): Generator<Line> {
  if (action.kind !== 'refuse') return;
  const { arrivals, refusing } = before.clients;
  const arrival = arrivals.find(({ client }) => client.connection === action.connection);
  if (arrival === undefined) return;
  const text = messages.connectionRefused(arrival.client.peer, action.reason);
  yield { level: refusing === action.reason ? 'debug' : 'info', text };
}

/** The backend whose present child the event speaks of. */
function ofChild({ place, child }: { place: number; child: number }, { clients }: State) {
  const backend = clients.backends.get(place);
  return backend?.standing.child === child ? backend : undefined;
}

/** It has said itself why, or there is nothing to say. */
function isOrdinary({ cause, cleanDetach }: Exit): boolean {
  return cause.kind === 'code' && cause.code <= 1 && cleanDetach;
}
