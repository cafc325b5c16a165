// The startup process: its standing × event, alone, in a crash cycle and in a shutdown, what it
// makes of the phases, and when it is started and told to end.

import { describe, expect, test } from 'vitest';
import type { Event } from '../../../lib/model/event.ts';
import type { Phase } from '../../../lib/model/phase.ts';
import type { StartupStanding } from '../../../lib/model/standing.ts';
import { initialState, type State } from '../../../lib/model/state.ts';
import { apply } from '../../../lib/react/apply.ts';
import { plan } from '../../../lib/schedule/plan.ts';
import { attached, Course, exit, isForkOf, LIMITS, registration, up, worker } from './make.ts';
import { arrival, attachedBackend, backend, clients, serving } from './make-clients.ts';

const AT = 500;
const STANDINGS = {
  none: { kind: 'none' },
  due: { kind: 'due' },
  starting: { kind: 'starting' },
  running: { kind: 'running', pid: 60 },
  SIGTERM: { kind: 'stopping', pid: 60, told: 'SIGTERM', toldAt: 0 },
  SIGQUIT: { kind: 'stopping', pid: 60, told: 'SIGQUIT', toldAt: 0 },
  SIGKILL: { kind: 'stopping', pid: 60, told: 'SIGKILL', toldAt: 0 },
  done: { kind: 'done' },
} as const satisfies Record<string, StartupStanding>;

type Name = keyof typeof STANDINGS;
const NAMES = Object.keys(STANDINGS) as Name[];

const exited = (how: Parameters<typeof exit>[0], clean = true): Event => ({
  kind: 'startup-exited',
  exit: exit(how, clean),
  said: null,
});

const READY = { kind: 'launcher-ready', pid: 51, startupHooks: false, workers: [] } as const;

const EVENTS: Readonly<Record<string, Event>> = {
  'launcher-ready, with one': { ...READY, startupProcess: true },
  'launcher-ready, without': { ...READY, startupProcess: false },
  'launcher-exited': { kind: 'launcher-exited' },
  'startup-started': { kind: 'startup-started', pid: 60 },
  'startup-not-started': { kind: 'startup-not-started', call: 'fork', why: 'EAGAIN' },
  'startup-consistent': { kind: 'startup-consistent' },
  'exit 0': exited(0),
  'exit 0, unclean': exited(0, false),
  'exit 1': exited(1),
  'exit 2': exited(2),
  SIGSEGV: exited('SIGSEGV', false),
  lost: exited('lost', false),
  'done: start-startup-process': { kind: 'done', action: { kind: 'start-startup-process' } },
  'done: end-startup-process': {
    kind: 'done',
    action: { kind: 'end-startup-process', signal: 'SIGKILL' },
  },
  'done: reset-memory': { kind: 'done', action: { kind: 'reset-memory' } },
};

/** `.`: as it was. `F`: and the postmaster fails. `C`: and a crash cycle begins. */
type Table = Readonly<Record<string, string>>;

/** Nothing else is the matter. */
const ALONE: Table = {
  //                               none due  starting running    SIGTERM SIGQUIT SIGKILL done
  'launcher-ready, with one': '    due  .    due      due        due     due     due     due  ',
  'launcher-ready, without': '     .    none none     none       none    none    none    none ',
  'launcher-exited': '             .C   .C   dueC     .C         .C      .C      .C      .C   ',
  'startup-started': '             .    .    running  .          .       .       .       .    ',
  'startup-not-started': '         .    .    doneF    .          .       .       .       .    ',
  'startup-consistent': '          .    .    .        .          .       .       .       .    ',
  'exit 0': '                      .    .    .        done       done    done    done    .    ',
  'exit 0, unclean': '             .    .    .        doneFC     doneFC  doneF   doneF   .    ',
  'exit 1': '                      .    .    .        doneF      doneF   doneF   doneF   .    ',
  'exit 2': '                      .    .    .        doneFC     doneFC  doneF   doneF   .    ',
  SIGSEGV: '                       .    .    .        doneFC     doneFC  doneF   doneF   .    ',
  lost: '                          .    .    .        doneFC     doneFC  doneF   doneF   .    ',
  'done: start-startup-process':
    ' starting starting starting starting starting starting starting starting',
  'done: end-startup-process': '   .    .    .        SIGKILL    SIGKILL SIGKILL SIGKILL .    ',
  'done: reset-memory': '          .    due  due      due        due     due     due     due  ',
};

