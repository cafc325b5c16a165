// What a client is answered, and what it hears of its workers: each change once, in order, the last
// one when the slot is free, and nothing after it has left. The policy is the real one.

import { describe, expect, test } from 'vitest';
import { Arguments } from '../../../lib/control/argument.ts';
import { type Client, Registrar } from '../../../lib/control/registrar.ts';
import type { Event } from '../../../lib/model/event.ts';
import type { State } from '../../../lib/model/state.ts';
import type { News } from '../../../lib/travel/control.ts';
import { attached, Course, exit, LIMITS, STANDINGS, up, worker } from '../policy/make.ts';

/** Everything a client heard, in order, as words. */
class Listener implements Client {
  readonly heard: string[] = [];

  answer(id: number, value: unknown): void {
    this.heard.push(`${id}: ${JSON.stringify(value)}`);
  }

  refuse(id: number, code: string, message: string): void {
    this.heard.push(`${id}: ${code} ${message}`);
  }

  hear({ slot, generation, status, isLast, exit: how, ...rest }: News): void {
    const pid = 'pid' in rest ? ` ${rest.pid}` : '';
    const ended = how === null ? '' : ` ${how.kind === 'code' ? how.code : how.kind}`;
    this.heard.push(`${slot}/${generation} ${status}${pid}${ended}${isLast ? ', last' : ''}`);
  }

  take(): string[] {
    return this.heard.splice(0);
  }
}

/** The loop, with a registrar that hears of each event, as the postmaster has it. */
class Scene extends Course {
  readonly arguments = new Arguments();
  readonly registrar: Registrar;
  readonly #queue: Event[] = [];

  constructor(state: State) {
    super(state);
    this.registrar = new Registrar({
      arguments: this.arguments,
      state: () => this.state,
      post: (event) => this.#queue.push(event),
    });
  }

  override post(event: Event): this {
    const before = this.state;
    super.post(event);
    this.registrar.changed(event, before, this.state);
    return this;
  }

