// Shutdown (§1.17): who is told what and when, what makes it rougher, and with which status it ends.

import { describe, expect, test } from 'vitest';
import type { Action } from '../../../lib/model/action.ts';
import type { Phase } from '../../../lib/model/phase.ts';
import type { ServerStanding } from '../../../lib/model/standing.ts';
import { SHUTDOWN_MODES, type ShutdownMode, type State } from '../../../lib/model/state.ts';
import { plan } from '../../../lib/schedule/plan.ts';
import { attached, Course, exit, LIMITS, registration, STANDINGS, up, worker } from './make.ts';

const running = (slot = 0, changes = registration()) =>
  worker({ slot, registration: changes, standing: { ...STANDINGS.running, child: slot + 1 } });

const phases = (actions: readonly Action[]): Phase[] =>
  actions.flatMap((one) => (one.kind === 'enter' ? [one.phase] : []));

describe('escalation only: the strongest request counts', () => {
  const MODES = [null, ...SHUTDOWN_MODES] as const;
  /** Row: the request under way; column: the request that comes. */
  const TABLE: Record<string, Record<ShutdownMode, ShutdownMode>> = {
    null: { smart: 'smart', fast: 'fast', immediate: 'immediate' },
    smart: { smart: 'smart', fast: 'fast', immediate: 'immediate' },
    fast: { smart: 'fast', fast: 'fast', immediate: 'immediate' },
    immediate: { smart: 'immediate', fast: 'immediate', immediate: 'immediate' },
  };
  const cells = MODES.flatMap((first) => SHUTDOWN_MODES.map((second) => ({ first, second })));

  test.each(cells)('$first, then $second', ({ first, second }) => {
    const course = new Course(up([running()]), 10);
    if (first !== null) course.post({ kind: 'stop', mode: first });
    const before = course.state.shutdown;
    course.at(20).post({ kind: 'stop', mode: second });
    const mode = TABLE[String(first)]?.[second];
    expect(course.state.shutdown?.mode).toBe(mode);
    // A request that changes nothing does not buy anybody time either.
    if (mode === first) expect(course.state.shutdown).toBe(before);
    else expect(course.state.shutdown?.since).toBe(20);
  });

  const orders = [
    ['smart', 'fast', 'immediate'],
    ['smart', 'immediate', 'fast'],
    ['fast', 'smart', 'immediate'],
    ['fast', 'immediate', 'smart'],
    ['immediate', 'smart', 'fast'],
    ['immediate', 'fast', 'smart'],
  ] as const;
  test.each(orders)('%s, %s and %s at once: immediate', (...order) => {
    const course = new Course(up([running()]));
    for (const mode of order) course.post({ kind: 'stop', mode });
    expect(course.state.shutdown?.mode).toBe('immediate');
    course.settle();
    expect(course.told()).toBe('SIGQUIT');
  });
});