/** It is ended for it, or ends by itself: it has everything to do again, and that is no failure. */
const IN_A_CRASH: Table = {
  ...ALONE,
  //                               none due  starting running    SIGTERM SIGQUIT SIGKILL done
  'launcher-exited': '             .    .    due      .          .       .       .       .    ',
  'startup-not-started': '         .    .    done     .          .       .       .       .    ',
  'exit 0': '                      .    .    .        done       done    done    done    .    ',
  'exit 0, unclean': '             .    .    .        done       done    done    done    .    ',
  'exit 1': '                      .    .    .        done       done    done    done    .    ',
  'exit 2': '                      .    .    .        done       done    done    done    .    ',
  SIGSEGV: '                       .    .    .        done       done    done    done    .    ',
  lost: '                          .    .    .        done       done    done    done    .    ',
};

const IN_A_SHUTDOWN: Table = {
  ...IN_A_CRASH,
  //                               none due  starting running    SIGTERM SIGQUIT SIGKILL done
  'launcher-exited': '             .C   .C   dueC     .C         .C      .C      .C      .C   ',
  'exit 0, unclean': '             .    .    .        doneC      doneC   done    done    .    ',
  'exit 2': '                      .    .    .        doneC      doneC   done    done    .    ',
  SIGSEGV: '                       .    .    .        doneC      doneC   done    done    .    ',
  lost: '                          .    .    .        doneC      doneC   done    done    .    ',
};

const CONTEXTS: readonly [string, Table, Partial<State>][] = [
  ['alone', ALONE, {}],
  ['in a crash cycle', IN_A_CRASH, { crash: { kind: 'ending', since: 0 } }],
  ['in a shutdown', IN_A_SHUTDOWN, { shutdown: { mode: 'fast', since: 0 } }],
];

function nameOf(startup: StartupStanding): string {
  return startup.kind === 'stopping' ? startup.told : startup.kind;
}

describe.each(CONTEXTS)('%s', (_context, table, changes) => {
  const cells = Object.entries(table).flatMap(([event, row]) =>
    NAMES.map((standing, index) => ({
      event,
      standing,
      after: row.trim().split(/ +/)[index] ?? 'a hole',
    })),
  );

  test('the grid has no hole', () => {
    expect(Object.keys(table)).toEqual(Object.keys(EVENTS));
    for (const row of Object.values(table))
      expect(row.trim().split(/ +/)).toHaveLength(NAMES.length);
  });

  test.each(cells)('$standing × $event: $after', ({ event, standing, after }) => {
    const before = up([], { startup: STANDINGS[standing], ...changes });
    const next = apply(before, { at: AT, event: EVENTS[event] as Event });
    const isSame = next.startup === before.startup || nameOf(next.startup) === standing;
    const name =
      isSame && (after.startsWith('.') || after === standing)
        ? after.replace(/[FC]+$/, '')
        : nameOf(next.startup);
    const failed = next.failure.kind === 'failed' ? 'F' : '';
    const crashed = next.crash.kind !== 'none' && before.crash.kind === 'none' ? 'C' : '';
    expect(`${name}${failed}${crashed}`).toBe(after);
  });
});

