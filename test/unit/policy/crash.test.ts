// The crash cycle (§1.16) and the launcher's death, which is one.

import { describe, expect, test } from 'vitest';
import type { Action } from '../../../lib/model/action.ts';
import type { StaticWorker } from '../../../lib/model/event.ts';
import type { Registration } from '../../../lib/model/registration.ts';
import type { ServerStanding } from '../../../lib/model/standing.ts';
import { SHUTDOWN_MODES, type State, type Worker } from '../../../lib/model/state.ts';
import { plan } from '../../../lib/schedule/plan.ts';
import { attached, Course, exit, LIMITS, registration, STANDINGS, up, worker } from './make.ts';

const running = (slot: number, one: Registration, changes: Partial<Worker> = {}) =>
  worker({
    slot,
    registration: one,
    staticIndex: slot,
    standing: { ...STANDINGS.running, child: slot + 1 },
    ...changes,
  });

const ended = (actions: readonly Action[]) =>
  actions.flatMap((one) => (one.kind === 'end-worker' ? [`${one.slot} ${one.signal}`] : []));

/** 0 crashes, 1 and 2 are attached (2 never restarted), 3 and 4 are not. */
function five(changes: Partial<State> = {}): Course {
  return new Course(
    up(
      [
        running(0, attached({ restartTime: 3600 })),
        running(1, attached({ restartTime: 3600 })),
        running(2, attached({ restartTime: 'never' })),
        running(3, registration()),
        running(4, registration({ restartTime: 'never' })),
      ],
      changes,
    ),
    1_000,
  );
}

describe('a crash of an attached worker', () => {
  test('tells every attached worker SIGQUIT, and leaves the others alone', () => {
    const course = five().exited(0, exit('SIGSEGV', false));
    const actions = course.settle();
    expect(ended(actions)).toEqual(['1 SIGQUIT', '2 SIGQUIT']);
    expect(actions).toContainEqual({ kind: 'enter', phase: 'WAIT_BACKENDS' });
    expect([course.told(3), course.told(4)]).toEqual(['running', 'running']);
    expect(course.state.phase).toBe('WAIT_BACKENDS');
  });

  test('SIGKILL 5 s later to who is still there, once', () => {
    const course = five().exited(0, exit('SIGSEGV', false));
    course.settle();
    course.at(2_000).exited(1, exit(2, false));
    course.settle();
    expect(ended(course.wake())).toEqual(['2 SIGKILL']);
    expect(course.now).toBe(6_000);
    expect(plan(course.state, 6_000)).toEqual({ actions: [], wakeAt: 11_000 });
  });

  test('memory is made anew only when the last attached process is gone; then up again', () => {
    const course = five().exited(0, exit('SIGSEGV', false));
    course.settle();
    course.exited(1, exit(2, false));
    expect(course.settle().some((one) => one.kind === 'reset-memory')).toBe(false);
    course.at(3_000).exited(2, exit('SIGKILL', false));
    const actions = course.settle();
    expect(actions.map((one) => (one.kind === 'enter' ? one.phase : one.kind))).toEqual([
      'reset-memory',
      'forget', //       the 'never' one that was attached
      'STARTUP',
      'RUN',
      'fork', //         both the others at once, in spite of an interval of an hour
    ]);
    course.forked(0);
    course.startAll();
    expect([0, 1, 3, 4].map((slot) => course.told(slot))).toEqual(Array(4).fill('running'));
    expect(course.state.workers.has(2)).toBe(false);
  });

  test('nothing starts before that', () => {
    const course = five();
    course.state = {
      ...course.state,
      workers: course.state.workers.with(5, worker({ slot: 5 })),
    };
    course.exited(0, exit('SIGSEGV', false));
    course.post({ kind: 'registered', ticket: 1, registration: registration() });
    expect(course.settle().some((one) => one.kind === 'fork')).toBe(false);
    expect(course.standing(6)?.kind).toBe('due');
  });

  test('a second crash during the cycle is no news', () => {
    const course = five().exited(0, exit('SIGSEGV', false));
    course.settle();
    const { crash } = course.state;
    course.at(4_000).exited(1, exit('SIGSEGV', false));
    expect(course.state.crash).toBe(crash);
    expect(ended(course.settle())).toEqual([]);
  });

  test('exit 0 during the cycle still retires (§1.21)', () => {
    const course = five().exited(0, exit('SIGSEGV', false));
    course.settle();
    course.exited(1, exit(0)).exited(3, exit(0));
    course.settle();
    course.exited(2, exit(2, false)).startAll();
    expect([...course.state.workers.keys()].sort()).toEqual([0, 4]);
  });

  test('who was being forked is waited for and told', () => {
    const course = new Course(
      up([running(0, attached()), worker({ slot: 1, registration: attached() })]),
    );
    course.turn();
    expect(course.told(1)).toBe('forking');
    course.exited(0, exit('SIGABRT', false));
    expect(course.settle().some((one) => one.kind === 'reset-memory')).toBe(false);
    expect(ended(course.forked(1).settle())).toEqual(['1 SIGQUIT']);
    course.exited(1, exit(2, false)).startAll();
    expect([course.told(0), course.told(1)]).toEqual(['running', 'running']);
  });

  test('a worker that was told SIGTERM before is told SIGQUIT now', () => {
    const course = five().post({ kind: 'terminate', slot: 1, generation: 0n });
    course.settle();
    course.exited(0, exit('SIGSEGV', false));
    expect(ended(course.settle())).toEqual(['1 SIGQUIT', '2 SIGQUIT']);
  });

  test('a hundred cycles in a row, without a delay between them', () => {
    const course = new Course(up([running(0, attached({ restartTime: 3600 }))]), 0);
    for (let cycle = 0; cycle < 100; cycle++) course.exited(0, exit('SIGSEGV', false)).startAll();
    expect(course.told(0)).toBe('running');
    expect(course.now).toBe(0);
  });

  test('a crash without shared memory touches nobody else', () => {
    const course = five().exited(3, exit('SIGSEGV', false));
    expect(course.settle()).toEqual([]);
    expect(course.standing(3)).toEqual({ kind: 'due', notBefore: 6_000 });
  });
});

