// A followed server that is lost and comes back: who is ended for it, what their exits mean then,
// and who is started again when.

import { describe, expect, test } from 'vitest';
import type { Event } from '../../../lib/model/event.ts';
import type { DatabaseState } from '../../../lib/model/phase.ts';
import { needsServer, type Registration } from '../../../lib/model/registration.ts';
import type { State } from '../../../lib/model/state.ts';
import { plan } from '../../../lib/schedule/plan.ts';
import {
  attached,
  Course,
  connected,
  exit,
  LIMITS,
  registration,
  STANDINGS,
  up,
  upIn,
  worker,
} from './make.ts';
import { arrival, backend, backendRegistration, CLIENT_LIMITS, serving } from './make-clients.ts';

const DATABASES: readonly DatabaseState[] = ['unreachable', 'recovering', 'standby', 'primary'];
const KEEP: Partial<State> = { limits: { ...LIMITS, restartOnServerLoss: false } };

const says = (state: DatabaseState): Event => ({ kind: 'database', state, detail: null });

/** Up, with one worker that runs. */
function running(of: Registration, changes: Partial<State> = {}): Course {
  return new Course(up([worker({ registration: of, standing: STANDINGS.running })], changes), 10);
}

describe('what a loss is', () => {
  const LOSSES: ReadonlySet<string> = new Set([
    'standby → unreachable',
    'standby → recovering',
    'primary → unreachable',
    'primary → recovering',
  ]);
  const edges = DATABASES.flatMap((from) => DATABASES.map((to) => ({ from, to })));

  test.each(edges)('$from → $to', ({ from, to }) => {
    const course = new Course(up([], { database: from })).post(says(to));
    expect(course.state.serverLosses).toBe(LOSSES.has(`${from} → ${to}`) ? 1 : 0);
    expect(course.state.database).toBe(to);
  });

  const server = { kind: 'running', pid: 9 } as const;
  const ends: Event[] = [
    { kind: 'server-exited' },
    { kind: 'server-failed', error: new Error('no') },
  ];
  test.each(ends)(
    'the end of our own server ($kind) is one, and told twice it is still one',
    (event) => {
      const course = new Course(up([], { server })).post(event).post(says('unreachable'));
      expect(course.state.serverLosses).toBe(1);
    },
  );
});

describe('who is ended', () => {
  const program = { kind: 'exec', argv: ['psql'] } as const;
  const table: [what: string, of: Registration, needs: boolean][] = [
    ['a worker with a database connection', connected(), true],
    [
      'one that may be interrupted',
      connected({ flags: [...connected().flags, 'INTERRUPTIBLE'] }),
      true,
    ],
    ['a program with a database', registration({ body: program, database: 'app' }), true],
    ['a program without', registration({ body: program }), false],
    ['one with shared memory only', attached(), false],
    ['one with nothing', registration(), false],
    ['a database without the flag', registration({ database: 'app' }), false],
  ];

  test.each(table)('%s', (_what, of, needs) => {
    expect(needsServer(of)).toBe(needs);
    const course = running(of).post(says('unreachable'));
    course.settle();
    expect(course.told()).toBe(needs ? 'SIGTERM' : 'running');
    expect(course.state.phase).toBe('STARTUP');
  });

  test.each(table)('%s, but the option says keep: nobody', (_what, of) => {
    const course = running(of, KEEP).post(says('unreachable'));
    course.settle();
    expect(course.told()).toBe('running');
  });

  test('also when it is back within the same turn: their connections are not', () => {
    const course = running(connected()).post(says('unreachable')).post(says('primary'));
    course.settle();
    expect(course.told()).toBe('SIGTERM');
    expect(course.state.phase).toBe('RUN');
  });

  test('not by a promotion', () => {
    const one = worker({ registration: connected(), standing: STANDINGS.running });
    const course = new Course(upIn('HOT_STANDBY', [one])).post(says('primary'));
    course.settle();
    expect([course.told(), course.state.phase]).toEqual(['running', 'RUN']);
  });

  test('one that was being forked when it happened, as soon as it is there', () => {
    const course = new Course(up([worker({ registration: connected() })]));
    course.settle();
    expect(course.told()).toBe('forking');
    course.post(says('unreachable')).settle();
    course.forked().settle();
    expect(course.told()).toBe('SIGTERM');
  });

  test('not who was started after it', () => {
    const course = new Course(up([worker({ registration: connected() })]));
    course.post(says('unreachable')).settle();
    course.post(says('primary')).startAll();
    expect(course.told()).toBe('running');
    // But the next loss is its, too.
    course.post(says('recovering')).settle();
    expect(course.told()).toBe('SIGTERM');
  });

  test('one that does not leave is left alone: a shutdown is in a hurry, this is not', () => {
    const course = running(connected()).post(says('unreachable'));
    course.settle();
    expect(plan(course.state, 1e12)).toEqual({ actions: [], wakeAt: null });
  });
});