describe('the ladder', () => {
  for (const mode of ['smart', 'fast'] as const) {
    test(`${mode}: SIGTERM, SIGQUIT after the limit, SIGKILL 5 s later`, () => {
      const course = new Course(up([running(), running(1, attached())]), 1_000);
      course.post({ kind: 'stop', mode });
      const first = course.settle();
      expect(first).toEqual([
        { kind: 'end-worker', slot: 0, signal: 'SIGTERM' },
        { kind: 'end-worker', slot: 1, signal: 'SIGTERM' },
        { kind: 'enter', phase: 'STOP_BACKENDS' },
        { kind: 'enter', phase: 'WAIT_BACKENDS' },
      ]);
      expect(course.wake().map((one) => 'signal' in one && one.signal)).toEqual([
        'SIGQUIT',
        'SIGQUIT',
      ]);
      expect(course.now).toBe(61_000);
      expect(course.wake().map((one) => 'signal' in one && one.signal)).toEqual([
        'SIGKILL',
        'SIGKILL',
      ]);
      expect(course.now).toBe(66_000);
      expect(plan(course.state, course.now)).toEqual({ actions: [], wakeAt: 71_000 });
    });
  }

  test('immediate: SIGQUIT, SIGKILL after 5 s', () => {
    const course = new Course(up([running()]), 1_000).post({ kind: 'stop', mode: 'immediate' });
    course.settle();
    expect(course.told()).toBe('SIGQUIT');
    course.wake();
    expect(course.now).toBe(6_000);
    expect(course.told()).toBe('SIGKILL');
  });

  test('fast, then immediate: no waiting for the limit', () => {
    const course = new Course(up([running()]), 0).post({ kind: 'stop', mode: 'fast' });
    course.settle();
    course.at(2_000).post({ kind: 'stop', mode: 'immediate' });
    course.settle();
    expect(course.told()).toBe('SIGQUIT');
    course.wake();
    expect([course.now, course.told()]).toEqual([7_000, 'SIGKILL']);
  });

  test('a worker terminated long before has the full limit from the stop on, and no second SIGTERM', () => {
    const course = new Course(up([running()]), 0);
    course.post({ kind: 'terminate', slot: 0, generation: 0n });
    course.settle();
    expect(course.told()).toBe('SIGTERM');
    expect(plan(course.state, 1e9)).toEqual({ actions: [], wakeAt: null });
    course.at(1e9).post({ kind: 'stop', mode: 'fast' });
    expect(course.settle().some((one) => one.kind === 'end-worker')).toBe(false);
    course.wake();
    expect([course.now, course.told()]).toEqual([1e9 + 60_000, 'SIGQUIT']);
  });

  test('a limit of 0 leaves out the waiting, not the order', () => {
    const state = up([running()], { limits: { ...LIMITS, shutdownMs: 0 } });
    const course = new Course(state).post({ kind: 'stop', mode: 'fast' });
    const signals = course
      .settle()
      .flatMap((one) => (one.kind === 'end-worker' ? [one.signal] : []));
    expect(signals).toEqual(['SIGTERM', 'SIGQUIT']);
  });

  test('a child that is still being forked is waited for, and told as soon as it is there', () => {
    for (const [mode, signal] of [
      ['fast', 'SIGTERM'],
      ['immediate', 'SIGQUIT'],
    ] as const) {
      const course = new Course(up([worker()]));
      course.turn();
      course.post({ kind: 'stop', mode }).settle();
      expect(course.state.phase).toBe('STOP_BACKENDS');
      course.forked().settle();
      expect([course.state.phase, course.told()]).toEqual(['WAIT_BACKENDS', signal]);
    }
  });
});

describe('the embedded server stops last', () => {
  const withServer = (server: ServerStanding, workers = [running()]): State =>
    up(workers, { server });
  const RUNNING: ServerStanding = { kind: 'running', pid: 9 };

  test('fast: workers, then SIGINT to it, SIGQUIT after the limit, SIGKILL 5 s later', () => {
    const course = new Course(withServer(RUNNING), 0).post({ kind: 'stop', mode: 'fast' });
    expect(course.settle().some((one) => one.kind === 'end-server')).toBe(false);
    course.exited(0, exit(0));
    expect(course.settle()).toEqual([
      { kind: 'forget', slot: 0 },
      { kind: 'enter', phase: 'WAIT_XLOG_SHUTDOWN' },
      { kind: 'end-server', signal: 'SIGINT' },
    ]);
    expect(course.wake()).toEqual([{ kind: 'end-server', signal: 'SIGQUIT' }]);
    expect(course.now).toBe(60_000);
    expect(course.wake()).toEqual([{ kind: 'end-server', signal: 'SIGKILL' }]);
    expect(course.now).toBe(65_000);
    expect(plan(course.state, course.now).wakeAt).toBe(70_000);
    course.post({ kind: 'server-exited' });
    expect(course.settle()).toEqual([
      { kind: 'enter', phase: 'NO_CHILDREN' },
      { kind: 'finish', exitCode: 0 },
    ]);
  });

  test('immediate: SIGQUIT together with the workers, SIGKILL after 5 s', () => {
    const course = new Course(withServer(RUNNING), 0).post({ kind: 'stop', mode: 'immediate' });
    expect(course.turn().actions.slice(0, 2)).toEqual([
      { kind: 'end-worker', slot: 0, signal: 'SIGQUIT' },
      { kind: 'end-server', signal: 'SIGQUIT' },
    ]);
    course.settle();
    expect(course.wake()).toEqual([
      { kind: 'end-worker', slot: 0, signal: 'SIGKILL' },
      { kind: 'end-server', signal: 'SIGKILL' },
    ]);
    expect(course.now).toBe(5_000);
  });

  const standings: [ServerStanding, goesAtOnce: boolean][] = [
    [{ kind: 'none' }, true],
    [{ kind: 'due', notBefore: 1e6 }, true],
    [{ kind: 'starting' }, false],
    [RUNNING, false],
    [{ kind: 'stopping', pid: 9, told: 'SIGINT', toldAt: 0 }, false],
  ];
  for (const mode of SHUTDOWN_MODES) {
    test.each(standings)(`${mode} with a server that is %o`, (server, goesAtOnce) => {
      const course = new Course(withServer(server, [])).post({ kind: 'stop', mode });
      course.settle();
      expect(course.state.course).toBe(goesAtOnce ? 'done' : 'on');
      if (goesAtOnce) return;
      course.post({ kind: 'server-exited' });
      expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 0 });
    });
  }

  test('one that comes up after it was told to end is still told the rest', () => {
    const course = new Course(withServer({ kind: 'starting' }, [])).post({
      kind: 'stop',
      mode: 'fast',
    });
    course.settle();
    course.post({ kind: 'server-started', pid: 9 });
    expect(course.wake()).toEqual([{ kind: 'end-server', signal: 'SIGQUIT' }]);
  });
});

