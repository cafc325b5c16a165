// Phase × start time (§1.10), what forbids every start, one fork a turn, and when to wake.

import { describe, expect, test } from 'vitest';
import {
  type DatabaseState,
  isNormal,
  mayStart,
  PHASE_OF_DATABASE,
  PHASES,
  type Phase,
  START_TIMES,
  type StartTime,
} from '../../../lib/model/phase.ts';
import { SHUTDOWN_MODES, type State } from '../../../lib/model/state.ts';
import { plan } from '../../../lib/schedule/plan.ts';
import {
  Course,
  exit,
  isForkOf,
  kinds,
  registration,
  STANDINGS,
  up,
  upIn,
  worker,
} from './make.ts';

const MAY: Readonly<Record<Phase, Readonly<Record<StartTime, boolean>>>> = {
  INIT: { PostmasterStart: true, ConsistentState: false, RecoveryFinished: false },
  STARTUP: { PostmasterStart: true, ConsistentState: false, RecoveryFinished: false },
  RECOVERY: { PostmasterStart: true, ConsistentState: false, RecoveryFinished: false },
  HOT_STANDBY: { PostmasterStart: true, ConsistentState: true, RecoveryFinished: false },
  RUN: { PostmasterStart: true, ConsistentState: true, RecoveryFinished: true },
  STOP_BACKENDS: { PostmasterStart: false, ConsistentState: false, RecoveryFinished: false },
  WAIT_BACKENDS: { PostmasterStart: false, ConsistentState: false, RecoveryFinished: false },
  WAIT_XLOG_SHUTDOWN: { PostmasterStart: false, ConsistentState: false, RecoveryFinished: false },
  NO_CHILDREN: { PostmasterStart: false, ConsistentState: false, RecoveryFinished: false },
};

const CELLS = PHASES.flatMap((phase) => START_TIMES.map((startTime) => ({ phase, startTime })));

const due = (startTime: StartTime) => worker({ registration: registration({ startTime }) });
const forksOf = (state: State, now = 10) => plan(state, now).actions.filter((one) => isForkOf(one));

describe('phase × start time', () => {
  test('is 9 × 3', () => expect(CELLS).toHaveLength(27));

  test.each(CELLS)('$phase × $startTime', ({ phase, startTime }) => {
    expect(mayStart(startTime, phase)).toBe(MAY[phase][startTime]);
    // INIT is left on the first turn that could start anything.
    if (phase === 'INIT') return;
    const forks = forksOf(upIn(phase, [due(startTime)]));
    expect(forks).toEqual(MAY[phase][startTime] ? [{ kind: 'fork', slot: 0, child: 100 }] : []);
  });

  const FORBIDDING: Readonly<Record<string, Partial<State>>> = {
    'a crash cycle': { crash: { kind: 'ending', since: 0 } },
    'a smart shutdown': { shutdown: { mode: 'smart', since: 0 } },
    'a fast shutdown': { shutdown: { mode: 'fast', since: 0 } },
    'an immediate shutdown': { shutdown: { mode: 'immediate', since: 0 } },
    'no launcher': { launcher: { kind: 'absent' } },
    'a launcher on its way': { launcher: { kind: 'starting' } },
    'a launcher that failed': { launcher: { kind: 'failed' } },
    'the end': { course: 'done' },
  };
  for (const [why, changes] of Object.entries(FORBIDDING)) {
    test.each(CELLS)(`$phase × $startTime with ${why}: nothing`, ({ phase, startTime }) => {
      const state = { ...upIn(phase, [due(startTime)]), ...changes };
      expect(forksOf(state)).toEqual([]);
    });
  }

  test.each(CELLS)('$phase × $startTime, already running: let be', ({ phase, startTime }) => {
    if (!isNormal(phase) || phase === 'INIT') return;
    const one = { ...due(startTime), standing: STANDINGS.running };
    expect(plan(upIn(phase, [one]), 10)).toEqual({ actions: [], wakeAt: null });
  });
});