describe('a crash and the end', () => {
  for (const mode of SHUTDOWN_MODES) {
    test(`a crash during a ${mode} shutdown: all are told SIGQUIT, exit 1`, () => {
      const course = five().post({ kind: 'stop', mode });
      course.settle();
      const quitAlready = mode === 'immediate';
      // One that was told nothing stronger than SIGTERM crashes by itself.
      course.exited(0, exit('SIGSEGV', false));
      const actions = course.settle();
      expect(ended(actions)).toEqual(
        quitAlready ? [] : ['1 SIGQUIT', '2 SIGQUIT', '3 SIGQUIT', '4 SIGQUIT'],
      );
      for (const slot of [1, 2, 3, 4]) course.exited(slot, exit(2, false));
      const last = course.settle();
      expect(last.some((one) => one.kind === 'reset-memory')).toBe(false);
      expect(last.at(-1)).toEqual({ kind: 'finish', exitCode: quitAlready ? 0 : 1 });
    });

    test(`a ${mode} stop during a crash cycle: the others too, no new memory, exit 1`, () => {
      const course = five().exited(0, exit('SIGSEGV', false));
      course.settle();
      course.post({ kind: 'stop', mode });
      expect(ended(course.settle())).toEqual(['3 SIGQUIT', '4 SIGQUIT']);
      for (const slot of [1, 2, 3, 4]) course.exited(slot, exit(2, false));
      const last = course.settle();
      expect(last.some((one) => one.kind === 'reset-memory')).toBe(false);
      expect(last.at(-1)).toEqual({ kind: 'finish', exitCode: 1 });
    });

    test(`a ${mode} stop between new memory and STARTUP: in order, exit 0`, () => {
      const course = new Course(up([running(0, attached()), running(1, registration())]));
      course.exited(0, exit('SIGSEGV', false));
      while (course.state.crash.kind !== 'none') course.turn();
      expect(course.state.phase).toBe('WAIT_BACKENDS');
      course.post({ kind: 'stop', mode });
      expect(ended(course.settle())).toEqual([mode === 'immediate' ? '1 SIGQUIT' : '1 SIGTERM']);
      course.exited(1, exit(0));
      expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 0 });
    });
  }

  test('restartAfterCrash false: all are told SIGQUIT, exit 1, and the reason is kept', () => {
    const course = five({ limits: { ...LIMITS, restartAfterCrash: false } });
    course.exited(0, exit('SIGSEGV', false));
    expect(ended(course.settle())).toEqual(['1 SIGQUIT', '2 SIGQUIT', '3 SIGQUIT', '4 SIGQUIT']);
    expect(course.state.failure).toMatchObject({
      error: { message: 'shutting down because restartAfterCrash is off' },
    });
    for (const slot of [1, 2, 3, 4]) course.exited(slot, exit(2, false));
    expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 1 });
  });
});