describe('the phases follow it', () => {
  const READY_WITH_HOOKS = { ...READY, startupHooks: true, startupProcess: true } as const;
  const phasesOf = (course: Course): Phase[] =>
    course.done.flatMap(({ action }) => (action.kind === 'enter' ? [action.phase] : []));

  test('STARTUP until it runs, then RECOVERY, HOT_STANDBY, RUN', () => {
    const course = new Course(initialState({ limits: LIMITS, follows: 'nothing' }));
    course.settle();
    course.post({
      ...READY,
      startupProcess: true,
      workers: [{ staticIndex: 0, registration: attached() }],
    });
    expect(course.settle().at(-1)).toEqual({ kind: 'start-startup-process' });
    expect(course.state.phase).toBe('STARTUP');
    course.post({ kind: 'startup-started', pid: 60 }).settle();
    course.post({ kind: 'startup-consistent' }).settle();
    course.post(exited(0)).settle();
    expect(phasesOf(course)).toEqual(['STARTUP', 'RECOVERY', 'HOT_STANDBY', 'RUN']);
    expect(course.told()).toBe('forking');
  });

  test('it comes after the hooks of shared memory', () => {
    const course = new Course(initialState({ limits: LIMITS, follows: 'nothing' }));
    course.settle();
    course.post(READY_WITH_HOOKS);
    expect(course.settle().map(({ kind }) => kind)).toEqual(['enter', 'initialize-memory']);
    course.post({ kind: 'memory-ready' });
    expect(course.settle()).toEqual([{ kind: 'start-startup-process' }]);
  });

  test('who starts at PostmasterStart does not wait for it, and who needs more does', () => {
    const early = registration({ startTime: 'PostmasterStart' });
    const consistent = registration({ startTime: 'ConsistentState' });
    const workers = [early, consistent, registration()].map((one, slot) =>
      worker({ slot, registration: one }),
    );
    const state = up(workers, {
      phase: 'STARTUP',
      database: 'unreachable',
      startup: { kind: 'due' },
    });
    const course = new Course(state).startAll();
    expect([0, 1, 2].map((slot) => course.told(slot))).toEqual(['running', 'due', 'due']);
    course.post({ kind: 'startup-started', pid: 60 }).startAll();
    expect([0, 1, 2].map((slot) => course.told(slot))).toEqual(['running', 'due', 'due']);
    course.post({ kind: 'startup-consistent' }).startAll();
    expect([0, 1, 2].map((slot) => course.told(slot))).toEqual(['running', 'running', 'due']);
    course.post(exited(0)).startAll();
    expect([0, 1, 2].map((slot) => course.told(slot))).toEqual(['running', 'running', 'running']);
  });

  test('after a crash it runs again, and everything waits for it again', () => {
    const running = { kind: 'running', child: 7, pid: 107, since: 0 } as const;
    const one = worker({ registration: attached(), standing: running });
    const course = new Course(up([one], { startup: { kind: 'done' } }));
    course.exited(0, exit('SIGSEGV'));
    expect(course.settle().map(({ kind }) => kind)).toEqual([
      ...['enter', 'reset-memory', 'enter', 'start-startup-process'],
    ]);
    expect([course.state.phase, course.told()]).toEqual(['STARTUP', 'due']);
    course.post({ kind: 'startup-started', pid: 61 }).settle();
    course.post(exited(0)).startAll();
    expect([course.state.phase, course.told()]).toEqual(['RUN', 'running']);
    expect(course.state.serverLosses).toBe(0);
  });

  test('a crash of somebody else ends it first', () => {
    const running = { kind: 'running', child: 7, pid: 107, since: 0 } as const;
    const one = worker({ registration: attached(), standing: running });
    const state = up([one], {
      phase: 'HOT_STANDBY',
      database: 'standby',
      startup: STANDINGS.running,
    });
    const course = new Course(state).exited(0, exit('SIGSEGV'));
    expect(course.settle()).toEqual([
      { kind: 'end-startup-process', signal: 'SIGQUIT' },
      { kind: 'enter', phase: 'WAIT_BACKENDS' },
    ]);
    course.post(exited(2, false));
    expect(course.settle().map(({ kind }) => kind)).toEqual([
      ...['reset-memory', 'enter', 'start-startup-process'],
    ]);
    expect(course.state.failure.kind).toBe('none');
  });
});

