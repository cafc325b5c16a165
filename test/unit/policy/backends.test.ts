// Clients and their backends: who is served by whom and when, smart shutdown, crash, spare ones.

import { describe, expect, test } from 'vitest';
import type { Action } from '../../../lib/model/action.ts';
import {
  type ClientLimits,
  FIRST_BACKEND_CHILD,
  LAST_BACKEND_CHILD,
} from '../../../lib/model/clients.ts';
import type { Exit } from '../../../lib/model/exit.ts';
import { SHUTDOWN_MODES, type State } from '../../../lib/model/state.ts';
import { plan } from '../../../lib/schedule/plan.ts';
import { attached, Course, exit, kinds, STANDINGS, up, worker } from './make.ts';
import {
  arrival,
  attachedBackend,
  backend,
  CLIENT_LIMITS,
  client,
  clients,
  serving,
  spare,
} from './make-clients.ts';

const limits = (changes: Partial<ClientLimits>) => ({ limits: { ...CLIENT_LIMITS, ...changes } });

class ClientCourse extends Course {
  #connections = 0;

  connect(isReserved = false): number {
    const connection = ++this.#connections;
    this.post({ kind: 'connected', connection, peer: client(connection).peer, isReserved });
    return connection;
  }

  backend(place: number) {
    return this.state.clients.backends.get(place);
  }

  stands(place: number): string | undefined {
    const standing = this.backend(place)?.standing;
    return standing?.kind === 'stopping' ? standing.told : standing?.kind;
  }

  backendForked(place: number): this {
    const child = this.backend(place)?.standing.child ?? 0;
    return this.post({ kind: 'backend-forked', place, child, pid: 3_000 + place });
  }

  backendExited(place: number, how: Exit): this {
    const child = this.backend(place)?.standing.child ?? 0;
    return this.post({ kind: 'backend-exited', place, child, exit: how });
  }
}

const course = (state: State, now = 10) => new ClientCourse(state, now);
const forClients = (actions: readonly Action[]) =>
  actions.filter((one) => /^(refuse|fork-backend|hand-over|end-backend)$/.test(one.kind));

describe('a connection', () => {
  test('is given a backend in the turn in which it came, and its place is free when that is gone', () => {
    const one = course(serving());
    const connection = one.connect();
    expect(one.turn().actions).toEqual([
      { kind: 'fork-backend', place: 0, child: 0x4000_0064, connection },
    ]);
    expect(one.backend(0)?.client).toEqual(client(connection, { since: 10 }));
    expect(one.backendForked(0).settle()).toEqual([]);
    expect(one.stands(0)).toBe('running');
    one.backendExited(0, exit(0));
    expect(one.backend(0)).toBeUndefined();
    expect(one.settle()).toEqual([]);
  });

  test('all that came in one turn are dealt with in it, each with a place and a child of its own', () => {
    const one = course(serving([backend(1)]));
    const connections = Array.from({ length: 4 }, () => one.connect());
    expect(one.turn().actions).toEqual([
      { kind: 'fork-backend', place: 0, child: 0x4000_0064, connection: connections[0] },
      { kind: 'fork-backend', place: 2, child: 0x4000_0065, connection: connections[1] },
      { kind: 'refuse', connection: connections[2], reason: 'tooMany' },
      { kind: 'refuse', connection: connections[3], reason: 'tooMany' },
    ]);
    expect(one.settle()).toEqual([]);
  });

  test('is before the worker of the turn, and waits for none that is being forked', () => {
    const waiting = [worker(), worker({ slot: 1 })];
    const one = course(up(waiting, { clients: clients() }));
    one.connect();
    expect(kinds(one.turn())).toEqual(['fork-backend', 'fork']);
    one.connect();
    expect(kinds(one.turn())).toEqual(['fork-backend']);
  });

  test('waits for nobody: a thousand workers are due', () => {
    const many = Array.from({ length: 1_000 }, (_, slot) => worker({ slot }));
    const one = course(up(many, { clients: clients() }));
    for (let i = 0; i < 3; i++) {
      one.connect();
      expect(kinds(one.turn())[0]).toBe('fork-backend');
    }
  });

  test('the reserved places are for who came in there, and count for everybody', () => {
    const one = course(serving([backend(0), backend(1), backend(2)]));
    const asked = [false, true, true, true, false].map((isReserved) => one.connect(isReserved));
    expect(one.turn().actions.map((action) => action.kind)).toEqual([
      'refuse',
      'fork-backend',
      'fork-backend',
      'refuse',
      'refuse',
    ]);
    expect(one.state.clients.arrivals).toEqual([]);
    expect(asked).toHaveLength(5);
  });

  test('whose process cannot be forked is told so', () => {
    const one = course(serving());
    const connection = one.connect();
    one.turn();
    const child = one.backend(0)?.standing.child ?? 0;
    one.post({ kind: 'backend-not-forked', place: 0, child, call: 'fork', why: 'EAGAIN' });
    expect(one.turn().actions).toEqual([{ kind: 'refuse', connection, reason: 'cannotFork' }]);
    expect(one.backend(0)).toBeUndefined();
  });

  test('of a database that is away is judged by the phase of after it', () => {
    const one = course(serving());
    one.post({ kind: 'database', state: 'unreachable', detail: null });
    const connection = one.connect();
    expect(one.settle()).toEqual([
      { kind: 'enter', phase: 'STARTUP' },
      { kind: 'refuse', connection, reason: 'startingUp' },
    ]);
  });
});

