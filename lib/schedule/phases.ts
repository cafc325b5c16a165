// phases.ts: the next phase, if it is time for it (PostmasterStateMachine).
//
// On the way up the phases follow the database, or the startup process, back as well as forth. On the
// way down they follow what is still alive. A crash cycle goes down to WAIT_BACKENDS and up again from STARTUP.

import type { Action } from '../model/action.ts';
import { isNormal, PHASE_OF_DATABASE, type Phase } from '../model/phase.ts';
import { isAttached } from '../model/registration.ts';
import { isAlive } from '../model/standing.ts';
import type { State } from '../model/state.ts';
import { demandOn, everyone } from './end.ts';

export function* movePhase(state: State): Generator<Action> {
  const target = targetPhase(state);
  if (target !== state.phase) {
    yield { kind: 'enter', phase: target };
    return;
  }
  if (state.phase === 'WAIT_BACKENDS' && state.shutdown === null && state.crash.kind === 'ending') {
    if (!anyoneLeftOfCrash(state)) yield { kind: 'reset-memory' };
  }
  if (state.phase === 'NO_CHILDREN') yield { kind: 'finish', exitCode: exitCode(state) };
}

function targetPhase(state: State): Phase {
  const { phase } = state;
  if (isNormal(phase)) {
    if (state.crash.kind === 'ending') return 'WAIT_BACKENDS';
    if (state.shutdown !== null) return 'STOP_BACKENDS';
    return onTheWayUp(state);
  }
  switch (phase) {
    case 'STOP_BACKENDS':
      return anyoneUntold(state) ? phase : 'WAIT_BACKENDS';
    case 'WAIT_BACKENDS':
      if (state.shutdown !== null) return anyoneAlive(state) ? phase : 'WAIT_XLOG_SHUTDOWN';
      return state.crash.kind === 'none' ? 'STARTUP' : phase;
    case 'WAIT_XLOG_SHUTDOWN':
      return state.server.kind === 'none' ? 'NO_CHILDREN' : phase;
    default:
      return phase;
  }
}

function onTheWayUp({ phase, launcher, memory, database }: State): Phase {
  if (phase === 'INIT') return launcher.kind === 'ready' ? 'STARTUP' : 'INIT';
  const isReady = launcher.kind === 'ready' && memory === 'ready';
  return isReady ? PHASE_OF_DATABASE[database] : 'STARTUP';
}

/** The server is stopped after them. */
function anyoneAlive(state: State): boolean {
  for (const { standing } of everyone(state)) if (isAlive(standing)) return true;
  return false;
}

function anyoneUntold(state: State): boolean {
  for (const one of everyone(state)) {
    const { kind } = one.standing;
    if (kind === 'forking') return true;
    if (kind === 'running' && demandOn(state, one) !== null) return true;
  }
  return false;
}

/** Who must be gone before memory is made anew: the attached; without a launcher, everybody. */
function anyoneLeftOfCrash(state: State): boolean {
  const launcherGone = state.launcher.kind === 'absent';
  for (const { registration, standing } of everyone(state)) {
    if ((launcherGone || isAttached(registration)) && isAlive(standing)) return true;
  }
  return launcherGone && state.server.kind !== 'none' && state.server.kind !== 'due';
}

function exitCode({ failure, crash }: State): 0 | 1 {
  return failure.kind === 'failed' || crash.kind !== 'none' ? 1 : 0;
}
