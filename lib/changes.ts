// changes.ts: which workers an event has changed, and what is new of clients, for who shows them to
// others.

import type { Backend, Refusal } from './model/clients.ts';
import type { Event } from './model/event.ts';
import type { Exit } from './model/exit.ts';
import type { SlotIndex, State, Worker } from './model/state.ts';
import type { Peer } from './native.ts';

/**
 * One, or, when the launcher spoke or memory was made anew, perhaps all of them. Who is forgotten
 * is not among them.
 */
export function changedWorkers(event: Event, before: State, after: State): Worker[] {
  const subject = changedSlot(event);
  if (subject === null) {
    return [...after.workers.values()].filter((one) => before.workers.get(one.slot) !== one);
  }
  const worker = after.workers.get(subject);
  return worker === undefined ? [] : [worker];
}

/** The one worker that an event is about; null: it may be about all of them. */
export function changedSlot(event: Event): SlotIndex | null {
  const about = event.kind === 'done' ? event.action : event;
  return 'slot' in about ? about.slot : null;
}

export type ClientNews =
  | { readonly kind: 'connect'; readonly backend: Backend }
  | { readonly kind: 'disconnect'; readonly backend: Backend; readonly exit: Exit }
  | { readonly kind: 'refuse'; readonly reason: Refusal; readonly peer: Peer };

/** A client is served when a process is there that has its connection. */
export function* clientNews(event: Event, before: State, after: State): Generator<ClientNews> {
  const about = event.kind === 'done' ? event.action : event;
  switch (about.kind) {
    case 'backend-forked':
    case 'handed-over': {
      const backend = after.clients.backends.get(about.place);
      if (backend === undefined || backend.client === null) return;
      const isThere =
        about.kind === 'handed-over'
          ? backend.client.connection === about.connection
          : backend !== before.clients.backends.get(about.place);
      if (isThere) yield { kind: 'connect', backend };
      return;
    }
    case 'backend-exited': {
      const backend = before.clients.backends.get(about.place);
      if (backend?.client === null || after.clients.backends.has(about.place)) return;
      if (backend !== undefined) yield { kind: 'disconnect', backend, exit: about.exit };
      return;
    }
    case 'refuse': {
      const { connection, reason } = about;
      const found = before.clients.arrivals.find(({ client }) => client.connection === connection);
      if (found !== undefined) yield { kind: 'refuse', reason, peer: found.client.peer };
      return;
    }
    default:
  }
}