describe('its failure is the end', () => {
  const failures: [what: string, event: Event, words: RegExp][] = [
    ['exit 1', exited(1), /startup process exited with exit code 1/],
    [
      'its own words',
      { ...exited(1), said: 'no log to replay' } as Event,
      /failed: no log to replay/,
    ],
    ['SIGSEGV', exited('SIGSEGV', false), /was terminated by signal SIGSEGV/],
    ['no process', EVENTS['startup-not-started'] as Event, /could not start.*fork: EAGAIN/],
  ];
  test.each(failures)('%s: exit status 1, with the reason', (what, event, words) => {
    const startup = what === 'no process' ? STANDINGS.starting : STANDINGS.running;
    const course = new Course(up([], { phase: 'RECOVERY', database: 'recovering', startup }));
    course.post(event);
    expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 1 });
    const { failure } = course.state;
    expect(failure).toMatchObject({ error: { code: 'ERR_STARTUP_FAILED' } });
    expect(failure.kind === 'failed' && failure.error.message).toMatch(words);
  });
});

describe('it is told to end', () => {
  const running = {
    phase: 'RECOVERY',
    database: 'recovering',
    startup: STANDINGS.running,
  } as const;

  test.each([
    ['smart', 'SIGTERM'],
    ['fast', 'SIGTERM'],
    ['immediate', 'SIGQUIT'],
  ] as const)('%s: %s, and the stop waits for it', (mode, signal) => {
    const course = new Course(up([], running)).post({ kind: 'stop', mode });
    expect(course.settle()).toContainEqual({ kind: 'end-startup-process', signal });
    expect(course.state.phase).toBe('WAIT_BACKENDS');
    course.post(exited(mode === 'immediate' ? 2 : 1, mode !== 'immediate'));
    expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 0 });
  });

  test('again and more strongly, when its time is up', () => {
    const course = new Course(up([], running)).post({ kind: 'stop', mode: 'fast' });
    course.settle();
    expect(course.wake()).toEqual([{ kind: 'end-startup-process', signal: 'SIGQUIT' }]);
    expect(course.now).toBe(60_000);
    expect(course.wake()).toEqual([{ kind: 'end-startup-process', signal: 'SIGKILL' }]);
    expect(course.now).toBe(65_000);
    // Then the launcher is who does not answer.
    expect(course.wake()).toEqual([{ kind: 'end-launcher' }]);
  });

  test('one that is being forked is told when it is there', () => {
    const course = new Course(
      up([], { ...running, phase: 'STARTUP', startup: STANDINGS.starting }),
    );
    course.post({ kind: 'stop', mode: 'fast' }).settle();
    expect(course.state.phase).toBe('STOP_BACKENDS');
    course.post({ kind: 'startup-started', pid: 60 });
    expect(course.settle()[0]).toEqual({ kind: 'end-startup-process', signal: 'SIGTERM' });
  });

  test('and nothing wakes anybody while it runs', () => {
    expect(plan(up([], running), 1e9)).toEqual({ actions: [], wakeAt: null });
  });
});

test('it is not started in INIT, in a crash cycle or in a shutdown', () => {
  const due: Partial<State> = {
    phase: 'STARTUP',
    database: 'unreachable',
    startup: { kind: 'due' },
  };
  const starts = (changes: Partial<State>) =>
    plan(up([], { ...due, ...changes }), 1).actions.some(
      ({ kind }) => kind === 'start-startup-process',
    );
  expect(starts({})).toBe(true);
  expect(starts({ phase: 'INIT' })).toBe(false);
  expect(starts({ memory: 'raw' })).toBe(false);
  expect(starts({ crash: { kind: 'ending', since: 0 } })).toBe(false);
  expect(starts({ shutdown: { mode: 'smart', since: 0 } })).toBe(false);
  expect(starts({ launcher: { kind: 'starting' } })).toBe(false);
  expect(plan(up([worker()], due), 1).actions.some((one) => isForkOf(one))).toBe(false);
});