describe('the exit of a backend', () => {
  const cases: [how: Exit, isAttached: boolean, crash: boolean][] = [
    [exit(0), false, false],
    [exit(1), false, false],
    [exit(7), false, false],
    [exit('SIGSEGV'), false, false],
    [exit(0), true, false],
    [exit(1), true, false],
    [exit(0, false), true, true],
    [exit(1, false), true, true],
    [exit(7), true, true],
    [exit('SIGSEGV'), true, true],
  ];

  test.each(cases)('%o, attached: %s: a crash: %s', (how, isAttached, crash) => {
    const registration = isAttached ? attachedBackend : backend(0).registration;
    const one = course(serving([backend(0, { registration }), spare(1, { registration })]));
    for (const place of [0, 1]) {
      const again = course(one.state).backendExited(place, how);
      expect(again.state.crash.kind).toBe(crash ? 'ending' : 'none');
      expect(again.backend(place)).toBeUndefined();
    }
  });

  test('who was told to quit has not crashed, who was only told to end has', () => {
    for (const [told, crash] of [
      ['SIGTERM', 'ending'],
      ['SIGQUIT', 'none'],
      ['SIGKILL', 'none'],
    ] as const) {
      const standing = { ...STANDINGS[told], child: FIRST_BACKEND_CHILD };
      const one = course(serving([backend(0, { registration: attachedBackend, standing })]));
      one.backendExited(0, exit(2, false));
      expect(one.state.crash.kind).toBe(crash);
    }
  });
});

describe('a crash cycle', () => {
  const mixed = () =>
    course(
      up([worker({ registration: attached(), standing: STANDINGS.running })], {
        clients: clients([backend(0), backend(1, { registration: attachedBackend })]),
      }),
    );

  test('takes the attached backends down, and leaves the others', () => {
    const one = mixed().exited(0, exit('SIGSEGV', false)) as ClientCourse;
    expect(forClients(one.settle())).toEqual([
      { kind: 'end-backend', place: 1, signal: 'SIGQUIT' },
    ]);
    const connection = one.connect();
    expect(one.settle()).toEqual([{ kind: 'refuse', connection, reason: 'inRecovery' }]);
    one.backendExited(1, exit(2, false));
    expect(one.settle().map(({ kind }) => kind)).toContain('reset-memory');
    expect(one.state.phase).toBe('RUN');
    expect(one.stands(0)).toBe('running');
    one.connect();
    expect(kinds(one.turn())).toContain('fork-backend');
  });

  test('memory is not made anew under an attached backend', () => {
    const one = mixed().exited(0, exit('SIGSEGV', false)) as ClientCourse;
    one.settle();
    expect(one.state.phase).toBe('WAIT_BACKENDS');
    expect(one.wake().map((action) => 'signal' in action && action.signal)).toEqual(['SIGKILL']);
  });

  test('of the launcher takes everybody; whose process was still asked for is refused', () => {
    const one = course(serving([backend(0)]));
    const connection = one.connect();
    one.turn();
    one.post({ kind: 'launcher-exited' });
    expect(one.backend(1)).toBeUndefined();
    expect(one.settle()).toEqual([
      { kind: 'end-backend', place: 0, signal: 'SIGQUIT' },
      { kind: 'enter', phase: 'WAIT_BACKENDS' },
      { kind: 'refuse', connection, reason: 'inRecovery' },
    ]);
    one.backendExited(0, exit('lost', false));
    expect(one.settle().map(({ kind }) => kind)).toContain('start-launcher');
  });
});

