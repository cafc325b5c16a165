// end.ts: who is to be told to end, how strongly, and when more strongly.
//
// The demand on a child follows from the state; its standing says what it was told already. It is
// signalled when the demand is stronger than that, or when it was given its time and is still here.

import type { Action } from '../model/action.ts';
import { isNormal } from '../model/phase.ts';
import { isAttached, type Registration } from '../model/registration.ts';
import {
  ENDING_SIGNALS,
  type EndingSignal,
  type Instant,
  SERVER_SIGNALS,
  type ServerSignal,
  type Standing,
  unreachable,
} from '../model/standing.ts';
import { hasLostItsServer, type State } from '../model/state.ts';

/** What of a worker, a backend and the startup process says whether and how it is to end. */
export interface Mortal {
  readonly registration: Pick<Registration, 'flags' | 'database'> &
    Partial<Pick<Registration, 'body'>>;
  readonly standing: MortalStanding;
  /** State.serverLosses when it was asked for. */
  readonly serverLosses: number;
  /** Somebody asked for its end. */
  readonly terminated?: boolean;
}

type MortalStanding = Told<Standing>;

/** Of each standing, what counts here. */
type Told<S> = S extends unknown ? Pick<S, keyof S & ('kind' | 'told' | 'toldAt')> : never;

export function* endWorkers(state: State, now: Instant): Generator<Action> {
  for (const worker of state.workers.values()) {
    const signal = signalFor(state, worker, now);
    if (signal !== null) yield { kind: 'end-worker', slot: worker.slot, signal };
  }
}

export function* endBackends(state: State, now: Instant): Generator<Action> {
  for (const backend of state.clients.backends.values()) {
    const signal = signalFor(state, backend, now);
    if (signal !== null) yield { kind: 'end-backend', place: backend.place, signal };
  }
}

export function* endStartup(state: State, now: Instant): Generator<Action> {
  const startup = startupOf(state);
  const signal = startup === null ? null : signalFor(state, startup, now);
  if (signal !== null) yield { kind: 'end-startup-process', signal };
}

export function* endServer(state: State, now: Instant): Generator<Action> {
  const signal = signalForServer(state, now);
  if (signal !== null) yield { kind: 'end-server', signal };
}

/**
 * The launcher is who reaps. If what must have an answer from it has none, it is stopped or stuck,
 * and would hold up the end for ever: then it goes, and the kernel ends its children.
 */
export function* endLauncher(state: State, now: Instant): Generator<Action> {
  if (launcherEndsAt(state) <= now) yield { kind: 'end-launcher' };
}

/** When a child that was told to end is told so more strongly; null: nobody is, by time alone. */
export function nextStrongerAt(state: State): Instant | null {
  let next = launcherEndsAt(state);
  for (const one of everyone(state)) next = Math.min(next, strongerAt(state, one));
  next = Math.min(next, serverStrongerAt(state));
  return Number.isFinite(next) ? next : null;
}

/** All that the launcher may have a process for. */
export function* everyone(state: State): Generator<Mortal> {
  yield* state.workers.values();
  yield* state.clients.backends.values();
  const startup = startupOf(state);
  if (startup !== null) yield startup;
}

/** It is attached, and needs no server: it is itself what the phases follow. */
function startupOf({ startup, serverLosses }: State): Mortal | null {
  const registration = { flags: ['SHMEM_ACCESS'], database: null } as const;
  switch (startup.kind) {
    case 'none':
    case 'due':
    case 'done':
      return null;
    case 'starting':
      return { registration, serverLosses, standing: { kind: 'forking' } };
    case 'running':
    case 'stopping':
      return { registration, serverLosses, standing: startup };
    default:
      return unreachable(startup);
  }
}

/** What this one must have been told by now; null: it may go on. */
export function demandOn(state: State, one: Mortal): EndingSignal | null {
  const { shutdown, crash } = state;
  if (shutdown?.mode === 'immediate') return 'SIGQUIT';
  const isOfTheCrash =
    shutdown !== null || state.launcher.kind === 'absent' || isAttached(one.registration);
  if (crash.kind === 'ending' && isOfTheCrash) return 'SIGQUIT';
  const isToEnd = shutdown !== null || one.terminated || hasLostItsServer(state, one);
  return isToEnd ? 'SIGTERM' : null;
}

