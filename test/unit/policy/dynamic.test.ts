// Dynamic workers in the policy: who finds a place (§1.5, §1.6, §1.20), what a handle answers (§1.7),
// and what becomes of them in a shutdown and in a crash cycle (§1.8, §1.16). What terminate does in
// each standing is in terminate.test.ts.

import { describe, expect, test } from 'vitest';
import type { Event } from '../../../lib/model/event.ts';
import { statusOf } from '../../../lib/model/handle.ts';
import { PHASES, type Phase } from '../../../lib/model/phase.ts';
import { placeFor } from '../../../lib/model/place.ts';
import type { Registration } from '../../../lib/model/registration.ts';
import type { State, Worker } from '../../../lib/model/state.ts';
import { apply } from '../../../lib/react/apply.ts';
import {
  attached,
  Course,
  exit,
  LIMITS,
  registration,
  STANDINGS,
  type StandingName,
  up,
  worker,
} from './make.ts';

const STOPPED = { status: 'STOPPED' };
const NOT_YET_STARTED = { status: 'NOT_YET_STARTED' };
const STARTED = { status: 'STARTED', pid: 107 };

const parallel = (changes: Partial<Registration> = {}): Registration =>
  registration({ flags: ['CLASS_PARALLEL'], restartTime: 'never', ...changes });

const registered = (one: Registration = registration()): Event => ({
  kind: 'registered',
  ticket: 1,
  registration: one,
});

const inSlots = (...slots: number[]): Worker[] => slots.map((slot) => worker({ slot }));
const dynamic = (changes: Partial<Worker> = {}): Worker =>
  worker({ staticIndex: null, generation: 1n, ...changes });

describe('a place', () => {
  const SLOTS: [used: readonly number[], slot: number | null][] = [
    [[], 0],
    [[0], 1],
    [[1], 0],
    [[0, 1, 3], 2],
    [[0, 1, 2, 3, 4, 5, 6], 7],
    [[0, 1, 2, 4, 5, 6, 7], 3],
    [[0, 1, 2, 3, 4, 5, 6, 7], null],
  ];
  test.each(SLOTS)('slots %j are in use: %j', (used, slot) => {
    const before = up(inSlots(...used));
    const place = placeFor(before, registration());
    expect(place).toEqual(slot === null ? { kind: 'no slot' } : { kind: 'slot', slot });
    const next = apply(before, { at: 5, event: registered() });
    if (slot === null) {
      expect(next).toBe(before);
    } else {
      expect(next.workers.size).toBe(used.length + 1);
      expect(next.workers.get(slot)).toEqual({
        slot,
        generation: 1n,
        registration: registration(),
        staticIndex: null,
        terminated: false,
        hasStarted: false,
        serverLosses: 0,
        standing: { kind: 'due', notBefore: 5 },
      });
      expect(next.nextGeneration).toBe(2n);
    }
  });

  test.each(PHASES)('in %s', (phase: Phase) => {
    const before: State = { ...up(inSlots(0)), phase };
    const wanted = phase === 'INIT' ? { kind: 'too early' } : { kind: 'slot', slot: 1 };
    expect(placeFor(before, registration())).toEqual(wanted);
    const next = apply(before, { at: 0, event: registered() });
    expect(next.workers.size).toBe(phase === 'INIT' ? 1 : 2);
  });

  const CLASS: [parallelCount: number, there: number, others: number, kind: string][] = [
    [0, 0, 0, 'no parallel slot'],
    [2, 0, 0, 'slot'],
    [2, 1, 0, 'slot'],
    [2, 2, 0, 'no parallel slot'],
    [2, 0, 5, 'slot'],
    [2, 2, 5, 'no parallel slot'],
    [8, 4, 4, 'no slot'],
    [4, 4, 4, 'no parallel slot'],
  ];
  test.each(CLASS)(
    'of %i of the class there are %i, and %i others: %s',
    (parallelCount, there, others, kind) => {
      const ofTheClass = (slot: number) => worker({ slot, registration: parallel() });
      const workers = [
        ...Array.from({ length: there }, (_, slot) => ofTheClass(slot)),
        ...Array.from({ length: others }, (_, index) => worker({ slot: there + index })),
      ];
      const before = up(workers, { limits: { ...LIMITS, parallelCount } });
      expect(placeFor(before, parallel()).kind).toBe(kind);
      const next = apply(before, { at: 0, event: registered(parallel()) });
      expect(next.workers.size).toBe(workers.length + (kind === 'slot' ? 1 : 0));
      // The others are limited by nothing but the slots.
      expect(placeFor(before, registration()).kind).toBe(workers.length < 8 ? 'slot' : 'no slot');
    },
  );

  test('of the class is free again when its worker is forgotten, not before', () => {
    const limits = { ...LIMITS, parallelCount: 1 };
    const course = new Course(up([], { limits })).post(registered(parallel())).startAll();
    expect(placeFor(course.state, parallel()).kind).toBe('no parallel slot');
    course.exited(0, exit(0));
    expect(placeFor(course.state, parallel()).kind).toBe('no parallel slot');
    course.settle();
    expect(placeFor(course.state, parallel()).kind).toBe('slot');
  });
});

