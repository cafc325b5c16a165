// smart.ts: the smart shutdown, which waits for the last client and is a shutdown only then.
//
// Until then nothing has changed but that no client is let in: workers run, and are started and
// started again, because clients may need them.

import { clientCount } from '../model/clients.ts';
import type { Instant } from '../model/standing.ts';
import type { State } from '../model/state.ts';

/** Is there a client that a smart shutdown of now would wait for? */
export function hasClientToWaitFor({ phase, crash, clients }: State): boolean {
  const isServing = phase === 'RUN' || phase === 'HOT_STANDBY';
  return isServing && crash.kind === 'none' && clientCount(clients) > 0;
}

/** From now on it waits. */
export function awaitLastClient(state: State, at: Instant): State {
  const { clients } = state;
  return { ...state, clients: { ...clients, smartSince: clients.smartSince ?? at } };
}

/** After each end of a backend: was that the last client? A crash is not waited out. */
export function concludeSmart(state: State, at: Instant): State {
  const { clients, crash, shutdown } = state;
  if (clients.smartSince === null) return state;
  const isOver = crash.kind !== 'none' || clientCount(clients) === 0;
  if (shutdown === null && !isOver) return state;
  return {
    ...state,
    shutdown: shutdown ?? { mode: 'smart', since: at },
    reloadPending: false,
    clients: { ...clients, smartSince: null },
  };
}
