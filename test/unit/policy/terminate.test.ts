// TerminateBackgroundWorker (§1.8, §1.12) in each standing: SIGTERM once, and never again a start.

import { expect, test } from 'vitest';
import { plan } from '../../../lib/schedule/plan.ts';
import { attached, Course, exit, registration, STANDINGS, up, worker } from './make.ts';

const TERMINATE = { kind: 'terminate', slot: 0, generation: 0n } as const;

test('due: gone at once, its slot free on the next turn', () => {
  const course = new Course(up([worker()])).post(TERMINATE);
  expect(course.standing()).toEqual({ kind: 'gone', last: null });
  expect(course.settle()).toEqual([{ kind: 'forget', slot: 0 }]);
});

test('due and waiting for its restart: likewise', () => {
  const course = new Course(up([worker({ standing: { kind: 'due', notBefore: 1e6 } })])).post(
    TERMINATE,
  );
  expect(course.settle()).toEqual([{ kind: 'forget', slot: 0 }]);
});

test('forking: told as soon as it is there', () => {
  const course = new Course(up([worker()]));
  course.turn();
  course.post(TERMINATE);
  expect(course.settle()).toEqual([]);
  expect(course.forked().settle()).toEqual([{ kind: 'end-worker', slot: 0, signal: 'SIGTERM' }]);
});

test('forking, and the fork fails: gone', () => {
  const course = new Course(up([worker()]));
  course.turn();
  course.post(TERMINATE).post({ kind: 'fork-failed', slot: 0, child: 100, call: 'fork', why: '' });
  expect(course.settle()).toEqual([{ kind: 'forget', slot: 0 }]);
});

test('running: SIGTERM once, however often it is asked for, and as long as it takes', () => {
  const course = new Course(up([worker({ standing: STANDINGS.running })]));
  course.post(TERMINATE).post(TERMINATE);
  expect(course.settle()).toEqual([{ kind: 'end-worker', slot: 0, signal: 'SIGTERM' }]);
  course.post(TERMINATE);
  expect(plan(course.state, 1e12)).toEqual({ actions: [], wakeAt: null });
});

for (const restartTime of [0, 5, 'never'] as const) {
  for (const restartOnExit0 of [false, true]) {
    for (const code of [0, 1]) {
      test(`exit ${code} afterwards, ${restartTime}, ${restartOnExit0}: gone`, () => {
        const one = registration({ restartTime, restartOnExit0 });
        const course = new Course(up([worker({ registration: one, standing: STANDINGS.running })]));
        course.post(TERMINATE).settle();
        expect(course.exited(0, exit(code)).settle()).toEqual([{ kind: 'forget', slot: 0 }]);
      });
    }
  }
}

test('it crashes instead: a crash cycle, and still it does not come back (§1.21)', () => {
  const course = new Course(
    up([worker({ registration: attached(), standing: STANDINGS.running })]),
  );
  course.post(TERMINATE).settle();
  course.exited(0, exit('SIGSEGV', false));
  expect(course.state.crash.kind).toBe('ending');
  course.settle();
  expect(course.state).toMatchObject({ phase: 'RUN', crash: { kind: 'none' } });
  expect(course.state.workers.size).toBe(0);
});

test('a terminate that races with somebody else’s crash cycle is kept through it', () => {
  const crasher = worker({
    slot: 1,
    registration: attached(),
    standing: { ...STANDINGS.running, child: 8 },
  });
  const course = new Course(
    up([worker({ registration: attached(), standing: STANDINGS.running }), crasher]),
  );
  course.exited(1, exit('SIGKILL', false)).settle();
  expect(course.told()).toBe('SIGQUIT');
  course.post(TERMINATE);
  expect(course.settle()).toEqual([]); // SIGTERM would be weaker than what it was told.
  course.exited(0, exit(2, false)).startAll();
  expect([...course.state.workers.keys()]).toEqual([1]);
});