describe('what a handle answers', () => {
  const ID = { slot: 0, generation: 1n };
  const TABLE: { readonly [S in StandingName]: readonly [fresh: object, ran: object] } = {
    //        it never had a process   it had one before
    due: [NOT_YET_STARTED, STOPPED],
    forking: [NOT_YET_STARTED, STOPPED],
    running: [STARTED, STARTED],
    SIGTERM: [STARTED, STARTED],
    SIGQUIT: [STARTED, STARTED],
    SIGKILL: [STARTED, STARTED],
    gone: [STOPPED, STOPPED],
  };
  const cells = (Object.keys(TABLE) as StandingName[]).flatMap((standing) =>
    [false, true].map((hasStarted) => ({ standing, hasStarted })),
  );
  test.each(cells)('$standing, had a process: $hasStarted', ({ standing, hasStarted }) => {
    const one = dynamic({ standing: STANDINGS[standing], hasStarted });
    expect(statusOf(up([one]), ID)).toEqual(TABLE[standing][hasStarted ? 1 : 0]);
  });

  test.each([
    ['an earlier generation', { slot: 0, generation: 0n }],
    ['a later generation', { slot: 0, generation: 2n }],
    ['a free slot', { slot: 1, generation: 1n }],
    ['no slot at all', { slot: 99, generation: 1n }],
    ['a slot below all', { slot: -1, generation: 1n }],
  ])('%s: STOPPED', (_what, id) => {
    expect(statusOf(up([dynamic({ standing: STANDINGS.running })]), id)).toEqual(STOPPED);
  });

  test('through a life with restarts', () => {
    const course = new Course(up([])).post(registered(registration({ restartTime: 5 })));
    const seen = () => statusOf(course.state, ID).status;
    expect(seen()).toBe('NOT_YET_STARTED');
    course.turn();
    expect(course.told()).toBe('forking');
    expect(seen()).toBe('NOT_YET_STARTED');
    // A fork that fails is no process: who waits for the start waits on.
    course.post({ kind: 'fork-failed', slot: 0, child: 100, call: 'fork', why: 'EAGAIN' });
    expect(seen()).toBe('NOT_YET_STARTED');
    course.wake();
    course.forked();
    expect(seen()).toBe('STARTED');
    course.exited(0, exit(1));
    expect(seen()).toBe('STOPPED');
    course.wake();
    expect(course.told()).toBe('forking');
    expect(seen()).toBe('STOPPED');
    course.forked();
    expect(seen()).toBe('STARTED');
    course.exited(0, exit(0)).settle();
    expect(seen()).toBe('STOPPED');
    expect(course.state.workers.size).toBe(0);
  });

  test("a fork that fails, and 'never': STOPPED, and the slot is free", () => {
    const course = new Course(up([])).post(registered(registration({ restartTime: 'never' })));
    course.turn();
    course.post({ kind: 'fork-failed', slot: 0, child: 100, call: 'fork', why: 'EAGAIN' });
    expect(statusOf(course.state, ID)).toEqual(STOPPED);
    course.settle();
    expect(course.state.workers.size).toBe(0);
  });

  test('of a slot that is used again: the old one STOPPED, whatever the new one does', () => {
    const course = new Course(up([])).post(registered()).startAll();
    course.exited(0, exit(0)).settle();
    course.post(registered());
    expect(statusOf(course.state, ID)).toEqual(STOPPED);
    expect(statusOf(course.state, { slot: 0, generation: 2n })).toEqual(NOT_YET_STARTED);
    course.startAll();
    expect(statusOf(course.state, ID)).toEqual(STOPPED);
    course.post({ kind: 'terminate', ...ID }).settle();
    expect(course.told()).toBe('running');
  });
});