  /** What the clients have asked for is looked at in the next turn. */
  hearAll(): this {
    for (const event of this.#queue.splice(0)) this.post(event);
    return this;
  }

  register(client: Client, id = 1, changes: object = {}): this {
    const options = { name: `w${id}`, module: '/w.js', restartTime: 5, ...changes };
    this.registrar.ask(client, { do: 'register', id, options }, null);
    return this.hearAll();
  }
}

const FIRST = '1: {"slot":0,"generation":"1"}';

test('a life with a restart', () => {
  const me = new Listener();
  const scene = new Scene(up([])).register(me);
  expect(me.take()).toEqual([FIRST]);
  scene.turn();
  expect(me.take()).toEqual([]);
  scene.forked();
  expect(me.take()).toEqual(['0/1 STARTED 1100']);
  scene.exited(0, exit(1));
  expect(me.take()).toEqual(['0/1 STOPPED 1']);
  scene.wake();
  expect(me.take()).toEqual([]);
  scene.forked();
  expect(me.take()).toEqual(['0/1 STARTED 1101']);
  scene.exited(0, exit(0));
  // Not before its slot is free.
  expect(me.take()).toEqual([]);
  scene.settle();
  expect(me.take()).toEqual(['0/1 STOPPED 0, last']);
  expect(scene.registrar.watchCount).toBe(0);
});

describe('answers', () => {
  const REFUSED: [what: string, state: State, changes: object, answer: RegExp][] = [
    ['no slot', up([worker()], { limits: { ...LIMITS, slotCount: 1 } }), {}, /maxWorkerProcesses$/],
    [
      'no place in the class',
      up([], { limits: { ...LIMITS, parallelCount: 0 } }),
      { flags: ['CLASS_PARALLEL'], restartTime: 'never' },
      /maxParallelWorkers$/,
    ],
    ['not yet', { ...up([]), phase: 'INIT' }, {}, /^1: ERR_WRONG_STATE .*starting/],
    ['not any more', { ...up([]), course: 'done' }, {}, /^1: ERR_WRONG_STATE .*ended/],
    ['a bad one', up([]), { restartTime: -1 }, /^1: ERR_INVALID_REGISTRATION .*restartTime/],
    ['a closure', up([]), { module: undefined, main: 'function' }, /main is not possible/],
  ];
  test.each(REFUSED)('%s', (_what, state, changes, answer) => {
    const me = new Listener();
    const scene = new Scene(state).register(me, 1, changes);
    expect(me.heard).toHaveLength(1);
    expect(me.heard[0]).toMatch(answer);
    expect(scene.state.workers.size).toBe(state.workers.size);
    expect(scene.registrar.watchCount).toBe(0);
  });

  test('two in one turn get two slots, and the third none', () => {
    const me = new Listener();
    const scene = new Scene(up([], { limits: { ...LIMITS, slotCount: 2 } }));
    for (const id of [1, 2, 3]) {
      const options = { name: 'w', module: '/w.js' };
      scene.registrar.ask(me, { do: 'register', id, options }, null);
    }
    scene.hearAll();
    expect(me.heard.slice(0, 2)).toEqual([FIRST, '2: {"slot":1,"generation":"2"}']);
    expect(me.heard[2]).toMatch(/^3: ERR_TOO_MANY_WORKERS /);
  });

  test('status and terminate of whatever there is or is not', () => {
    const me = new Listener();
    const scene = new Scene(up([])).register(me).startAll();
    me.take();
    const ask = (what: 'status' | 'terminate', slot: number, generation: bigint) =>
      (scene as Scene).registrar.ask(me, { do: what, id: 9, handle: { slot, generation } }, null);
    ask('status', 0, 1n);
    ask('status', 0, 2n);
    ask('status', 77, 1n);
    ask('terminate', 0, 2n);
    ask('terminate', 77, 1n);
    scene.hearAll().settle();
    expect(me.take()).toEqual([
      '9: {"status":"STARTED","pid":1100}',
      '9: {"status":"STOPPED"}',
      '9: {"status":"STOPPED"}',
      '9: null',
      '9: null',
    ]);
    expect(scene.told()).toBe('running');
    ask('terminate', 0, 1n);
    scene.hearAll().settle();
    expect(scene.told()).toBe('SIGTERM');
  });
});

describe('terminate', () => {
  test('before its start: STOPPED, without ever having been started', () => {
    const me = new Listener();
    const scene = new Scene(upWaiting()).register(me);
    scene.registrar.ask(me, { do: 'terminate', id: 2, handle: { slot: 0, generation: 1n } }, null);
    scene.hearAll().settle();
    expect(me.take()).toEqual([FIRST, '2: null', '0/1 STOPPED, last']);
    expect(scene.done.some(({ action }) => action.kind === 'fork')).toBe(false);
  });

  test('while it is forked: STARTED, then STOPPED', () => {
    const me = new Listener();
    const scene = new Scene(up([])).register(me);
    scene.turn();
    scene.registrar.ask(me, { do: 'terminate', id: 2, handle: { slot: 0, generation: 1n } }, null);
    scene.hearAll().forked().settle();
    scene.exited(0, exit(1)).settle();
    expect(me.take()).toEqual([FIRST, '2: null', '0/1 STARTED 1100', '0/1 STOPPED 1, last']);
  });

  /** In a phase in which nothing of RecoveryFinished may start. */
  function upWaiting(): State {
    return { ...up([]), phase: 'HOT_STANDBY', database: 'standby' };
  }
});

test('a fork that fails: never, so that is all; restartable, so the wait goes on', () => {
  for (const [restartTime, news] of [
    ['never', ['0/1 STOPPED, last']],
    [5, []],
  ] as const) {
    const me = new Listener();
    const scene = new Scene(up([])).register(me, 1, { restartTime });
    scene.turn();
    scene.post({ kind: 'fork-failed', slot: 0, child: 100, call: 'fork', why: 'EAGAIN' }).settle();
    expect(me.take()).toEqual([FIRST, ...news]);
  }
});

describe('a crash cycle', () => {
  test('ends every handle of who was attached, and begins none', () => {
    const me = new Listener();
    const flags = ['SHMEM_ACCESS'];
    const scene = new Scene(up([], { nextGeneration: 5n }))
      .register(me, 1, { flags })
      .register(me, 2)
      .startAll();
    me.take();
    scene.exited(0, exit('SIGSEGV', false)).settle();
    scene.startAll();
    expect(scene.state.workers.get(0)).toMatchObject({ generation: 7n });
    expect(me.take()).toEqual(['0/5 STOPPED signal', '0/5 STOPPED, last']);
    expect(scene.told(1)).toBe('running');
    // The one without part in it is still heard of.
    scene.exited(1, exit(0)).settle();
    expect(me.take()).toEqual(['1/6 STOPPED 0, last']);
  });

  test("of who had not started: STOPPED, if it is 'never'", () => {
    const me = new Listener();
    const crasher = worker({
      slot: 0,
      registration: attached(),
      standing: STANDINGS.running,
      hasStarted: true,
    });
    const scene = new Scene(up([crasher]));
    scene.exited(0, exit('SIGSEGV', false));
    scene.register(me, 1, { flags: ['SHMEM_ACCESS'], restartTime: 'never' });
    scene.settle();
    expect(me.take()).toEqual(['1: {"slot":1,"generation":"1"}', '1/1 STOPPED, last']);
  });
});

test('in a shutdown: registered, and STOPPED', () => {
  const me = new Listener();
  const scene = new Scene(up([worker({ slot: 1, standing: STANDINGS.running })]));
  scene.post({ kind: 'stop', mode: 'fast' }).settle();
  scene.register(me).settle();
  expect(me.take()).toEqual([FIRST, '0/1 STOPPED, last']);
});

test('nobody else hears of it, and who has left hears nothing more', () => {
  const [me, other] = [new Listener(), new Listener()];
  const scene = new Scene(up([])).register(me).register(other, 2).startAll();
  expect(other.take()).toEqual(['2: {"slot":1,"generation":"2"}', '1/2 STARTED 1101']);
  expect(me.take()).toEqual([FIRST, '0/1 STARTED 1100']);
  scene.registrar.leave(me);
  scene.exited(0, exit(1)).exited(1, exit(1)).startAll();
  expect(me.take()).toEqual([]);
  expect(other.take()).toEqual(['1/2 STOPPED 1']);
  // The worker of who has left lives on.
  expect(scene.standing(0)?.kind).toBe('due');
  expect(scene.registrar.watchCount).toBe(1);
});

test('who leaves before the answer has registered a worker, and is told nothing', () => {
  const me = new Listener();
  const scene = new Scene(up([]));
  const options = { name: 'w', module: '/w.js', restartTime: 5 };
  scene.registrar.ask(me, { do: 'register', id: 1, options }, null);
  scene.registrar.leave(me);
  scene.hearAll().startAll();
  expect(scene.told()).toBe('running');
  expect(me.take()).toEqual([]);
  expect(scene.registrar.watchCount).toBe(0);
});

test('one that watches hears the rest, and a stale handle adds nothing', () => {
  const [me, other] = [new Listener(), new Listener()];
  const scene = new Scene(up([])).register(me).startAll();
  const watch = (id: number, slot: number, generation: bigint) =>
    (scene as Scene).registrar.ask(other, { do: 'watch', id, handle: { slot, generation } }, null);
  watch(1, 0, 1n);
  watch(2, 0, 9n);
  watch(3, 4, 1n);
  scene.exited(0, exit(0)).settle();
  expect(other.take()).toEqual([
    '1: {"status":"STARTED","pid":1100}',
    '2: {"status":"STOPPED"}',
    '3: {"status":"STOPPED"}',
    '0/1 STOPPED 0, last',
  ]);
  expect(scene.registrar.watchCount).toBe(0);
});

describe('the argument', () => {
  const bytes = { kind: 'bytes', bytes: Buffer.from('x') } as const;

  test('stays as long as the worker, through its restarts', () => {
    const me = new Listener();
    const scene = new Scene(up([]));
    const options = { name: 'w', module: '/w.js', restartTime: 0 };
    scene.registrar.ask(me, { do: 'register', id: 1, options }, bytes);
    scene.hearAll().startAll();
    expect(scene.arguments.of(0)).toBe(bytes);
    scene.exited(0, exit(1)).startAll();
    expect(scene.arguments.of(0)).toBe(bytes);
  });

  test('of who is refused is not kept', () => {
    const me = new Listener();
    const scene = new Scene(up([], { limits: { ...LIMITS, slotCount: 0 } }));
    const options = { name: 'w', module: '/w.js' };
    scene.registrar.ask(me, { do: 'register', id: 1, options }, bytes);
    scene.hearAll();
    expect(scene.arguments.of(0)).toBeNull();
  });
});
