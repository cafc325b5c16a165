// admission.ts: who is let in (canAcceptConnections), as one total function.

import type { Refusal } from '../model/clients.ts';
import type { Phase } from '../model/phase.ts';
import type { State } from '../model/state.ts';

/** Without a shutdown and a crash. The later phases belong to those, and pass. */
const CLOSED_IN: Readonly<Record<Phase, Refusal | null>> = {
  INIT: 'startingUp',
  STARTUP: 'startingUp',
  RECOVERY: 'inRecovery',
  HOT_STANDBY: null,
  RUN: null,
  STOP_BACKENDS: 'startingUp',
  WAIT_BACKENDS: 'startingUp',
  WAIT_XLOG_SHUTDOWN: 'startingUp',
  NO_CHILDREN: 'startingUp',
};

/** Why nobody is served now, however few there are; null: clients are served. */
export function closedBecause(state: State): Refusal | null {
  const { phase, shutdown, crash, launcher, memory, clients } = state;
  if (shutdown !== null || clients.smartSince !== null) return 'shuttingDown';
  if (crash.kind !== 'none') return 'inRecovery';
  const closed = CLOSED_IN[phase];
  if (closed !== null) return closed;
  if (clients.registration === null || launcher.kind !== 'ready' || memory !== 'ready') {
    return 'startingUp';
  }
  if (phase === 'HOT_STANDBY' && !clients.registration.allowInHotStandby) return 'inRecovery';
  return null;
}

/** `served`: how many are. The last places are for those that came in by a reserved listener. */
export function admit(state: State, isReserved: boolean, served: number): Refusal | null {
  const closed = closedBecause(state);
  if (closed !== null) return closed;
  const { maxConnections, reservedConnections } = state.clients.limits;
  const places = isReserved ? maxConnections : maxConnections - reservedConnections;
  return served < places ? null : 'tooMany';
}