describe('clients', () => {
  const { peer } = arrival(5).client;
  const connects: Event = { kind: 'connected', connection: 5, peer, isReserved: false };

  test('are let in when it has called its state consistent, and told why before', () => {
    const course = new Course(
      serving(
        [],
        {},
        {
          phase: 'STARTUP',
          database: 'unreachable',
          startup: STANDINGS.starting,
        },
      ),
    );
    course.post(connects);
    expect(course.settle()).toEqual([{ kind: 'refuse', connection: 5, reason: 'startingUp' }]);
    course.post({ kind: 'startup-started', pid: 60 }).settle();
    course.post(connects);
    expect(course.settle()).toEqual([{ kind: 'refuse', connection: 5, reason: 'inRecovery' }]);
    course.post({ kind: 'startup-consistent' }).settle();
    course.post(connects);
    expect(course.settle()).toMatchObject([{ kind: 'fork-backend', connection: 5 }]);
  });

  const serves: Partial<State> = {
    phase: 'HOT_STANDBY',
    database: 'standby',
    startup: STANDINGS.running,
  };

  test('are waited for by a smart shutdown while it goes on, and it is ended after them', () => {
    const course = new Course(serving([backend(0)], {}, serves));
    course.post({ kind: 'stop', mode: 'smart' });
    expect(course.settle()).toEqual([]);
    course.post({ kind: 'backend-exited', place: 0, child: 0x4000_0000, exit: exit(0) });
    expect(course.settle()).toContainEqual({ kind: 'end-startup-process', signal: 'SIGTERM' });
    course.post(exited(1));
    expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 0 });
  });

  test('workers, backends, spare ones and it: a crash ends all that are attached, and waits for all', () => {
    const running = { kind: 'running', child: 7, pid: 107, since: 0 } as const;
    const one = worker({ registration: attached(), standing: running });
    const another = worker({
      slot: 1,
      registration: attached(),
      standing: { ...running, child: 8 },
    });
    const backends = [
      backend(0, { registration: attachedBackend }),
      backend(1, { registration: attachedBackend, client: null }),
      backend(2),
    ];
    const course = new Course(
      up([one, another], {
        clients: clients(backends, { registration: attachedBackend }),
        ...serves,
      }),
    );
    course.exited(0, exit('SIGSEGV'));
    expect(course.settle()).toEqual([
      { kind: 'end-worker', slot: 1, signal: 'SIGQUIT' },
      { kind: 'end-backend', place: 0, signal: 'SIGQUIT' },
      { kind: 'end-backend', place: 1, signal: 'SIGQUIT' },
      { kind: 'end-startup-process', signal: 'SIGQUIT' },
      { kind: 'enter', phase: 'WAIT_BACKENDS' },
    ]);
    const quit = exit(2, false);
    const ends: Event[] = [
      { kind: 'exited', slot: 1, child: 8, exit: quit },
      { kind: 'backend-exited', place: 0, child: 0x4000_0000, exit: quit },
      exited(2, false),
      { kind: 'backend-exited', place: 1, child: 0x4000_0001, exit: quit },
    ];
    for (const end of ends) {
      expect(course.settle()).toEqual([]);
      course.post(end);
    }
    expect(course.settle().map(({ kind }) => kind)).toEqual([
      ...['reset-memory', 'enter', 'start-startup-process'],
    ]);
  });

  test('a dead launcher answers neither of the three requests', () => {
    const forking = { kind: 'forking', child: 0x4000_0000 } as const;
    const one = worker({ standing: { kind: 'forking', child: 7 } });
    const course = new Course(
      up([one], {
        clients: clients([backend(0, { standing: forking })]),
        startup: STANDINGS.starting,
      }),
    );
    course.post({ kind: 'launcher-exited' });
    const { workers, startup } = course.state;
    expect([workers.get(0)?.standing.kind, startup.kind]).toEqual(['due', 'due']);
    expect(course.state.clients.backends.size).toBe(0);
    expect(course.state.clients.arrivals).toMatchObject([{ refusal: 'inRecovery' }]);
  });
});
