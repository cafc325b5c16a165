// database.ts: what it means that the followed database comes and goes.

import { accepts, type DatabaseState } from '../model/phase.ts';
import { needsServer } from '../model/registration.ts';
import type { Instant } from '../model/standing.ts';
import type { State } from '../model/state.ts';

/**
 * A server that does not let anybody in any more is lost, and with it every connection: who was
 * started before needs a new one, even if the server is back within the same turn. When it is back,
 * who failed meanwhile is due at once, as after a crash cycle: the server was what was wrong.
 */
export function moveDatabase(state: State, database: DatabaseState, at: Instant): State {
  if (accepts(state.database) && !accepts(database)) {
    return { ...state, database, serverLosses: state.serverLosses + 1 };
  }
  const isBack = !accepts(state.database) && accepts(database) && state.serverLosses > 0;
  const next: State = { ...state, database };
  return isBack && state.limits.restartOnServerLoss ? hasten(next, at) : next;
}

function hasten(state: State, at: Instant): State {
  const workers = state.workers.map((worker) => {
    const { standing, registration } = worker;
    const waits = standing.kind === 'due' && standing.notBefore > at && needsServer(registration);
    return waits ? { ...worker, standing: { kind: 'due' as const, notBefore: at } } : worker;
  });
  return { ...state, workers };
}
