// report.ts: what the postmaster logs of an event: PostgreSQL's lines, at PostgreSQL's levels.
//
// Pure: an event and the states before and after it, in; lines, out. A crash cycle is reported
// once, by its first crash; what follows from it is no news.

import * as messages from './messages.ts';
import type { Action } from './model/action.ts';
import { isClientAction } from './model/clients.ts';
import type { Event } from './model/event.ts';
import type { Exit } from './model/exit.ts';
import type { Phase } from './model/phase.ts';
import { isAlive, unreachable } from './model/standing.ts';
import { hasLostItsServer, type State, type Worker } from './model/state.ts';
import { type Line, ofClientAction, ofClientEvent } from './report-clients.ts';

export type { Line };

export function report(event: Event, before: State, after: State): Line[] {
  const lines = [...ofEvent(event, before, after)];
  if (beginsCrash(before, after)) {
    lines.push({ level: 'warn', text: messages.terminatingOthers });
  }
  if (before.failure.kind === 'none' && after.failure.kind === 'failed') {
    lines.push({ level: 'error', text: after.failure.error.message });
  }
  return lines;
}

function* ofEvent(event: Event, before: State, after: State): Generator<Line> {
  switch (event.kind) {
    case 'exited': {
      const worker = workerOf(event, before);
      if (worker === undefined || !('pid' in worker.standing)) return;
      const text = messages.exited(worker.registration, worker.standing.pid, event.exit);
      const isNews = beginsCrash(before, after) || !isExpected(event.exit, worker, before);
      yield { level: isNews ? 'info' : 'debug', text };
      return;
    }
    case 'fork-failed': {
      const worker = workerOf(event, before);
      if (worker === undefined) return;
      const text = messages.forkFailed(worker.registration, event.call, event.why);
      yield { level: 'error', text };
      return;
    }
    case 'registered':
      // A refusal is the registrant's to tell; it is an error there.
      if (before.workers === after.workers) return;
      yield { level: 'debug', text: messages.registering(event.registration) };
      return;
    case 'database':
      // That our own server goes away during a shutdown is no news.
      if (before.shutdown !== null) return;
      if (event.detail !== null) {
        yield { level: 'info', text: messages.databaseAway(event.state, event.detail) };
      }
      yield* ofServerLoss(before, after);
      return;
    case 'server-exited':
      yield* ofServerLoss(before, after);
      return;
    case 'startup-exited': {
      const { startup } = before;
      if (startup.kind !== 'running' && startup.kind !== 'stopping') return;
      const isNews = after.failure !== before.failure || beginsCrash(before, after);
      const text = messages.startupExited(startup.pid, event.exit);
      yield { level: isNews ? 'info' : 'debug', text };
      return;
    }
    case 'stop':
      // An equal or weaker request than the one under way is ignored.
      if (before.shutdown !== after.shutdown) {
        yield { level: 'info', text: messages.receivedShutdown(event.mode) };
      } else if (before.clients.smartSince !== after.clients.smartSince) {
        yield { level: 'info', text: messages.receivedShutdown(event.mode) };
        yield { level: 'info', text: messages.waitingForClients };
      }
      return;
    case 'done':
      yield* ofAction(event.action, before);
      return;
    case 'listening':
    case 'listen-failed':
    case 'backend-announced':
    case 'connected':
    case 'backend-forked':
    case 'backend-not-forked':
    case 'handed-over':
    case 'not-handed-over':
    case 'backend-exited':
      yield* ofClientEvent(event, before, after);
      return;
    case 'launcher-ready':
    case 'launcher-failed':
    case 'launcher-exited':
    case 'forked':
    case 'up':
    case 'server-started':
    case 'server-failed':
    case 'startup-started':
    case 'startup-not-started':
    case 'startup-consistent':
    case 'database-refused':
    case 'memory-ready':
    case 'memory-failed':
    case 'terminate':
    case 'reload':
    case 'lock-file-lost':
      return;
    default:
      return unreachable(event);
  }
}

/** The worker whose present child the event speaks of; of an earlier child there is no news. */
function workerOf({ slot, child }: { slot: number; child: number }, state: State) {
  const worker = state.workers.get(slot);
  if (worker === undefined || !('child' in worker.standing)) return undefined;
  return worker.standing.child === child ? worker : undefined;
}

/** Said once, and not at all if it concerns nobody. */
function* ofServerLoss(before: State, after: State): Generator<Line> {
  if (before.serverLosses === after.serverLosses || before.shutdown !== null) return;
  for (const one of [...after.workers.values(), ...after.clients.backends.values()]) {
    if (!isAlive(one.standing) || !hasLostItsServer(after, one)) continue;
    yield { level: 'warn', text: messages.serverLost };
    return;
  }
}

/** Whose exit begins a crash cycle is the reason for all that follows, and always told. */
function beginsCrash(before: State, after: State): boolean {
  return before.crash.kind === 'none' && after.crash.kind === 'ending';
}

/** Done is done, and who was told to end, or went down with somebody else's crash, is no news. */
function isExpected({ cause }: Exit, { standing }: Worker, { crash }: State): boolean {
  const isDone = cause.kind === 'code' && cause.code === 0;
  return isDone || standing.kind === 'stopping' || crash.kind === 'ending';
}

function* ofAction(action: Action, state: State): Generator<Line> {
  if (isClientAction(action)) return yield* ofClientAction(action, state);
  switch (action.kind) {
    case 'enter':
      yield ofPhase(action.phase);
      return;
    case 'fork': {
      const worker = state.workers.get(action.slot);
      if (worker) yield { level: 'debug', text: messages.starting(worker.registration) };
      return;
    }
    case 'forget': {
      const worker = state.workers.get(action.slot);
      if (worker) yield { level: 'debug', text: messages.unregistering(worker.registration) };
      return;
    }
    case 'end-worker': {
      const standing = state.workers.get(action.slot)?.standing;
      // The first word is no news; that it had to be said again is.
      if (standing?.kind === 'stopping') {
        yield { level: 'warn', text: messages.killing(action.signal, [standing.pid]) };
      }
      return;
    }
    case 'end-startup-process': {
      const { startup } = state;
      if (startup.kind === 'stopping') {
        yield { level: 'warn', text: messages.killing(action.signal, [startup.pid]) };
      }
      return;
    }
    case 'reset-memory':
      yield { level: 'info', text: messages.reinitializing };
      return;
    case 'reload':
      yield { level: 'info', text: messages.reloading };
      return;
    case 'end-launcher':
      yield { level: 'error', text: messages.launcherSilent };
      return;
    case 'start-launcher':
    case 'start-server':
    case 'end-server':
    case 'start-startup-process':
    case 'initialize-memory':
    case 'finish':
      return;
    default:
      return unreachable(action);
  }
}

function ofPhase(phase: Phase): Line {
  if (phase === 'HOT_STANDBY' || phase === 'RUN') {
    return { level: 'info', text: messages.readyIn(phase) };
  }
  if (phase === 'STOP_BACKENDS') return { level: 'info', text: messages.abortingWorkers };
  return { level: 'debug', text: `phase is now ${phase}` };
}