describe('what the exit means', () => {
  const EXITS = [0, 1, 'SIGTERM', 'lost'] as const;
  /** `now`: due at once; `later`: after its interval; `gone`: never again. */
  const TABLE: Readonly<Record<string, Readonly<Record<(typeof EXITS)[number], string>>>> = {
    //                                    0             1               SIGTERM           lost
    'told, restartTime 60': { 0: 'now', 1: 'now', SIGTERM: 'now', lost: 'now' },
    'told, restartTime never': { 0: 'gone', 1: 'gone', SIGTERM: 'gone', lost: 'gone' },
    'not told yet, restartTime 60': { 0: 'gone', 1: 'now', SIGTERM: 'now', lost: 'now' },
    'not told yet, restartTime never': { 0: 'gone', 1: 'gone', SIGTERM: 'gone', lost: 'gone' },
    'no loss, restartTime 60': { 0: 'gone', 1: 'later', SIGTERM: 'later', lost: 'now' },
    'terminated, restartTime 60': { 0: 'gone', 1: 'gone', SIGTERM: 'gone', lost: 'gone' },
    'shutdown, restartTime 60': { 0: 'gone', 1: 'gone', SIGTERM: 'gone', lost: 'gone' },
  };
  const cells = Object.entries(TABLE).flatMap(([how, row]) =>
    EXITS.map((what) => ({ how, what, after: row[what] })),
  );

  // A program: an unattached one can leave by SIGTERM without a crash.
  test.each(cells)('$how: $what is $after', ({ how, what, after }) => {
    const of = registration({
      body: { kind: 'exec', argv: ['psql'] },
      database: 'app',
      restartTime: how.endsWith('never') ? 'never' : 60,
    });
    const course = running(of);
    if (!how.startsWith('no loss')) course.post(says('unreachable'));
    if (how.startsWith('told')) course.settle();
    if (how.startsWith('terminated')) {
      course.post({ kind: 'terminate', slot: 0, generation: 0n });
    }
    if (how.startsWith('shutdown')) course.post({ kind: 'stop', mode: 'fast' });
    course.at(100).exited(0, exit(what));
    const standing = course.standing();
    const at = standing?.kind === 'due' ? { 100: 'now', 60100: 'later' }[standing.notBefore] : '';
    expect(at || standing?.kind).toBe(after);
  });

  test('a crash is a crash, whoever was lost', () => {
    const course = running(connected()).post(says('unreachable'));
    course.settle();
    course.exited(0, exit('SIGSEGV'));
    expect(course.state.crash.kind).toBe('ending');
  });

  test('started again when its phase is there, and not before', () => {
    const course = running(connected({ startTime: 'RecoveryFinished', restartTime: 60 }));
    course.post(says('unreachable')).settle();
    course.exited(0, exit(0)).settle();
    expect(course.told()).toBe('due');
    course.post(says('standby')).settle();
    expect(course.told()).toBe('due');
    course.post(says('primary')).settle();
    expect(course.told()).toBe('forking');
  });
});

describe('when it is back', () => {
  const waiting = (of: Registration) =>
    worker({ registration: of, standing: { kind: 'due', notBefore: 60_000 } });
  const table: [what: string, of: Registration, changes: Partial<State>, notBefore: number][] = [
    ['who needs it is due at once', connected(), { serverLosses: 1 }, 10],
    ['who does not waits on', attached(), { serverLosses: 1 }, 60_000],
    ['with "keep" everybody waits on', connected(), { serverLosses: 1, ...KEEP }, 60_000],
    ['the first time it is there, it was never lost', connected(), {}, 60_000],
  ];

  test.each(table)('%s', (_what, of, changes, notBefore) => {
    const state = up([waiting(of)], { phase: 'STARTUP', database: 'unreachable', ...changes });
    const course = new Course(state, 10).post(says('standby'));
    expect(course.standing()).toEqual({ kind: 'due', notBefore });
  });

  test('who is due already keeps its place in the queue', () => {
    const one = worker({ registration: connected(), standing: { kind: 'due', notBefore: 3 } });
    const state = up([one], { phase: 'STARTUP', database: 'unreachable', serverLosses: 1 });
    const course = new Course(state, 10).post(says('primary'));
    expect(course.standing()).toEqual({ kind: 'due', notBefore: 3 });
  });

  test('a promotion hurries nobody', () => {
    const state = up([waiting(connected())], { database: 'standby', serverLosses: 1 });
    const course = new Course(state, 10).post(says('primary'));
    expect(course.standing()).toEqual({ kind: 'due', notBefore: 60_000 });
  });
});