describe('the launcher dies', () => {
  const announced = (course: Course): StaticWorker[] =>
    [...course.state.workers.values()].flatMap(({ staticIndex, registration: one }) =>
      staticIndex === null ? [] : [{ staticIndex, registration: one }],
    );
  const lose = (course: Course, ...slots: number[]) => {
    for (const slot of slots) course.exited(slot, exit('lost', false));
    return course;
  };

  test('everybody is waited for, attached or not; then a launcher, then the workers', () => {
    const course = five();
    const workers = announced(course);
    course.post({ kind: 'launcher-exited' });
    expect(ended(course.settle())).toHaveLength(5);
    expect(course.state.phase).toBe('WAIT_BACKENDS');
    lose(course, 0, 1, 2, 3);
    expect(course.settle().some((one) => one.kind === 'reset-memory')).toBe(false);
    lose(course, 4);
    expect(course.settle().map((one) => (one.kind === 'enter' ? one.phase : one.kind))).toEqual([
      'forget', //         4 failed, and is never started again
      'reset-memory',
      'forget', //         2 likewise, by the crash cycle
      'STARTUP',
      'start-launcher',
    ]);
    expect(plan(course.state, 1e9)).toEqual({ actions: [], wakeAt: null });
    course.post({
      kind: 'launcher-ready',
      pid: 51,
      startupHooks: false,
      startupProcess: false,
      workers,
    });
    course.startAll();
    expect([...course.state.workers.keys()].sort()).toEqual([0, 1, 3]);
    for (const slot of [0, 1, 3]) expect(course.told(slot)).toBe('running');
  });

  test('its children may be reported gone before it is', () => {
    const course = five();
    const workers = announced(course);
    lose(course, 0, 1, 2, 3, 4).post({ kind: 'launcher-exited' });
    course.settle();
    course
      .post({
        kind: 'launcher-ready',
        pid: 51,
        startupHooks: false,
        startupProcess: false,
        workers,
      })
      .startAll();
    expect([...course.state.workers.keys()].sort()).toEqual([0, 1, 3]);
  });

  test('a request that it had not answered came to nothing, and a late answer changes nothing', () => {
    const course = new Course(up([worker()]));
    course.turn();
    course.post({ kind: 'launcher-exited' });
    expect(course.standing()?.kind).toBe('due');
    const before = course.state;
    course.post({ kind: 'forked', slot: 0, child: 100, pid: 5 });
    course.post({ kind: 'exited', slot: 0, child: 100, exit: exit('lost', false) });
    expect(course.state).toBe(before);
  });

  test('who retired does not come back with the new launcher; who is kept has the new registration', () => {
    const course = five();
    course.exited(3, exit(0)).settle();
    const workers = [0, 1, 2, 3, 4].map((staticIndex) => ({
      staticIndex,
      registration: registration({ restartTime: 77 }),
    }));
    course.post({ kind: 'launcher-exited' });
    lose(course, 0, 1, 2, 4).settle();
    course.post({
      kind: 'launcher-ready',
      pid: 51,
      startupHooks: false,
      startupProcess: false,
      workers,
    });
    course.settle();
    expect([...course.state.workers.keys()].sort()).toEqual([0, 1]);
    expect(course.state.workers.get(0)?.registration.restartTime).toBe(77);
  });

  test('a static worker that is not announced again, or is another one now, is gone', () => {
    for (const workers of [
      [],
      [{ staticIndex: 0, registration: registration({ name: 'other' }) }],
    ]) {
      const course = new Course(up([running(0, registration())]));
      course.post({ kind: 'launcher-exited' });
      lose(course, 0).settle();
      course
        .post({
          kind: 'launcher-ready',
          pid: 51,
          startupHooks: false,
          startupProcess: false,
          workers,
        })
        .settle();
      expect(course.state.workers.size).toBe(0);
    }
  });

  test('a dynamic worker is kept without being announced', () => {
    const course = new Course(
      up([running(0, registration(), { staticIndex: null, generation: 4n })]),
    );
    course.post({ kind: 'launcher-exited' });
    lose(course, 0).settle();
    course
      .post({
        kind: 'launcher-ready',
        pid: 51,
        startupHooks: false,
        startupProcess: false,
        workers: [],
      })
      .startAll();
    expect(course.told(0)).toBe('running');
  });

  test('during a shutdown: exit 1, and no other launcher', () => {
    const course = five().post({ kind: 'stop', mode: 'fast' });
    course.settle();
    course.post({ kind: 'launcher-exited' });
    lose(course, 0, 1, 2, 3, 4);
    const actions = course.settle();
    expect(actions.some((one) => one.kind === 'start-launcher')).toBe(false);
    expect(actions.at(-1)).toEqual({ kind: 'finish', exitCode: 1 });
  });

  test('before its first turn: likewise started again', () => {
    const course = new Course(up([], { phase: 'INIT', launcher: { kind: 'starting' } }));
    const workers = [{ staticIndex: 0, registration: registration() }];
    course
      .post({
        kind: 'launcher-ready',
        pid: 50,
        startupHooks: false,
        startupProcess: false,
        workers,
      })
      .post({ kind: 'launcher-exited' });
    expect(course.settle().at(-1)).toEqual({ kind: 'start-launcher' });
    course
      .post({
        kind: 'launcher-ready',
        pid: 51,
        startupHooks: false,
        startupProcess: false,
        workers,
      })
      .startAll();
    expect(course.told(0)).toBe('running');
  });

  const servers: ServerStanding[] = [{ kind: 'starting' }, { kind: 'running', pid: 9 }];
  test.each(servers)(
    'the server that is %o is waited for, told SIGINT, and started again',
    (server) => {
      const course = new Course(up([], { server })).post({ kind: 'launcher-exited' });
      const actions = course.settle();
      expect(actions).toContainEqual({ kind: 'end-server', signal: 'SIGINT' });
      expect(actions.some((one) => one.kind === 'reset-memory')).toBe(false);
      course.at(2_000).post({ kind: 'server-exited' });
      expect(course.settle().at(-1)).toEqual({ kind: 'start-launcher' });
      course.post({
        kind: 'launcher-ready',
        pid: 51,
        startupHooks: false,
        startupProcess: false,
        workers: [],
      });
      course.settle();
      expect(course.wake()).toContainEqual({ kind: 'start-server' });
      expect(course.now).toBe(3_000);
    },
  );

  test('in the middle of a crash cycle, with a server that is just starting', () => {
    const state = up([], { server: { kind: 'starting' }, phase: 'WAIT_BACKENDS' });
    const course = new Course({ ...state, crash: { kind: 'ending', since: 0 } });
    course.post({ kind: 'launcher-exited' });
    expect(course.settle()).toEqual([{ kind: 'end-server', signal: 'SIGINT' }]);
  });
});

