// startup.ts: when the startup process is to be started, and when it is to be told to end.

import type { Action } from '../model/action.ts';
import { ENDING_SIGNALS, type EndingSignal, type Instant } from '../model/standing.ts';
import type { State } from '../model/state.ts';
import { after, isStronger } from './end.ts';

/** Of a state in which things may be started, behind whatever initialises its memory. */
export function* startStartup({ startup, memory, phase }: State): Generator<Action> {
  // In INIT the phase moves first, as for every start.
  if (startup.kind === 'due' && memory === 'ready' && phase !== 'INIT') {
    yield { kind: 'start-startup-process' };
  }
}

export function* endStartup(state: State, now: Instant): Generator<Action> {
  const signal = signalForStartup(state, now);
  if (signal !== null) yield { kind: 'end-startup-process', signal };
}

/** When it is told more strongly, if it was told and does not end. */
export function startupStrongerAt({ startup, shutdown, limits }: State): Instant {
  if (startup.kind !== 'stopping') return Number.POSITIVE_INFINITY;
  switch (startup.told) {
    case 'SIGTERM':
      return Math.max(startup.toldAt, shutdown?.since ?? 0) + limits.shutdownMs;
    case 'SIGQUIT':
      return startup.toldAt + limits.quitMs;
    case 'SIGKILL':
      return Number.POSITIVE_INFINITY;
  }
}

/** What it must have been told by now; null: it may go on. It is attached: a crash is its, too. */
export function demandOnStartup({ shutdown, crash }: State): EndingSignal | null {
  if (shutdown?.mode === 'immediate' || crash.kind === 'ending') return 'SIGQUIT';
  return shutdown === null ? null : 'SIGTERM';
}

function signalForStartup(state: State, now: Instant): EndingSignal | null {
  const { startup } = state;
  if (startup.kind !== 'running' && startup.kind !== 'stopping') return null;
  const demand = demandOnStartup(state);
  if (startup.kind === 'running') return demand;
  if (demand !== null && isStronger(ENDING_SIGNALS, demand, startup.told)) return demand;
  return startupStrongerAt(state) <= now ? after(ENDING_SIGNALS, startup.told) : null;
}
