// done.ts: what an action leaves behind in the state, once perform.ts has carried it out.

import type { Action } from '../model/action.ts';
import { isClientAction } from '../model/clients.ts';
import { type Instant, isAlive, unreachable } from '../model/standing.ts';
import type { State } from '../model/state.ts';
import { applyClientDone } from './backends-done.ts';
import { afterEndStartup, resetStartup } from './startup.ts';
import { resetWorkers, withStanding } from './workers.ts';

export function applyDone(state: State, action: Action, at: Instant): State {
  if (isClientAction(action)) return applyClientDone(state, action, at);
  switch (action.kind) {
    case 'start-launcher':
      return { ...state, launcher: { kind: 'starting' } };
    case 'start-server':
      return { ...state, server: { kind: 'starting' } };
    case 'fork':
      return afterForkRequest(state, action);
    case 'end-worker':
      return afterEndWorker(state, action, at);
    case 'end-server':
      return afterEndServer(state, action, at);
    case 'start-startup-process':
      return { ...state, startup: { kind: 'starting' } };
    case 'end-startup-process':
      return afterEndStartup(state, action.signal, at);
    case 'end-launcher':
      return { ...state, launcher: { kind: 'ending' } };
    case 'reload':
      return { ...state, reloadPending: false };
    case 'enter':
      return { ...state, phase: action.phase };
    case 'forget':
      return forget(state, action.slot);
    case 'reset-memory':
      return resetWorkers(
        { ...resetStartup(state), crash: { kind: 'none' }, memory: memoryAfterReset(state) },
        at,
      );
    case 'initialize-memory':
      return { ...state, memory: 'initializing' };
    case 'finish':
      return { ...state, course: 'done' };
    default:
      return unreachable(action);
  }
}

type Of<K extends Action['kind']> = Extract<Action, { kind: K }>;

/** Without a launcher nobody knows of hooks; the next one will say. */
function memoryAfterReset({ launcher }: State): State['memory'] {
  return launcher.kind === 'ready' && !launcher.startupHooks ? 'ready' : 'raw';
}

function afterForkRequest(state: State, { slot, child }: Of<'fork'>): State {
  const worker = state.workers.get(slot);
  if (worker?.standing.kind !== 'due') return state;
  return {
    ...withStanding(
      state,
      { ...worker, serverLosses: state.serverLosses },
      { kind: 'forking', child },
    ),
    nextChild: child + 1,
  };
}

function afterEndWorker(state: State, { slot, signal }: Of<'end-worker'>, at: Instant): State {
  const worker = state.workers.get(slot);
  if (worker?.standing.kind !== 'running' && worker?.standing.kind !== 'stopping') return state;
  const { child, pid, since } = worker.standing;
  return withStanding(state, worker, {
    kind: 'stopping',
    child,
    pid,
    since,
    told: signal,
    toldAt: at,
  });
}

function afterEndServer(state: State, { signal }: Of<'end-server'>, at: Instant): State {
  const { server } = state;
  if (server.kind === 'none' || server.kind === 'due')
    return { ...state, server: { kind: 'none' } };
  const pid = server.kind === 'starting' ? null : server.pid;
  return { ...state, server: { kind: 'stopping', pid, told: signal, toldAt: at } };
}

function forget(state: State, slot: number): State {
  const worker = state.workers.get(slot);
  if (worker === undefined || isAlive(worker.standing)) return state;
  return { ...state, workers: state.workers.without(slot) };
}
