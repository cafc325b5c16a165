// plan.ts: what is to be done now, and when to look again. Pure: it reads the state and the clock.
//
// Called once per turn of the ServerLoop. It looks at everything again each time, so a wake-up
// that got lost costs a turn and not a worker. It names at most one start of a worker a turn:
// whatever else wants the loop (connections, signals, exits) gets it before the next one.

import type { Action } from '../model/action.ts';
import { isNormal } from '../model/phase.ts';
import type { Instant } from '../model/standing.ts';
import type { State } from '../model/state.ts';
import { dispatch, nextSpareAt, openDoors, refillSpares } from './backends.ts';
import {
  endBackends,
  endLauncher,
  endServer,
  endStartup,
  endWorkers,
  nextStrongerAt,
} from './end.ts';
import { movePhase } from './phases.ts';
import { nextStartAt, startNext } from './start.ts';

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
    ...endBackends(state, now),
    ...endStartup(state, now),
    ...endServer(state, now),
    ...endLauncher(state, now),
    ...move,
    // What may start is asked in the new phase, on the next turn: the old one may allow too much.
    ...(move.length === 0 ? starts(state, now) : []),
  ];
  // What was done changes the state, and the turn after it computes the next wake-up.
  if (actions.length > 0) return { actions, wakeAt: null };
  const wakeUps = [nextStartAt(state, now), nextSpareAt(state, now), nextStrongerAt(state)];
  return { actions, wakeAt: wakeUps.reduce(earliest) };
}

/** Clients before workers, and what is made ahead of need last. */
function* starts(state: State, now: Instant): Generator<Action> {
  yield* openDoors(state);
  yield* dispatch(state);
  yield* startNext(state, now);
  yield* refillSpares(state, now);
}

/**
 * Who is gone. And on the way down dynamic workers without a process: none is started any more, and
 * who waits for one waits for nothing (ForgetUnstartedBackgroundWorkers). For a static one nobody
 * can wait.
 */
function* forgetGone({ workers, phase, shutdown }: State): Generator<Action> {
  const isEnding = shutdown !== null && !isNormal(phase);
  for (const { slot, staticIndex, standing } of workers.values()) {
    const isUnstarted = isEnding && standing.kind === 'due' && staticIndex === null;
    if (standing.kind === 'gone' || isUnstarted) yield { kind: 'forget', slot };
  }
}

function* reload(state: State): Generator<Action> {
  if (state.reloadPending && state.shutdown === null) yield { kind: 'reload' };
}

function earliest(a: Instant | null, b: Instant | null): Instant | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
