// crash.ts: the two ways in which everything goes wrong, and what the state says of them.

import { BgworkerError } from '../errors.ts';
import { restartAfterCrashIsOff } from '../messages.ts';
import type { Instant } from '../model/standing.ts';
import type { State } from '../model/state.ts';
import { concludeSmart } from './smart.ts';

/**
 * The first crash begins the cycle; further ones while it lasts are only reaped. Without
 * restartAfterCrash the cycle ends in the end of the postmaster.
 */
export function beginCrash(state: State, at: Instant): State {
  if (state.crash.kind !== 'none') return state;
  const crashed = concludeSmart({ ...state, crash: { kind: 'ending', since: at } }, at);
  if (state.limits.restartAfterCrash || crashed.shutdown !== null) return crashed;
  return fail(crashed, new BgworkerError('ERR_CRASHED', restartAfterCrashIsOff()), at);
}

/** Nothing can go on: end everything in order and leave with exit status 1. First cause wins. */
export function fail(state: State, error: Error, at: Instant): State {
  const failed: State = {
    ...state,
    failure: state.failure.kind === 'failed' ? state.failure : { kind: 'failed', error },
    shutdown: state.shutdown ?? { mode: 'fast', since: at },
    reloadPending: false,
  };
  return concludeSmart(failed, at);
}