test('a fork that fails counts as a failure now: its interval, or never', () => {
  for (const [restartTime, after] of [
    [5, { kind: 'due', notBefore: 5_200 }],
    [0, { kind: 'due', notBefore: 200 }],
    ['never', { kind: 'gone', last: null }],
  ] as const) {
    const course = new Course(up([worker({ registration: attached({ restartTime }) })]));
    course.turn();
    course.at(200).post({ kind: 'fork-failed', slot: 0, child: 100, call: 'fork', why: 'EAGAIN' });
    expect(course.standing()).toEqual(after);
    expect(course.state.crash.kind).toBe('none');
  }
});

test('the server alone goes and comes back: workers stay, RecoveryFinished ones wait', () => {
  const course = new Course(
    up([running(0, attached()), worker({ slot: 1, standing: { kind: 'due', notBefore: 3_000 } })], {
      server: { kind: 'running', pid: 9 },
    }),
  );
  course.post({ kind: 'server-exited' });
  expect(course.settle()).toEqual([{ kind: 'enter', phase: 'STARTUP' }]);
  expect(course.wake()).toEqual([{ kind: 'start-server' }]);
  expect(course.now).toBe(1_000);
  course.post({ kind: 'server-started', pid: 10 });
  course.at(4_000).post({ kind: 'database', state: 'primary', detail: null });
  expect(course.settle().map((one) => one.kind)).toEqual(['enter', 'fork']);
  expect(course.told(0)).toBe('running');
});

describe('who has no part in shared memory', () => {
  const alone = (slot: number, notBefore: number, restartTime: number | 'never') =>
    worker({
      slot,
      registration: registration({ restartTime }),
      standing: { kind: 'due', notBefore },
    });

  test('has none in the cycle: neither forgotten nor hurried', () => {
    const waiting = [alone(1, 0, 'never'), alone(2, 50_000, 60)];
    const crashed = worker({ standing: STANDINGS.SIGQUIT, registration: attached() });
    const course = new Course(
      up([crashed, ...waiting], { phase: 'WAIT_BACKENDS', crash: { kind: 'ending', since: 0 } }),
      10,
    );
    course.exited(0, exit(2, false));
    expect(course.settle()).toContainEqual({ kind: 'reset-memory' });
    expect(course.standing(2)).toEqual({ kind: 'due', notBefore: 50_000 });
    expect(course.told(1)).toBe('forking');
  });
});