describe('in a shutdown nobody waits for what does not come', () => {
  const MODES = ['smart', 'fast', 'immediate'] as const;

  test.each(MODES)('%s: registered after the request: gone, its slot free', (mode) => {
    const course = new Course(up([worker({ standing: STANDINGS.running })]));
    course.post({ kind: 'stop', mode }).settle();
    course.post(registered());
    expect(statusOf(course.state, { slot: 1, generation: 1n })).toEqual(STOPPED);
    expect(course.settle()).toEqual([{ kind: 'forget', slot: 1 }]);
  });

  test.each(MODES)('%s: dynamic ones without a process are forgotten at once', (mode) => {
    const course = new Course(
      up([
        worker({ slot: 0, standing: STANDINGS.running }),
        dynamic({ slot: 1, standing: { kind: 'due', notBefore: 1e9 } }),
        dynamic({ slot: 2, standing: { kind: 'due', notBefore: 1e9 }, hasStarted: true }),
        worker({ slot: 3, standing: { kind: 'due', notBefore: 1e9 } }),
      ]),
    );
    course.post({ kind: 'stop', mode }).settle();
    // The static one has no handle that anybody could wait on.
    expect([...course.state.workers.keys()]).toEqual([0, 3]);
  });

  test('one that is being forked meanwhile is told when it is there', () => {
    const course = new Course(up([])).post(registered());
    course.turn();
    course.post({ kind: 'stop', mode: 'fast' }).settle();
    expect(course.told()).toBe('forking');
    course.forked().settle();
    expect(course.told()).toBe('SIGTERM');
    course.exited(0, exit(0)).settle();
    expect(course.done.at(-1)?.action).toEqual({ kind: 'finish', exitCode: 0 });
  });

  test('one that comes to no process in the fork is forgotten, and the end is reached', () => {
    const course = new Course(up([])).post(registered());
    course.turn();
    course.post({ kind: 'stop', mode: 'fast' }).settle();
    course.post({ kind: 'fork-failed', slot: 0, child: 100, call: 'fork', why: 'EAGAIN' });
    expect(course.settle()).toContainEqual({ kind: 'forget', slot: 0 });
    expect(course.done.at(-1)?.action.kind).toBe('finish');
  });

  test('a shutdown in a crash cycle, too', () => {
    const course = new Course(
      up([
        worker({ slot: 0, registration: attached(), standing: STANDINGS.running }),
        dynamic({ slot: 1, standing: { kind: 'due', notBefore: 1e9 } }),
        worker({
          slot: 2,
          registration: attached(),
          standing: { ...STANDINGS.running, child: 8 },
        }),
      ]),
    );
    course.exited(2, exit('SIGSEGV', false)).settle();
    expect(course.state.phase).toBe('WAIT_BACKENDS');
    course.post({ kind: 'stop', mode: 'fast' }).settle();
    expect(course.state.workers.has(1)).toBe(false);
  });
});

