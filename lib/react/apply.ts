// apply.ts: state and event in, next state out. Pure; the only place where a state is made.
//
// A switch without a hole over the closed set of events. What concerns one worker stands in
// workers.ts, what an action leaves behind in done.ts.

import type { Event, Occurrence } from '../model/event.ts';
import { type Instant, unreachable } from '../model/standing.ts';
import { SHUTDOWN_MODES, type ShutdownMode, type State } from '../model/state.ts';
import { applyClient, loseBackendRequests } from './backends.ts';
import { beginCrash, fail } from './crash.ts';
import { moveDatabase } from './database.ts';
import { applyDone } from './done.ts';
import { awaitLastClient, concludeSmart, hasClientToWaitFor } from './smart.ts';
import { announceStartup, applyStartup, loseStartupRequest } from './startup.ts';
import {
  announceStatic,
  loseRequests,
  register,
  terminate,
  workerExited,
  workerForked,
  workerNotForked,
  workerUp,
} from './workers.ts';

export function apply(state: State, { at, event }: Occurrence): State {
  if (state.course === 'done') return state;
  switch (event.kind) {
    case 'launcher-ready':
      return announceStatic(
        {
          ...announceStartup(state, event.startupProcess),
          launcher: { kind: 'ready', pid: event.pid, startupHooks: event.startupHooks },
          memory: event.startupHooks ? 'raw' : 'ready',
        },
        event.workers,
        at,
      );
    case 'launcher-failed':
      return fail({ ...state, launcher: { kind: 'failed' } }, event.error, at);
    case 'launcher-exited':
      return launcherExited(state, at);
    case 'forked':
      return workerForked(state, event, at);
    case 'up':
      return workerUp(state, event.child);
    case 'fork-failed':
      return workerNotForked(state, event, at);
    case 'exited':
      return workerExited(state, event, at);
    case 'server-started':
    case 'server-failed':
    case 'server-exited':
      return applyServer(state, event, at);
    case 'database':
      return moveDatabase(state, event.state, at);
    case 'database-refused':
      return fail(state, event.error, at);
    case 'startup-started':
    case 'startup-not-started':
    case 'startup-consistent':
    case 'startup-exited':
      return applyStartup(state, event, at);
    case 'memory-ready':
      return state.memory === 'initializing' ? { ...state, memory: 'ready' } : state;
    case 'memory-failed':
      return state.memory === 'initializing' ? fail(state, event.error, at) : state;
    case 'registered':
      return register(state, event, at);
    case 'terminate':
      return terminate(state, event);
    case 'stop':
      return requestShutdown(state, event.mode, at);
    case 'reload':
      return { ...state, reloadPending: state.shutdown === null };
    case 'lock-file-lost':
      return requestShutdown(state, 'immediate', at);
    case 'listening':
    case 'listen-failed':
    case 'backend-announced':
    case 'connected':
    case 'backend-forked':
    case 'backend-not-forked':
    case 'handed-over':
    case 'not-handed-over':
    case 'backend-exited':
      return applyClient(state, event, at);
    case 'done':
      return applyDone(state, event.action, at);
    default:
      return unreachable(event);
  }
}

/** Escalation only: an equal or weaker request than the one under way changes nothing. */
export function requestShutdown(state: State, mode: ShutdownMode, at: Instant): State {
  const strength = SHUTDOWN_MODES.indexOf(mode);
  if (state.shutdown !== null && SHUTDOWN_MODES.indexOf(state.shutdown.mode) >= strength) {
    return state;
  }
  if (mode === 'smart' && hasClientToWaitFor(state)) return awaitLastClient(state, at);
  return concludeSmart({ ...state, shutdown: { mode, since: at }, reloadPending: false }, at);
}

/** All of its children die with it, attached or not: that is one crash cycle. */
function launcherExited(state: State, at: Instant): State {
  const without: State = { ...state, launcher: { kind: 'absent' }, memory: 'raw', booting: null };
  return loseStartupRequest(loseBackendRequests(loseRequests(beginCrash(without, at), at)));
}

type ServerEvent = Extract<Event, { kind: `server-${string}` }>;

function applyServer(state: State, event: ServerEvent, at: Instant): State {
  const { server } = state;
  switch (event.kind) {
    case 'server-started':
      if (server.kind === 'starting') {
        return { ...state, server: { kind: 'running', pid: event.pid } };
      }
      // It was told to end while it was being prepared, and came up all the same.
      return server.kind === 'stopping'
        ? { ...state, server: { ...server, pid: event.pid } }
        : state;
    case 'server-failed':
      return fail(
        { ...moveDatabase(state, 'unreachable', at), server: { kind: 'none' } },
        event.error,
        at,
      );
    case 'server-exited':
      return {
        ...moveDatabase(state, 'unreachable', at),
        server:
          state.shutdown === null
            ? { kind: 'due', notBefore: at + state.limits.serverRestartMs }
            : { kind: 'none' },
      };
    default:
      return unreachable(event);
  }
}