describe('the phases on the way down, and the status', () => {
  const DOWN: Phase[] = ['STOP_BACKENDS', 'WAIT_BACKENDS', 'WAIT_XLOG_SHUTDOWN', 'NO_CHILDREN'];
  const starts: Phase[] = ['INIT', 'STARTUP', 'RECOVERY', 'HOT_STANDBY', 'RUN'];

  for (const mode of SHUTDOWN_MODES) {
    test.each(starts)(`${mode} in %s with nobody there`, (phase) => {
      const course = new Course(up([], { phase, database: 'primary' }));
      const actions = course.post({ kind: 'stop', mode }).settle();
      expect(phases(actions)).toEqual(DOWN);
      expect(actions.at(-1)).toEqual({ kind: 'finish', exitCode: 0 });
    });
  }

  const launchers: State['launcher'][] = [
    { kind: 'absent' },
    { kind: 'starting' },
    { kind: 'ready', pid: 5, startupHooks: false },
    { kind: 'failed' },
  ];
  test.each(launchers)('with a launcher that is %o', (launcher) => {
    const course = new Course(up([], { phase: 'INIT', launcher })).post({
      kind: 'stop',
      mode: 'fast',
    });
    expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 0 });
  });

  const failures: [string, Parameters<Course['post']>[0]][] = [
    ['the launcher cannot be started', { kind: 'launcher-failed', error: new Error('1') }],
    ['the server cannot be started', { kind: 'server-failed', error: new Error('1') }],
    ['the database will never let us in', { kind: 'database-refused', error: new Error('1') }],
  ];
  test.each(failures)('%s: fast, exit 1, and the first cause is kept', (_why, event) => {
    const course = new Course(up([running()]));
    course.post(event).post({ kind: 'launcher-failed', error: new Error('2') });
    expect(course.state.failure).toMatchObject({ error: { message: '1' } });
    course.settle();
    expect(course.told()).toBe('SIGTERM');
    course.exited(0, exit(1));
    expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 1 });
  });

  test('a lock file that is lost: immediate', () => {
    const course = new Course(up([running()])).post({ kind: 'lock-file-lost' });
    course.settle();
    expect(course.told()).toBe('SIGQUIT');
  });

  test('workers that leave with 0 or 1 when told, clean: exit 0', () => {
    for (const code of [0, 1]) {
      const course = new Course(up([running(0, attached())])).post({ kind: 'stop', mode: 'fast' });
      course.settle();
      course.exited(0, exit(code));
      expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 0 });
    }
  });

  test('who was sent SIGQUIT or SIGKILL by us has not crashed', () => {
    const course = new Course(up([running(0, attached())])).post({
      kind: 'stop',
      mode: 'immediate',
    });
    course.settle();
    course.exited(0, exit(2, false));
    expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 0 });
  });
});