describe('a crash cycle', () => {
  const RUNNING = { kind: 'running', pid: 107, since: 0 } as const;

  /** Slot 0 crashes; in slot 1 is who it is about. */
  function through(one: Worker): Course {
    const crasher = worker({
      registration: attached(),
      standing: { ...RUNNING, child: 7 },
      hasStarted: true,
    });
    const course = new Course(up([crasher, one], { nextGeneration: 9n }));
    course.exited(0, exit('SIGSEGV', false)).settle();
    return course;
  }

  const ran = (changes: Partial<Worker>): Worker => ({
    ...dynamic({ slot: 1, hasStarted: true, standing: { ...RUNNING, child: 8 } }),
    ...changes,
  });

  test('attached, restartable: back at once as somebody new, and the old handle says STOPPED', () => {
    const course = through(ran({ registration: attached({ restartTime: 3600 }) }));
    course.exited(1, exit(2, false)).settle();
    expect(course.state.workers.get(1)).toMatchObject({ generation: 9n, hasStarted: false });
    expect(course.state.nextGeneration).toBe(10n);
    expect(statusOf(course.state, { slot: 1, generation: 1n })).toEqual(STOPPED);
    expect(statusOf(course.state, { slot: 1, generation: 9n })).toEqual(NOT_YET_STARTED);
    course.forked(0).startAll();
    expect(statusOf(course.state, { slot: 1, generation: 9n }).status).toBe('STARTED');
    // And a terminate by the old handle reaches nobody.
    course.post({ kind: 'terminate', slot: 1, generation: 1n }).settle();
    expect(course.told(1)).toBe('running');
  });

  test('attached, static: back at once, with the generation that it has for ever', () => {
    const one = ran({ registration: attached(), staticIndex: 1, generation: 0n });
    const course = through(one);
    course.exited(1, exit(2, false)).settle();
    expect(course.state.workers.get(1)).toMatchObject({ generation: 0n, hasStarted: false });
    expect(course.state.nextGeneration).toBe(9n);
  });

  test("attached, 'never': forgotten, whether it ran or not", () => {
    const never = attached({ restartTime: 'never' });
    const course = through(ran({ registration: never }));
    course.exited(1, exit(2, false)).settle();
    expect(course.state.workers.has(1)).toBe(false);
    const waiting = dynamic({ slot: 1, registration: never, standing: STANDINGS.due });
    expect(through(waiting).state.workers.has(1)).toBe(false);
  });

  test('not attached: the same worker throughout, and so is its handle', () => {
    const course = through(ran({ registration: registration() }));
    expect(course.state.phase).toBe('RUN');
    expect(course.state.workers.get(1)).toMatchObject({ generation: 1n });
    expect(course.told(1)).toBe('running');
  });

  test('registered while it lasts: it waits, and starts after it', () => {
    const one = ran({ registration: attached() });
    const course = through(one).post(registered());
    expect(course.settle()).toEqual([]);
    const id = { slot: 2, generation: 9n };
    expect(statusOf(course.state, id)).toEqual(NOT_YET_STARTED);
    course.exited(1, exit(2, false)).startAll();
    expect(statusOf(course.state, id).status).toBe('STARTED');
  });

  test("registered while it lasts, attached and 'never': STOPPED when it is over", () => {
    const course = through(ran({ registration: attached() }));
    course.post(registered(attached({ restartTime: 'never' })));
    course.exited(1, exit(2, false)).startAll();
    expect(statusOf(course.state, { slot: 2, generation: 9n })).toEqual(STOPPED);
  });

  test('the launcher is lost: the unattached come back as who they were', () => {
    const course = new Course(up([ran({ registration: registration() })]));
    course.post({ kind: 'launcher-exited' });
    course.exited(1, exit('lost')).settle();
    const ready: Event = {
      kind: 'launcher-ready',
      pid: 51,
      workers: [],
      startupHooks: false,
      startupProcess: false,
    };
    expect(statusOf(course.state, { slot: 1, generation: 1n })).toEqual(STOPPED);
    course.post(ready).startAll();
    expect(statusOf(course.state, { slot: 1, generation: 1n }).status).toBe('STARTED');
  });
});
