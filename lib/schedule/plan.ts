// plan.ts: what is to be done now, and when to look again. Pure: it reads the state and the clock.
//
// Called once per turn of the ServerLoop. It looks at everything again each time, so a wake-up
// that got lost costs a turn and not a worker. It names at most one fork a turn: whatever else
// wants the loop (connections, signals, exits) gets it before the next worker is started.

import type { Action } from '../model/action.ts';
import type { Instant } from '../model/standing.ts';
import type { State } from '../model/state.ts';
import { endLauncher, endServer, endWorkers, nextStrongerAt } from './end.ts';
import { movePhase } from './phases.ts';
import { nextStartAt, startNext } from './start.ts';
import { endStartup, startupStrongerAt } from './startup.ts';

export interface Plan {
  /** In this order. Each is reported back as the event 'done' before the next turn. */
  readonly actions: readonly Action[];
  /** When to take a turn although nothing has happened; null: only when something happens. */
  readonly wakeAt: Instant | null;
}

export function plan(state: State, now: Instant): Plan {
  if (state.course === 'done') return { actions: [], wakeAt: null };
  const move = [...movePhase(state)];
  const actions = [
    ...forgetGone(state),
    ...reload(state),
    ...endWorkers(state, now),
    ...endServer(state, now),
    ...endStartup(state, now),
    ...endLauncher(state, now),
    ...move,
    // What may start is asked in the new phase, on the next turn: the old one may allow too much.
    ...(move.length === 0 ? startNext(state, now) : []),
  ];
  // What was done changes the state, and the turn after it computes the next wake-up.
  if (actions.length > 0) return { actions, wakeAt: null };
  const strongerAt = earliest(nextStrongerAt(state), nextStartupAt(state));
  return { actions, wakeAt: earliest(nextStartAt(state, now), strongerAt) };
}

function* forgetGone(state: State): Generator<Action> {
  for (const { slot, standing } of state.workers.values()) {
    if (standing.kind === 'gone') yield { kind: 'forget', slot };
  }
}

function* reload(state: State): Generator<Action> {
  if (state.reloadPending && state.shutdown === null) yield { kind: 'reload' };
}

function nextStartupAt(state: State): Instant | null {
  const at = startupStrongerAt(state);
  return Number.isFinite(at) ? at : null;
}

function earliest(a: Instant | null, b: Instant | null): Instant | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