function signalFor(state: State, one: Mortal, now: Instant): EndingSignal | null {
  const { standing } = one;
  if (standing.kind !== 'running' && standing.kind !== 'stopping') return null;
  const demand = demandOn(state, one);
  if (standing.kind === 'running') return demand;
  if (demand !== null && isStronger(ENDING_SIGNALS, demand, standing.told)) return demand;
  return strongerAt(state, one) <= now ? after(ENDING_SIGNALS, standing.told) : null;
}

function strongerAt(state: State, { standing }: Mortal): Instant {
  if (standing.kind !== 'stopping') return Number.POSITIVE_INFINITY;
  switch (standing.told) {
    case 'SIGTERM':
      // Only a shutdown is in a hurry; a terminated worker takes the time it needs, as in PostgreSQL.
      return state.shutdown === null
        ? Number.POSITIVE_INFINITY
        : Math.max(standing.toldAt, state.shutdown.since) + state.limits.shutdownMs;
    case 'SIGQUIT':
      return standing.toldAt + state.limits.quitMs;
    case 'SIGKILL':
      return Number.POSITIVE_INFINITY;
  }
}

function demandOnServer(state: State): ServerSignal | null {
  if (state.shutdown?.mode === 'immediate') return 'SIGQUIT';
  if (state.phase === 'WAIT_XLOG_SHUTDOWN') return 'SIGINT';
  // Its parent is dead, and it was told so by the kernel; what is left is to be patient with it.
  if (state.crash.kind === 'ending' && state.launcher.kind === 'absent') return 'SIGINT';
  // Still being prepared: nobody can be connected to it, so there is no order to keep.
  return state.shutdown !== null && state.server.kind === 'starting' ? 'SIGINT' : null;
}

function signalForServer(state: State, now: Instant): ServerSignal | null {
  const { server } = state;
  const demand = demandOnServer(state);
  switch (server.kind) {
    case 'none':
      return null;
    case 'due':
      return state.shutdown !== null && !isNormal(state.phase) ? demand : null;
    case 'starting':
    case 'running':
      return demand;
    case 'stopping':
      if (demand !== null && isStronger(SERVER_SIGNALS, demand, server.told)) return demand;
      return serverStrongerAt(state) <= now ? after(SERVER_SIGNALS, server.told) : null;
  }
}

function serverStrongerAt({ server, limits }: State): Instant {
  if (server.kind !== 'stopping' || server.told === 'SIGKILL') return Number.POSITIVE_INFINITY;
  return server.toldAt + (server.told === 'SIGINT' ? limits.shutdownMs : limits.quitMs);
}

function launcherEndsAt(state: State): Instant {
  const { launcher, server, shutdown, crash, limits } = state;
  const never = Number.POSITIVE_INFINITY;
  if (launcher.kind !== 'ready') return never;
  const endingSince = Math.max(
    shutdown?.since ?? -never,
    crash.kind === 'ending' ? crash.since : -never,
  );
  if (endingSince === -never) return never;
  let unansweredSince = never;
  for (const { standing } of everyone(state)) {
    if (standing.kind === 'forking') unansweredSince = Math.min(unansweredSince, endingSince);
    if (standing.kind === 'stopping' && standing.told === 'SIGKILL') {
      unansweredSince = Math.min(unansweredSince, standing.toldAt);
    }
  }
  if (server.kind === 'stopping' && server.told === 'SIGKILL') {
    unansweredSince = Math.min(unansweredSince, server.toldAt);
  }
  return unansweredSince + limits.quitMs;
}

function isStronger<S extends string>(scale: readonly S[], one: S, other: S): boolean {
  return scale.indexOf(one) > scale.indexOf(other);
}

function after<S extends string>(scale: readonly S[], signal: S): S | null {
  return scale[scale.indexOf(signal) + 1] ?? null;
}