describe('a smart shutdown', () => {
  const both = () =>
    course(
      up([worker({ standing: STANDINGS.running }), worker({ slot: 1 })], {
        clients: clients([backend(0), backend(3)]),
      }),
    );

  test('waits for the last client; workers are started meanwhile, and nobody is let in', () => {
    const one = both();
    one.post({ kind: 'stop', mode: 'smart' });
    expect(one.state.shutdown).toBeNull();
    expect(one.settle().map(({ kind }) => kind)).toEqual(['fork']);
    one.forked(1);
    const connection = one.connect(true);
    expect(one.settle()).toEqual([{ kind: 'refuse', connection, reason: 'shuttingDown' }]);
    one.at(1_000).backendExited(0, exit(0));
    expect(one.settle()).toEqual([]);
    // A worker that fails is started again: a client may need it.
    one.exited(1, exit(1)).wake();
    expect(one.told(1)).toBe('forking');
    one.forked(1).at(90_000);
    one.backendExited(3, exit(1));
    // Only now it begins, and who is told to end has all of his time.
    expect(one.state.shutdown).toEqual({ mode: 'smart', since: 90_000 });
    expect(one.settle().map((action) => 'signal' in action && action.signal)).toEqual([
      'SIGTERM',
      'SIGTERM',
      false,
      false,
    ]);
    one.exited(0, exit(0)).exited(1, exit(0));
    expect(one.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 0 });
  });

  test('a spare backend is no client', () => {
    const one = course(serving([spare(0)]));
    one.post({ kind: 'stop', mode: 'smart' });
    expect(one.settle()).toContainEqual({ kind: 'end-backend', place: 0, signal: 'SIGTERM' });
  });

  test('a client whose process is still being forked is one', () => {
    const one = course(serving());
    one.connect();
    one.turn();
    one.post({ kind: 'stop', mode: 'smart' });
    expect(one.state.shutdown).toBeNull();
    expect(one.backendForked(0).settle()).toEqual([]);
  });

  for (const phase of ['INIT', 'STARTUP', 'RECOVERY'] as const) {
    test(`begins at once in ${phase}`, () => {
      const one = course(serving([backend(0)], {}, { phase, database: 'unreachable' }));
      one.post({ kind: 'stop', mode: 'smart' });
      expect(one.state.shutdown?.mode).toBe('smart');
    });
  }

  test('is asked for twice: the first counts', () => {
    const one = both().post({ kind: 'stop', mode: 'smart' }) as ClientCourse;
    one.at(77).post({ kind: 'stop', mode: 'smart' });
    expect(one.state.clients.smartSince).toBe(10);
  });

  for (const mode of ['fast', 'immediate'] as const) {
    test(`${mode} does not wait any more`, () => {
      const one = both().post({ kind: 'stop', mode: 'smart' }) as ClientCourse;
      one.at(20).post({ kind: 'stop', mode });
      expect(one.state.shutdown).toEqual({ mode, since: 20 });
      expect(one.state.clients.smartSince).toBeNull();
      expect(forClients(one.settle())).toHaveLength(2);
    });
  }

  test('a crash does not wait any more either: everything ends, with exit status 1', () => {
    const one = course(
      up([worker({ registration: attached(), standing: STANDINGS.running })], {
        clients: clients([backend(0)]),
      }),
    );
    one.post({ kind: 'stop', mode: 'smart' });
    one.exited(0, exit('SIGSEGV', false));
    expect(one.state.shutdown?.mode).toBe('smart');
    expect(forClients(one.settle())).toEqual([
      { kind: 'end-backend', place: 0, signal: 'SIGQUIT' },
    ]);
    one.backendExited(0, exit(2));
    expect(one.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 1 });
  });

  test('what makes it impossible to go on does not wait', () => {
    const one = both().post({ kind: 'stop', mode: 'smart' }) as ClientCourse;
    one.post({ kind: 'database-refused', error: new Error('no') });
    expect(one.state.shutdown?.mode).toBe('fast');
  });

  test('a database that goes away meanwhile changes nothing', () => {
    const one = both().post({ kind: 'stop', mode: 'smart' }) as ClientCourse;
    one.post({ kind: 'database', state: 'unreachable', detail: null });
    one.settle();
    expect(one.state.shutdown).toBeNull();
    one.backendExited(0, exit(0)).backendExited(3, exit(0));
    expect(one.state.shutdown?.mode).toBe('smart');
  });
});

