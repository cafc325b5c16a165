// startup.ts: what the events do to the startup process, whose progress moves the phases.
//
// Its work is what a followed database is elsewhere: RECOVERY while it runs, HOT_STANDBY from the
// moment at which it calls its state consistent, RUN when it has left with exit code 0. It fills
// shared memory, so each new one of those needs it again; and a start without it is none, so its
// failure is the failure of the postmaster.

import { BgworkerError } from '../errors.ts';
import { startupFailed, startupNotStarted } from '../messages.ts';
import type { Event } from '../model/event.ts';
import type { Exit } from '../model/exit.ts';
import { type EndingSignal, type Instant, unreachable } from '../model/standing.ts';
import type { State } from '../model/state.ts';
import { isOrderly } from './classify.ts';
import { beginCrash, fail } from './crash.ts';

type StartupEvent = Extract<Event, { kind: `startup-${string}` }>;

/** The launcher said whether there is one. */
export function announceStartup(state: State, exists: boolean): State {
  if (exists) return { ...state, startup: { kind: 'due' }, database: 'unreachable' };
  if (state.startup.kind === 'none') return state;
  return { ...state, startup: { kind: 'none' }, database: 'primary' };
}

export function applyStartup(state: State, event: StartupEvent, at: Instant): State {
  const { startup } = state;
  switch (event.kind) {
    case 'startup-started':
      if (startup.kind !== 'starting') return state;
      return { ...state, startup: { kind: 'running', pid: event.pid }, database: 'recovering' };
    case 'startup-not-started':
      if (startup.kind !== 'starting') return state;
      return ended(state, startupNotStarted(event.call, event.why), at);
    case 'startup-consistent':
      return startup.kind === 'running' ? { ...state, database: 'standby' } : state;
    case 'startup-exited':
      if (startup.kind !== 'running' && startup.kind !== 'stopping') return state;
      return startupExited(state, event, at);
    default:
      return unreachable(event);
  }
}

/** A request that died with the launcher has no answer. */
export function loseStartupRequest(state: State): State {
  return state.startup.kind === 'starting' ? { ...state, startup: { kind: 'due' } } : state;
}

/** Memory is made anew, and with it everything that the startup process has to do. */
export function resetStartup(state: State): State {
  if (state.startup.kind === 'none') return state;
  return { ...state, startup: { kind: 'due' }, database: 'unreachable' };
}

export function afterEndStartup(state: State, signal: EndingSignal, at: Instant): State {
  const { startup } = state;
  if (startup.kind !== 'running' && startup.kind !== 'stopping') return state;
  const { pid } = startup;
  return { ...state, startup: { kind: 'stopping', pid, told: signal, toldAt: at } };
}

function startupExited(
  state: State,
  { exit, said }: Extract<StartupEvent, { kind: 'startup-exited' }>,
  at: Instant,
): State {
  const { startup, crash, shutdown } = state;
  const wasToldToQuit = startup.kind === 'stopping' && startup.told !== 'SIGTERM';
  const isCrash = !(isOrderly(exit) && exit.cleanDetach) && !wasToldToQuit;
  if (crash.kind === 'none' && shutdown === null && isDone(exit)) {
    return { ...state, startup: { kind: 'done' }, database: 'primary' };
  }
  const next = ended(state, startupFailed(exit, said), at);
  return isCrash ? beginCrash(next, at) : next;
}

/** In a crash cycle it is started again after it, and in a shutdown nobody needs it any more. */
function ended(state: State, sentence: string, at: Instant): State {
  const next: State = { ...state, startup: { kind: 'done' } };
  if (state.crash.kind !== 'none' || state.shutdown !== null) return next;
  return fail(next, new BgworkerError('ERR_STARTUP_FAILED', sentence), at);
}

function isDone({ cause, cleanDetach }: Exit): boolean {
  return cause.kind === 'code' && cause.code === 0 && cleanDetach;
}