describe('client backends', () => {
  const CONNECTED = backendRegistration({ flags: connected().flags });
  const flags: [what: string, of: typeof CONNECTED, needs: boolean][] = [
    ['with a database connection', CONNECTED, true],
    ['with shared memory only', backendRegistration({ flags: ['SHMEM_ACCESS'] }), false],
    ['with a database, and without the flag', backendRegistration({ database: 'app' }), false],
  ];
  /** Up, and one backend that runs; `client` null: a spare one. */
  const served = (of: typeof CONNECTED, changes: Partial<State> = {}, client?: null) => {
    const one = backend(0, { registration: of, ...(client === null && { client }) });
    return new Course(serving([one], { registration: of }, changes), 10);
  };
  const toldOf = (course: Course) => {
    const standing = course.state.clients.backends.get(0)?.standing;
    return standing?.kind === 'stopping' ? standing.told : standing?.kind;
  };
  const leave = (course: Course) =>
    course.post({ kind: 'backend-exited', place: 0, child: 0x4000_0000, exit: exit(1) });

  test.each(flags)('%s', (_what, of, needs) => {
    const course = served(of).post(says('unreachable'));
    course.settle();
    expect(toldOf(course)).toBe(needs ? 'SIGTERM' : 'running');
  });

  test.each(flags)('%s, but the option says keep: nobody', (_what, of) => {
    const course = served(of, KEEP).post(says('unreachable'));
    course.settle();
    expect(toldOf(course)).toBe('running');
  });

  test('a spare one, too: it knows where the server was; and it is made anew when it is back', () => {
    const course = served(CONNECTED, {}, null);
    const limits = { ...CLIENT_LIMITS, spareBackends: 1 };
    course.state = { ...course.state, clients: { ...course.state.clients, limits } };
    course.post(says('unreachable')).settle();
    expect(toldOf(course)).toBe('SIGTERM');
    leave(course).settle();
    expect(course.state.clients.backends.size).toBe(0);
    course.post(says('primary')).settle();
    expect(toldOf(course)).toBe('forking');
  });

  test('a spare one that is there too late gets no client', () => {
    const forking = { kind: 'forking', child: 0x4000_0000 } as const;
    const one = backend(0, { registration: CONNECTED, client: null, standing: forking });
    const course = new Course(serving([one], { registration: CONNECTED }), 10);
    course.post(says('unreachable')).post(says('primary')).settle();
    course.post({ kind: 'backend-forked', place: 0, child: 0x4000_0000, pid: 2_000 });
    const { peer } = arrival(5).client;
    course.post({ kind: 'connected', connection: 5, peer, isReserved: false });
    expect(course.settle()).toMatchObject([
      { kind: 'end-backend', place: 0, signal: 'SIGTERM' },
      { kind: 'fork-backend', place: 1, connection: 5 },
    ]);
  });

  test('one that was being forked when it happened, as soon as it is there', () => {
    const forking = { kind: 'forking', child: 0x4000_0000 } as const;
    const one = backend(0, { registration: CONNECTED, standing: forking });
    const course = new Course(serving([one], { registration: CONNECTED }), 10);
    course.post(says('unreachable')).settle();
    expect(toldOf(course)).toBe('forking');
    course.post({ kind: 'backend-forked', place: 0, child: 0x4000_0000, pid: 2_000 }).settle();
    expect(toldOf(course)).toBe('SIGTERM');
  });

  test('not who came after it, until the next loss', () => {
    const state = serving([], { registration: CONNECTED }, { serverLosses: 3 });
    const course = new Course(state, 10);
    course.post({
      kind: 'connected',
      connection: 5,
      peer: arrival(5).client.peer,
      isReserved: false,
    });
    const forked = course.settle().find(({ kind }) => kind === 'fork-backend');
    const child = forked?.kind === 'fork-backend' ? forked.child : 0;
    course.post({ kind: 'backend-forked', place: 0, child, pid: 2_000 }).settle();
    expect(toldOf(course)).toBe('running');
    course.post(says('recovering')).settle();
    expect(toldOf(course)).toBe('SIGTERM');
  });

  test('their end is the end of what a smart shutdown waits for', () => {
    const course = served(CONNECTED).post({ kind: 'stop', mode: 'smart' });
    course.settle();
    expect(course.state.shutdown).toBeNull();
    course.post(says('unreachable')).settle();
    leave(course);
    expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 0 });
  });

  test('nobody is served by the server that is away, and who comes is told so', () => {
    for (const [state, reason] of [
      ['unreachable', 'startingUp'],
      ['recovering', 'inRecovery'],
    ] as const) {
      const course = served(CONNECTED).post(says(state));
      course.settle();
      const { peer } = arrival(5).client;
      course.post({ kind: 'connected', connection: 5, peer, isReserved: false });
      expect(course.settle()).toEqual([{ kind: 'refuse', connection: 5, reason }]);
    }
  });
});