describe('the phase follows the database', () => {
  const DATABASES: readonly DatabaseState[] = ['unreachable', 'recovering', 'standby', 'primary'];
  const PHASE: Readonly<Record<DatabaseState, Phase>> = {
    unreachable: 'STARTUP',
    recovering: 'RECOVERY',
    standby: 'HOT_STANDBY',
    primary: 'RUN',
  };
  const edges = DATABASES.flatMap((from) => DATABASES.map((to) => ({ from, to })));

  test.each(edges)('$from → $to', ({ from, to }) => {
    const workers = START_TIMES.map((startTime, slot) => ({
      ...due(startTime),
      slot,
      standing: { ...STANDINGS.running, child: slot },
    }));
    const course = new Course(upIn(PHASE_OF_DATABASE[from], workers));
    course.post({ kind: 'database', state: to, detail: null });
    const actions = course.settle();
    // Nobody who runs is stopped by a phase.
    expect(actions).toEqual(from === to ? [] : [{ kind: 'enter', phase: PHASE[to] }]);
  });

  test.each(edges)('$from → $to: nothing is started for the phase that is left', ({ from, to }) => {
    for (const startTime of START_TIMES) {
      const course = new Course(upIn(PHASE_OF_DATABASE[from], [due(startTime)]));
      course.post({ kind: 'database', state: to, detail: null });
      expect(course.settle().some((one) => isForkOf(one))).toBe(MAY[PHASE[to]][startTime]);
    }
  });

  test('up for the first time: INIT, STARTUP, then where the database is', () => {
    const course = new Course(up([], { phase: 'INIT', launcher: { kind: 'absent' } }));
    expect(course.settle()).toEqual([{ kind: 'start-launcher' }]);
    course.post({
      kind: 'launcher-ready',
      pid: 50,
      startupHooks: false,
      startupProcess: false,
      workers: [],
    });
    expect(course.settle()).toEqual([
      { kind: 'enter', phase: 'STARTUP' },
      { kind: 'enter', phase: 'RUN' },
    ]);
  });
});

describe('one fork a turn', () => {
  const many = (count: number) => Array.from({ length: count }, (_, slot) => worker({ slot }));

  test('and none while one is under way', () => {
    const course = new Course(up(many(4)));
    const plans: number[] = [];
    for (let turn = 0; turn < 12; turn++) {
      plans.push(course.turn().actions.filter((one) => isForkOf(one)).length);
      const slot = [...course.state.workers.values()].find(
        (one) => one.standing.kind === 'forking',
      );
      if (turn % 2 === 1 && slot) course.forked(slot.slot);
    }
    expect(plans).toEqual([1, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 0]);
  });

  describe('and none while the last one comes up', () => {
    function coming(): Course {
      const course = new Course(up(many(2)), 1_000);
      course.settle();
      course.forked(0, { isUp: false });
      expect(course.settle()).toEqual([]);
      return course;
    }
    const next = (course: Course) => course.settle().some((one) => isForkOf(one, 1));

    test('until it is up', () => {
      const course = coming();
      expect(next(course.post({ kind: 'up', child: 100 }))).toBe(true);
    });

    test('another one, before it: that is no news', () => {
      const course = coming();
      expect(next(course.post({ kind: 'up', child: 99 }))).toBe(false);
    });

    test('until it is gone', () => {
      const course = coming();
      expect(next(course.exited(0, exit(0)))).toBe(true);
    });

    test('until it has had its time', () => {
      const course = coming();
      expect(next(course.at(1_099.9))).toBe(false);
      expect(course.wake().some((one) => isForkOf(one, 1))).toBe(true);
      expect(course.now).toBe(1_100);
    });

    test('until its launcher is lost: the next one has its own', () => {
      const course = coming();
      course.post({ kind: 'launcher-exited' });
      expect(course.state.booting).toBeNull();
    });

    test('a stop is not kept waiting by it', () => {
      const course = coming();
      expect(course.state.booting).toEqual({ child: 100, since: 1_000 });
      course.post({ kind: 'stop', mode: 'fast' });
      expect(course.settle().map(({ kind }) => kind)).toContain('end-worker');
    });
  });

  test('who has been due for the longest comes first', () => {
    const at = [30, 10, 40, 20];
    const workers = at.map((notBefore, slot) =>
      worker({ slot, standing: { kind: 'due', notBefore } }),
    );
    const course = new Course(up(workers), 100);
    course.startAll();
    const order = course.done.flatMap(({ action }) =>
      action.kind === 'fork' ? [action.slot] : [],
    );
    expect(order).toEqual([1, 3, 0, 2]);
  });

  test('who fails at once does not hold up the others', () => {
    const busy = registration({ restartTime: 0 });
    const course = new Course(up([worker({ registration: busy }), ...many(4).slice(1)]));
    let forks = 0;
    while (forks++ < 8) {
      course.settle();
      const forking = [...course.state.workers.values()].find((w) => w.standing.kind === 'forking');
      if (forking === undefined) break;
      course.at(course.now + 1).forked(forking.slot);
      if (forking.slot === 0) course.exited(0, exit(1));
    }
    for (const slot of [1, 2, 3]) expect(course.told(slot)).toBe('running');
  });

  test('every child gets a number of its own', () => {
    const course = new Course(up(many(8)));
    course.startAll();
    const children = course.done.flatMap(({ action }) =>
      action.kind === 'fork' ? [action.child] : [],
    );
    expect(new Set(children).size).toBe(8);
  });

  test('a stop in the middle is obeyed at once', () => {
    const course = new Course(up(many(8)));
    course.turn();
    course.post({ kind: 'stop', mode: 'fast' });
    expect(course.settle().some((one) => isForkOf(one))).toBe(false);
    course.forked(0);
    expect(course.turn().actions[0]).toEqual({ kind: 'end-worker', slot: 0, signal: 'SIGTERM' });
  });
});