describe('the end', () => {
  const SIGNALS = { smart: null, fast: 'SIGTERM', immediate: 'SIGQUIT' } as const;

  test.each(SHUTDOWN_MODES)('%s: who is told what', (mode) => {
    const one = course(serving([backend(0), spare(4)]));
    one.post({ kind: 'stop', mode });
    const told = forClients(one.settle()).map((action) => 'signal' in action && action.signal);
    expect(told).toEqual(SIGNALS[mode] === null ? [] : [SIGNALS[mode], SIGNALS[mode]]);
  });

  test('waits for every backend, and says more and more strongly that it does', () => {
    const one = course(serving([backend(0)]), 0);
    one.post({ kind: 'stop', mode: 'fast' });
    one.settle();
    expect(one.state.phase).toBe('WAIT_BACKENDS');
    expect(one.wake()).toEqual([{ kind: 'end-backend', place: 0, signal: 'SIGQUIT' }]);
    expect(one.now).toBe(60_000);
    expect(one.wake()).toEqual([{ kind: 'end-backend', place: 0, signal: 'SIGKILL' }]);
    expect(one.now).toBe(65_000);
    one.backendExited(0, exit('SIGKILL'));
    expect(one.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 0 });
  });

  test('one that is being forked is told as soon as it is there', () => {
    const one = course(serving());
    one.connect();
    one.turn();
    one.post({ kind: 'stop', mode: 'fast' });
    one.settle();
    expect(one.state.phase).toBe('STOP_BACKENDS');
    one.backendForked(0);
    expect(one.settle()).toContainEqual({ kind: 'end-backend', place: 0, signal: 'SIGTERM' });
  });

  test('a launcher that does not answer for a backend is ended', () => {
    const one = course(serving(), 0);
    one.connect();
    one.turn();
    one.post({ kind: 'stop', mode: 'immediate' });
    one.settle();
    expect(one.wake()).toEqual([{ kind: 'end-launcher' }]);
    expect(one.now).toBe(5_000);
  });

  test('who comes now is told that it is over', () => {
    for (const mode of SHUTDOWN_MODES) {
      const one = course(serving([backend(0)]));
      one.post({ kind: 'stop', mode });
      one.settle();
      const connection = one.connect();
      expect(one.settle()).toEqual([{ kind: 'refuse', connection, reason: 'shuttingDown' }]);
    }
  });
});

describe('spare backends', () => {
  const some = (spareBackends: number, state: Partial<State> = {}, backends = [backend(0)]) =>
    course(serving(backends, limits({ spareBackends, reservedConnections: 0 }), state));

  test('are made one after the other, after the worker of the turn', () => {
    const one = course(up([worker()], { clients: clients([], limits({ spareBackends: 2 })) }));
    expect(kinds(one.turn())).toEqual(['fork', 'fork-backend']);
    one.forked(0);
    expect(one.settle()).toEqual([]);
    one.backendForked(0);
    expect(one.settle()).toEqual([
      { kind: 'fork-backend', place: 1, child: 0x4000_0065, connection: null },
    ]);
    one.backendForked(1);
    expect(one.settle()).toEqual([]);
  });

  test('are taken before anything is forked, and made up for afterwards', () => {
    const one = some(1, {}, [spare(2)]);
    const [first, second] = [one.connect(), one.connect()];
    expect(one.turn().actions).toEqual([
      { kind: 'hand-over', place: 2, connection: first },
      { kind: 'fork-backend', place: 0, child: 0x4000_0064, connection: second },
    ]);
    expect(one.turn().actions).toEqual([
      { kind: 'fork-backend', place: 1, child: 0x4000_0065, connection: null },
    ]);
    expect(one.backend(2)?.client?.connection).toBe(first);
  });

  test('have places of the pool, and no client waits for a place that one of them has', () => {
    const one = some(5, {}, []);
    for (let place = 0; place < 5; place++) {
      one.settle();
      one.backendForked(place);
    }
    expect(one.settle()).toEqual([]);
    for (let i = 0; i < 6; i++) one.connect();
    expect(kinds(one.turn())).toEqual([...Array(5).fill('hand-over'), 'refuse']);
  });

  test('a client for whom only one that is being forked is left waits for it', () => {
    const one = some(1, {}, [backend(0), backend(1), backend(2), backend(3)]);
    expect(kinds(one.turn())).toEqual(['fork-backend']);
    const connection = one.connect();
    expect(one.settle()).toEqual([]);
    one.backendForked(4);
    expect(one.settle()).toEqual([{ kind: 'hand-over', place: 4, connection }]);
  });

  test('are not made where nobody would be served', () => {
    const closed: Partial<State>[] = [
      { phase: 'STARTUP', database: 'unreachable' },
      { phase: 'RECOVERY', database: 'recovering' },
      { shutdown: { mode: 'smart', since: 0 } },
      { crash: { kind: 'ending', since: 0 } },
    ];
    for (const state of closed) {
      expect(kinds(some(1, state).turn())).not.toContain('fork-backend');
    }
  });

  test('one that comes to nothing is not tried again as fast as the machine can', () => {
    const one = some(1);
    one.settle();
    const child = one.backend(1)?.standing.child ?? 0;
    one.post({ kind: 'backend-not-forked', place: 1, child, call: 'fork', why: 'EAGAIN' });
    expect(one.settle()).toEqual([]);
    expect(plan(one.state, one.now).wakeAt).toBe(1_010);
    expect(one.wake().map(({ kind }) => kind)).toEqual(['fork-backend']);
    one.backendForked(1).backendExited(1, exit('SIGKILL'));
    expect(one.settle()).toEqual([]);
    expect(plan(one.state, one.now).wakeAt).toBe(2_010);
  });

  test('one that was dead already: its client is the next one’s, and it is not asked again', () => {
    const one = some(1, {}, [spare(0), spare(1)]);
    const connection = one.connect();
    expect(one.turn().actions).toEqual([{ kind: 'hand-over', place: 0, connection }]);
    one.post({ kind: 'not-handed-over', place: 0, connection });
    expect(one.turn().actions).toEqual([{ kind: 'hand-over', place: 1, connection }]);
    expect(one.stands(0)).toBe('SIGTERM');
    one.backendExited(0, exit('SIGKILL'));
    expect(one.backend(0)).toBeUndefined();
  });
});

