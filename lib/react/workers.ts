// workers.ts: what the events do to one worker's standing.
//
// Every function takes a whole state and gives a whole state. An answer that belongs to an earlier
// child of the same slot (its number differs) changes nothing.

import type { Event, StaticWorker } from '../model/event.ts';
import type { Exit } from '../model/exit.ts';
import { placeFor } from '../model/place.ts';
import { isAttached } from '../model/registration.ts';
import {
  type ChildId,
  type Instant,
  isAlive,
  type Standing,
  unreachable,
} from '../model/standing.ts';
import { hasLostItsServer, type State, type Worker } from '../model/state.ts';
import { classify } from './classify.ts';
import { beginCrash } from './crash.ts';

type Of<K extends Event['kind']> = Extract<Event, { kind: K }>;

export function withStanding(state: State, worker: Worker, standing: Standing): State {
  return withWorker(state, { ...worker, standing });
}

function withWorker(state: State, worker: Worker): State {
  return { ...state, workers: state.workers.with(worker.slot, worker) };
}

/**
 * The launcher said which workers its preload modules registered. The first time each gets a
 * slot. After the launcher was lost and started again, those that are still listed go on with
 * their new registration; one that was retired meanwhile does not come back.
 */
export function announceStatic(
  state: State,
  announced: readonly StaticWorker[],
  at: Instant,
): State {
  let { workers } = state;
  if (state.phase === 'INIT') {
    let slot = 0;
    for (const { staticIndex, registration } of announced) {
      if (slot >= state.limits.slotCount) break;
      workers = workers.with(slot, {
        slot,
        generation: 0n,
        registration,
        staticIndex,
        terminated: false,
        hasStarted: false,
        serverLosses: state.serverLosses,
        standing: { kind: 'due', notBefore: at },
      });
      slot++;
    }
    return { ...state, workers };
  }
  const byIndex = new Map(announced.map((one) => [one.staticIndex, one]));
  workers = workers.map((worker) => {
    if (worker.staticIndex === null) return worker;
    const again = byIndex.get(worker.staticIndex);
    return again?.registration.name === worker.registration.name
      ? { ...worker, registration: again.registration }
      : { ...worker, standing: { kind: 'gone', last: null } };
  });
  return { ...state, workers };
}

/**
 * A dynamic worker, in the first free slot; without one the answer is no, and nothing changes.
 * While everything is being stopped it is gone at once, so that who waits for it waits for nothing.
 */
export function register(state: State, { registration }: Of<'registered'>, at: Instant): State {
  const place = placeFor(state, registration);
  if (place.kind !== 'slot') return state;
  const standing: Standing =
    state.shutdown === null ? { kind: 'due', notBefore: at } : { kind: 'gone', last: null };
  return {
    ...withWorker(state, {
      slot: place.slot,
      generation: state.nextGeneration,
      registration,
      staticIndex: null,
      terminated: false,
      hasStarted: false,
      serverLosses: state.serverLosses,
      standing,
    }),
    nextGeneration: state.nextGeneration + 1n,
  };
}

/** Whatever it does next, it is not started again. A running one is told on the next turn. */
export function terminate(state: State, event: Of<'terminate'>): State {
  const worker = state.workers.get(event.slot);
  if (worker === undefined || worker.generation !== event.generation) return state;
  const standing: Standing =
    worker.standing.kind === 'due' ? { kind: 'gone', last: null } : worker.standing;
  return withWorker(state, { ...worker, terminated: true, standing });
}

export function workerForked(state: State, event: Of<'forked'>, at: Instant): State {
  const worker = state.workers.get(event.slot);
  if (worker?.standing.kind !== 'forking' || worker.standing.child !== event.child) return state;
  const { child, pid } = event;
  const running = withWorker(state, {
    ...worker,
    hasStarted: true,
    standing: { kind: 'running', child, pid, since: at },
  });
  return { ...running, booting: { child, since: at } };
}

/** The next one may start. */
export function workerUp(state: State, child: ChildId): State {
  return state.booting?.child === child ? { ...state, booting: null } : state;
}