describe('wakeAt', () => {
  const waiting = (notBefore: number) => worker({ standing: { kind: 'due', notBefore } });
  const QUIT_5S = { ...STANDINGS.SIGQUIT, toldAt: 100 };

  const reasons: [why: string, state: State, wakeAt: number | null][] = [
    ['nothing at all', up([]), null],
    ['a worker that runs', up([worker({ standing: STANDINGS.running })]), null],
    ['a worker in its interval', up([waiting(5_100.5)]), 5_100.5],
    ['two of them', up([waiting(9_000), { ...waiting(5_000), slot: 1 }]), 5_000],
    ['one whose phase is not there', upIn('STARTUP', [waiting(5_000)]), null],
    [
      'one in its interval, one being forked: the answer wakes',
      up([waiting(5_000), worker({ slot: 1, standing: STANDINGS.forking })]),
      null,
    ],
    [
      'one in its interval, one coming up',
      up([waiting(1_050), worker({ slot: 1, standing: STANDINGS.running })], {
        booting: { child: 7, since: 990 },
      }),
      1_090,
    ],
    [
      'a terminated worker takes its time',
      up([worker({ standing: STANDINGS.SIGTERM, terminated: true })]),
      null,
    ],
    [
      'a fast shutdown that is waited for',
      up([worker({ standing: STANDINGS.SIGTERM })], {
        phase: 'WAIT_BACKENDS',
        shutdown: { mode: 'fast', since: 200 },
      }),
      60_200,
    ],
    [
      'an immediate one',
      up([worker({ standing: QUIT_5S })], {
        phase: 'WAIT_BACKENDS',
        shutdown: { mode: 'immediate', since: 50 },
      }),
      5_100,
    ],
    [
      'after SIGKILL, the end of the patience with the launcher',
      up([worker({ standing: STANDINGS.SIGKILL })], {
        phase: 'WAIT_BACKENDS',
        shutdown: { mode: 'immediate', since: 50 },
      }),
      5_000,
    ],
    [
      'a server that is to be started again',
      { ...upIn('STARTUP', []), server: { kind: 'due', notBefore: 1_500 } },
      1_500,
    ],
    [
      'a server while there is no launcher',
      {
        ...upIn('STARTUP', []),
        launcher: { kind: 'starting' },
        server: { kind: 'due', notBefore: 1_500 },
      },
      null,
    ],
    [
      'a worker in its interval while everything stops',
      up([waiting(5_000), worker({ slot: 1, standing: STANDINGS.SIGTERM })], {
        phase: 'WAIT_BACKENDS',
        shutdown: { mode: 'fast', since: 0 },
      }),
      60_000,
    ],
    ['the end', up([waiting(5_000)], { course: 'done' }), null],
  ];

  test.each(reasons)('%s', (_why, state, wakeAt) => {
    const before = plan(state, 1_000);
    expect(before).toEqual({ actions: [], wakeAt });
    if (wakeAt === null) return;
    expect(kinds(plan(state, wakeAt - 0.001))).toEqual([]);
    expect(kinds(plan(state, wakeAt))).not.toEqual([]);
  });

  test('is not set while there is something to do', () => {
    expect(plan(up([worker(), { ...waiting(5_000), slot: 1 }]), 10).wakeAt).toBeNull();
  });
});

test('every shutdown mode was among what forbids a start', () => {
  expect(SHUTDOWN_MODES).toEqual(['smart', 'fast', 'immediate']);
});