describe('the doors', () => {
  const begin = (changes = {}) =>
    course(
      up([], {
        phase: 'INIT',
        launcher: { kind: 'absent' },
        clients: clients([], { listening: 'due', registration: null, ...changes }),
      }),
    );

  test('are opened before anything is loaded, and let people in when somebody can serve', () => {
    const one = begin();
    expect(one.settle()).toEqual([{ kind: 'listen' }]);
    one.post({ kind: 'listening' });
    expect(one.settle()).toEqual([{ kind: 'start-launcher' }]);
    one.post({ kind: 'backend-announced', registration: backend(0).registration });
    one.post({
      kind: 'launcher-ready',
      pid: 5,
      workers: [],
      startupHooks: false,
      startupProcess: false,
    });
    expect(one.settle()).toEqual([
      { kind: 'enter', phase: 'STARTUP' },
      { kind: 'enter', phase: 'RUN' },
      { kind: 'accept-connections' },
    ]);
    expect(one.state.clients.listening).toBe('accepting');
  });

  test('that cannot be opened are the end of the start', () => {
    const one = begin();
    one.settle();
    one.post({ kind: 'listen-failed', error: new Error('in use') });
    expect(one.state.failure).toMatchObject({ kind: 'failed' });
    expect(one.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 1 });
    expect(one.done.map(({ action }) => action.kind)).not.toContain('start-launcher');
  });

  test('a stop before they are open opens none', () => {
    const one = begin();
    one.post({ kind: 'stop', mode: 'fast' });
    expect(one.settle().map(({ kind }) => kind)).not.toContain('listen');
  });

  test('a second launcher finds them open', () => {
    const one = course(serving());
    one.post({ kind: 'launcher-exited' });
    one.settle();
    one.post({ kind: 'backend-announced', registration: attachedBackend });
    one.post({
      kind: 'launcher-ready',
      pid: 5,
      workers: [],
      startupHooks: false,
      startupProcess: false,
    });
    expect(one.settle().map(({ kind }) => kind)).not.toContain('accept-connections');
    one.connect();
    one.turn();
    expect(one.backend(0)?.registration).toBe(attachedBackend);
  });
});

test('numbers of children go round, past those in use', () => {
  const standing = { kind: 'running', child: FIRST_BACKEND_CHILD, pid: 7, since: 0 } as const;
  const one = course(serving([backend(0, { standing })], { nextChild: LAST_BACKEND_CHILD }));
  one.connect();
  one.connect();
  expect(one.turn().actions.map((action) => 'child' in action && action.child)).toEqual([
    LAST_BACKEND_CHILD,
    FIRST_BACKEND_CHILD + 1,
  ]);
  expect(arrival(3).refusal).toBeNull();
});