/** A fork that fails counts as a failure of the worker, now. */
export function workerNotForked(state: State, event: Of<'fork-failed'>, at: Instant): State {
  const worker = state.workers.get(event.slot);
  if (worker?.standing.kind !== 'forking' || worker.standing.child !== event.child) return state;
  return withStanding(state, worker, afterFailure(state, worker, at, null));
}

/** The launcher died with requests that it had not answered: none of them came to anything. */
export function loseRequests(state: State, at: Instant): State {
  let next = state;
  for (const worker of state.workers.values()) {
    if (worker.standing.kind === 'forking') {
      next = withStanding(next, worker, afterFailure(next, worker, at, null));
    }
  }
  return next;
}

export function workerExited(state: State, event: Of<'exited'>, at: Instant): State {
  const worker = state.workers.get(event.slot);
  if (worker === undefined || !isAlive(worker.standing)) return state;
  if (!('child' in worker.standing) || worker.standing.child !== event.child) return state;

  const verdict = classify(event.exit, worker.registration);
  const after = standingAfterExit(state, worker, event.exit, at);
  const next = withStanding(workerUp(state, event.child), worker, after);
  return verdict === 'crash' && !wasToldToQuit(worker.standing) ? beginCrash(next, at) : next;
}

/** Who was sent SIGQUIT or SIGKILL leaves without cleanup because we said so: that is no crash. */
function wasToldToQuit(standing: Standing): boolean {
  return standing.kind === 'stopping' && standing.told !== 'SIGTERM';
}

function standingAfterExit(state: State, worker: Worker, exit: Exit, at: Instant): Standing {
  if (worker.terminated || state.shutdown !== null) return { kind: 'gone', last: exit };
  const verdict = classify(exit, worker.registration);
  if (verdict !== 'crash' && wentWithItsServer(state, worker, exit)) {
    return { kind: 'due', notBefore: at };
  }
  // It did nothing wrong: it went with its launcher, and comes back with it.
  if (verdict === 'restart' && exit.cause.kind === 'lost') return { kind: 'due', notBefore: at };
  switch (verdict) {
    case 'retire':
      return { kind: 'gone', last: exit };
    case 'restart':
      return afterFailure(state, worker, at, exit);
    case 'restart-at-once':
      return { kind: 'due', notBefore: at };
    case 'crash':
      // The end of the crash cycle decides: at once, or never (see resetWorkers).
      return { kind: 'due', notBefore: at };
    default:
      return unreachable(verdict);
  }
}

/**
 * It left, or failed, because the server was lost: that is no failure of its own, and an exit 0
 * only says that it obeyed. One that had done its work before it was told is done; and who is never
 * restarted is not restarted for this either.
 */
function wentWithItsServer(state: State, worker: Worker, { cause }: Exit): boolean {
  if (!hasLostItsServer(state, worker) || worker.registration.restartTime === 'never') return false;
  return worker.standing.kind === 'stopping' || !(cause.kind === 'code' && cause.code === 0);
}

function afterFailure(state: State, worker: Worker, at: Instant, exit: Exit | null): Standing {
  const { restartTime } = worker.registration;
  if (restartTime === 'never' || worker.terminated || state.shutdown !== null) {
    return { kind: 'gone', last: exit };
  }
  return { kind: 'due', notBefore: at + restartTime * 1000 };
}

/**
 * After a crash cycle (ResetBackgroundWorkerCrashTimes): at once, or never. Who has no part in
 * shared memory has none in the cycle either, and waits on as if nothing had happened.
 *
 * What comes back is as good as new: a handle of a dynamic worker from before the crash says
 * STOPPED, whoever has the slot.
 */
export function resetWorkers(state: State, at: Instant): State {
  let { nextGeneration } = state;
  const workers = state.workers.map((worker): Worker => {
    if (worker.standing.kind !== 'due' || !isAttached(worker.registration)) return worker;
    if (worker.registration.restartTime === 'never') {
      return { ...worker, standing: { kind: 'gone', last: null } };
    }
    const generation = worker.staticIndex === null ? nextGeneration++ : worker.generation;
    return { ...worker, generation, hasStarted: false, standing: { kind: 'due', notBefore: at } };
  });
  return { ...state, workers, nextGeneration };
}