describe('what comes in during a shutdown', () => {
  for (const mode of SHUTDOWN_MODES) {
    test(`${mode}: a registration is refused by being gone, and its slot is free again`, () => {
      const course = new Course(up([running()])).post({ kind: 'stop', mode });
      course.post({ kind: 'registered', ticket: 1, registration: registration() });
      expect(course.standing(1)).toEqual({ kind: 'gone', last: null });
      expect(course.settle()).toContainEqual({ kind: 'forget', slot: 1 });
      expect(course.state.workers.has(1)).toBe(false);
    });

    test(`${mode}: a fork that fails is not tried again`, () => {
      const course = new Course(up([worker()]));
      course.turn();
      course.post({ kind: 'stop', mode }).settle();
      course.post({ kind: 'fork-failed', slot: 0, child: 100, call: 'fork', why: 'EAGAIN' });
      expect(course.standing()?.kind).toBe('gone');
      expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 0 });
    });

    test(`${mode}: SIGHUP is not passed on any more`, () => {
      const early = new Course(up([running()]))
        .post({ kind: 'reload' })
        .post({ kind: 'stop', mode });
      const late = new Course(up([running()]))
        .post({ kind: 'stop', mode })
        .post({ kind: 'reload' });
      for (const course of [early, late]) {
        expect(course.settle().some((one) => one.kind === 'reload')).toBe(false);
      }
    });
  }
});

test('reload: passed on once, however often it was asked for', () => {
  const course = new Course(up([running()]));
  course.post({ kind: 'reload' }).post({ kind: 'reload' });
  expect(course.settle()).toEqual([{ kind: 'reload' }]);
});

describe('a launcher that does not answer', () => {
  const stopped = { kind: 'stop', mode: 'fast' } as const;

  test('while nothing is to end, is waited for', () => {
    const course = new Course(up([worker({ standing: STANDINGS.forking })]));
    expect(plan(course.state, 1e9)).toEqual({ actions: [], wakeAt: null });
  });

  test('to a request for a child: killed 5 s after the stop, and the stop goes on', () => {
    const course = new Course(up([worker({ standing: STANDINGS.forking })]), 1_000).post(stopped);
    course.settle();
    expect(course.wake()).toEqual([{ kind: 'end-launcher' }]);
    expect(course.now).toBe(6_000);
    expect(plan(course.state, 1e9)).toEqual({ actions: [], wakeAt: null });
    course.post({ kind: 'launcher-exited' });
    expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 1 });
  });

  test('after the SIGKILL of a child: killed 5 s later, and the child is lost with it', () => {
    const course = new Course(up([running()]), 1_000).post({ kind: 'stop', mode: 'immediate' });
    course.settle();
    expect(course.wake()).toEqual([{ kind: 'end-worker', slot: 0, signal: 'SIGKILL' }]);
    expect(course.wake()).toEqual([{ kind: 'end-launcher' }]);
    expect(course.now).toBe(11_000);
    course.post({ kind: 'launcher-exited' });
    expect(course.settle()).toEqual([]);
    course.exited(0, { cause: { kind: 'lost' }, cleanDetach: true, usage: null });
    expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 1 });
  });

  test('in a crash cycle: killed, and started again when all is gone', () => {
    const state = up([worker({ standing: STANDINGS.SIGKILL, registration: attached() })], {
      phase: 'WAIT_BACKENDS',
      crash: { kind: 'ending', since: 0 },
    });
    const course = new Course(state);
    expect(course.wake()).toEqual([{ kind: 'end-launcher' }]);
    expect(course.now).toBe(5_000);
    course.post({ kind: 'launcher-exited' });
    course.exited(0, { cause: { kind: 'lost' }, cleanDetach: false, usage: null });
    expect(course.settle()).toContainEqual({ kind: 'start-launcher' });
  });
});
