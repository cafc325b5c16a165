// start.ts: what may be started now. The launcher first, then the server and
// the hooks of shared memory and the startup process, then one worker.

import type { Action } from '../model/action.ts';
import { isNormal, mayStart } from '../model/phase.ts';
import type { Instant } from '../model/standing.ts';
import type { State, Worker } from '../model/state.ts';
import { isOpeningDoors } from './backends.ts';
import { startStartup } from './startup.ts';

export function* startNext(state: State, now: Instant): Generator<Action> {
  if (!isOpen(state)) return;
  if (state.launcher.kind === 'absent') {
    if (isOpeningDoors(state)) return;
    yield { kind: 'start-launcher' };
    return;
  }
  if (state.launcher.kind !== 'ready') return;
  if (state.server.kind === 'due' && state.server.notBefore <= now) yield { kind: 'start-server' };
  // In INIT the phase moves first; from STARTUP it does not move before this is done.
  if (state.memory === 'raw') yield { kind: 'initialize-memory' };
  yield* startStartup(state);
  const worker = nextWorker(state);
  if (worker !== null && startableAt(state, worker) <= now && !isForking(state)) {
    yield { kind: 'fork', slot: worker.slot, child: state.nextChild };
  }
}

/** When startNext() will have something to do that it has not now; null: not by time alone. */
export function nextStartAt(state: State, now: Instant): Instant | null {
  if (!isOpen(state) || state.launcher.kind !== 'ready') return null;
  const times: Instant[] = [];
  if (state.server.kind === 'due') times.push(state.server.notBefore);
  const worker = nextWorker(state);
  // While one is being forked the next one waits for the answer, and that is a turn by itself.
  if (worker !== null && !isForking(state)) times.push(startableAt(state, worker));
  const later = times.filter((time) => time > now);
  return later.length > 0 ? Math.min(...later) : null;
}

/** No start of anything during a crash cycle or a shutdown. */
function isOpen(state: State): boolean {
  return isNormal(state.phase) && state.crash.kind === 'none' && state.shutdown === null;
}

/** The one that has been due for the longest: nobody is overtaken by somebody who keeps failing. */
function nextWorker(state: State): Worker | null {
  let next: Worker | null = null;
  for (const worker of state.workers.values()) {
    if (worker.standing.kind !== 'due') continue;
    if (!mayStart(worker.registration.startTime, state.phase)) continue;
    if (next === null || dueAt(worker) < dueAt(next)) next = worker;
  }
  return next;
}

function dueAt(worker: Worker): Instant {
  return worker.standing.kind === 'due' ? worker.standing.notBefore : Number.POSITIVE_INFINITY;
}

/**
 * Not before the last one is up, or has had time for it: a thousand children that come up at once
 * would leave a client's backend a thousandth of the processors.
 */
function startableAt({ booting, limits }: State, worker: Worker): Instant {
  return booting === null ? dueAt(worker) : Math.max(dueAt(worker), booting.since + limits.bootMs);
}

function isForking(state: State): boolean {
  for (const { standing } of state.workers.values()) if (standing.kind === 'forking') return true;
  return false;
}
