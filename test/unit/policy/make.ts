// make.ts: registrations, exits, workers and states for the tables, and a ServerLoop without a
// loop: time stands still until the test moves it, and nothing is carried out.

import type { Action } from '../../../lib/model/action.ts';
import type { Event } from '../../../lib/model/event.ts';
import type { Exit, ExitCause } from '../../../lib/model/exit.ts';
import { type DatabaseState, PHASE_OF_DATABASE, type Phase } from '../../../lib/model/phase.ts';
import type { Registration } from '../../../lib/model/registration.ts';
import { SlotMap } from '../../../lib/model/slot-map.ts';
import type { Standing } from '../../../lib/model/standing.ts';
import { initialState, type Limits, type State, type Worker } from '../../../lib/model/state.ts';
import { apply } from '../../../lib/react/apply.ts';
import { type Plan, plan } from '../../../lib/schedule/plan.ts';

export const LIMITS: Limits = {
  slotCount: 8,
  parallelCount: 8,
  shutdownMs: 60_000,
  quitMs: 5_000,
  bootMs: 100,
  serverRestartMs: 1_000,
  restartAfterCrash: true,
  restartOnServerLoss: true,
};

export function registration(changes: Partial<Registration> = {}): Registration {
  return {
    name: 'w',
    type: 'w',
    flags: [],
    startTime: 'RecoveryFinished',
    restartTime: 5,
    restartOnExit0: false,
    launch: null,
    database: null,
    user: null,
    body: { kind: 'closure' },
    ...changes,
  };
}

export const attached = (changes: Partial<Registration> = {}): Registration =>
  registration({ flags: ['SHMEM_ACCESS'], ...changes });

export const connected = (changes: Partial<Registration> = {}): Registration =>
  registration({ flags: ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'], ...changes });

export function exit(what: number | NodeJS.Signals | 'lost', cleanDetach = true): Exit {
  const cause: ExitCause =
    what === 'lost'
      ? { kind: 'lost' }
      : typeof what === 'number'
        ? { kind: 'code', code: what }
        : { kind: 'signal', signal: what };
  return { cause, cleanDetach, usage: null };
}

export function worker(changes: Partial<Worker> = {}): Worker {
  return {
    slot: 0,
    generation: 0n,
    registration: registration(),
    staticIndex: 0,
    terminated: false,
    hasStarted: false,
    serverLosses: 0,
    standing: { kind: 'due', notBefore: 0 },
    ...changes,
  };
}

/** One of each standing, of child 7 with pid 107. */
export const STANDINGS = {
  due: { kind: 'due', notBefore: 0 },
  forking: { kind: 'forking', child: 7 },
  running: { kind: 'running', child: 7, pid: 107, since: 0 },
  SIGTERM: { kind: 'stopping', child: 7, pid: 107, since: 0, told: 'SIGTERM', toldAt: 0 },
  SIGQUIT: { kind: 'stopping', child: 7, pid: 107, since: 0, told: 'SIGQUIT', toldAt: 0 },
  SIGKILL: { kind: 'stopping', child: 7, pid: 107, since: 0, told: 'SIGKILL', toldAt: 0 },
  gone: { kind: 'gone', last: null },
} as const satisfies Record<string, Standing>;

export type StandingName = keyof typeof STANDINGS;

/** A postmaster that is up, in RUN unless told otherwise, with these workers. */
export function up(workers: readonly Worker[], changes: Partial<State> = {}): State {
  return {
    ...initialState({ limits: LIMITS, follows: 'nothing' }),
    phase: 'RUN',
    launcher: { kind: 'ready', pid: 50, startupHooks: false },
    memory: 'ready',
    workers: SlotMap.of(workers.map((one) => [one.slot, one])),
    nextChild: 100,
    ...changes,
  };
}

/** Up, and staying in a phase: the database is what the phase stands for. */
export function upIn(phase: Phase, workers: readonly Worker[]): State {
  const databases = Object.entries(PHASE_OF_DATABASE) as [DatabaseState, Phase][];
  const database = databases.find(([, of]) => of === phase)?.[0] ?? 'primary';
  return up(workers, { phase, database });
}

export const kinds = ({ actions }: Plan): Action['kind'][] => actions.map((one) => one.kind);

export function isForkOf(action: Action, slot?: number): boolean {
  return action.kind === 'fork' && (slot === undefined || action.slot === slot);
}

/** The ServerLoop, one turn at a time. */
export class Course {
  now: number;
  state: State;
  /** All that was done, with the time. */
  readonly done: { readonly at: number; readonly action: Action }[] = [];

  constructor(state: State, now = 0) {
    this.state = state;
    this.now = now;
  }

  post(event: Event): this {
    this.state = apply(this.state, { at: this.now, event });
    return this;
  }

  turn(): Plan {
    const next = plan(this.state, this.now);
    for (const action of next.actions) {
      this.done.push({ at: this.now, action });
      this.post({ kind: 'done', action });
    }
    return next;
  }

  /** Turns until there is nothing to do; what was done in them. */
  settle(): Action[] {
    const from = this.done.length;
    for (let turn = 0; this.turn().actions.length > 0; turn++) {
      if (turn > 1000) throw new Error(`no rest: ${JSON.stringify(this.done.slice(-5))}`);
    }
    return this.done.slice(from).map(({ action }) => action);
  }

  /** Moves on to the planned wake-up and takes it. */
  wake(): Action[] {
    const { wakeAt } = plan(this.state, this.now);
    if (wakeAt === null) throw new Error('there is no wake-up');
    this.now = wakeAt;
    return this.settle();
  }

  at(ms: number): this {
    this.now = ms;
    return this;
  }

  standing(slot = 0): Standing | undefined {
    return this.state.workers.get(slot)?.standing;
  }

  told(slot = 0): string | undefined {
    const standing = this.standing(slot);
    return standing?.kind === 'stopping' ? standing.told : standing?.kind;
  }

  exited(slot: number, how: Exit): this {
    const standing = this.standing(slot);
    if (standing === undefined || !('child' in standing)) throw new Error(`slot ${slot} is empty`);
    return this.post({ kind: 'exited', slot, child: standing.child, exit: how });
  }

  /** Answers the fork that was asked for; and the child comes up at once. */
  forked(slot = 0, { isUp = true } = {}): this {
    const standing = this.standing(slot);
    if (standing?.kind !== 'forking') throw new Error(`slot ${slot} is not forking`);
    const { child } = standing;
    this.post({ kind: 'forked', slot, child, pid: 1000 + child });
    return isUp ? this.post({ kind: 'up', child }) : this;
  }

  /** Starts whatever can be started, each fork answered at once. */
  startAll(): this {
    for (let turn = 0; turn < 1000; turn++) {
      const forks = this.settle().filter((one) => one.kind === 'fork');
      if (forks.length === 0) return this;
      for (const { slot } of forks) this.forked(slot);
    }
    throw new Error('no end of starting');
  }
}
