// Backend × event: where a backend stands after each thing that can happen, and what becomes of its
// client. No hole: a new kind of event or action does not compile without its row.

import { describe, expect, test } from 'vitest';
import type { Action } from '../../../lib/model/action.ts';
import type { Backend } from '../../../lib/model/clients.ts';
import type { Event } from '../../../lib/model/event.ts';
import type { State } from '../../../lib/model/state.ts';
import { apply } from '../../../lib/react/apply.ts';
import { attached, exit, STANDINGS, worker } from './make.ts';
import { arrival, backend, client, clients, serving } from './make-clients.ts';

const AT = 500;
const ERROR = new Error('no');
const CHILD = 0x4000_0007;
const WAITING = 77;

type EventName = Exclude<Event['kind'], 'done'> | `done: ${Action['kind']}`;

type EventOf<N extends EventName> = N extends `done: ${infer A}`
  ? { kind: 'done'; action: Extract<Action, { kind: A }> }
  : Extract<Event, { kind: N }>;

const done = <A extends Action>(action: A) => ({ kind: 'done', action }) as const;

const EVENTS: { readonly [N in EventName]: EventOf<N> } = {
  listening: { kind: 'listening' },
  'listen-failed': { kind: 'listen-failed', error: ERROR },
  'backend-announced': {
    kind: 'backend-announced',
    registration: backend(0).registration,
  },
  connected: {
    kind: 'connected',
    connection: 99,
    peer: client(1).peer,
    isReserved: false,
  },
  'backend-forked': { kind: 'backend-forked', place: 0, child: CHILD, pid: 107 },
  'backend-not-forked': {
    kind: 'backend-not-forked',
    place: 0,
    child: CHILD,
    call: 'fork',
    why: 'EAGAIN',
  },
  'handed-over': { kind: 'handed-over', place: 0, connection: 1_000 },
  'not-handed-over': { kind: 'not-handed-over', place: 0, connection: 1_000 },
  'backend-exited': { kind: 'backend-exited', place: 0, child: CHILD, exit: exit(0) },
  'launcher-ready': {
    kind: 'launcher-ready',
    pid: 51,
    workers: [],
    startupHooks: false,
    startupProcess: false,
  },
  'launcher-failed': { kind: 'launcher-failed', error: ERROR },
  'launcher-exited': { kind: 'launcher-exited' },
  forked: { kind: 'forked', slot: 0, child: 7, pid: 107 },
  up: { kind: 'up', child: 7 },
  'fork-failed': { kind: 'fork-failed', slot: 0, child: 7, call: 'fork', why: 'EAGAIN' },
  exited: { kind: 'exited', slot: 0, child: 7, exit: exit(1) },
  'server-started': { kind: 'server-started', pid: 9 },
  'server-failed': { kind: 'server-failed', error: ERROR },
  'server-exited': { kind: 'server-exited' },
  database: { kind: 'database', state: 'unreachable', detail: 'gone' },
  'database-refused': { kind: 'database-refused', error: ERROR },
  'startup-started': { kind: 'startup-started', pid: 8 },
  'startup-not-started': { kind: 'startup-not-started', call: 'fork', why: 'EAGAIN' },
  'startup-consistent': { kind: 'startup-consistent' },
  'startup-exited': { kind: 'startup-exited', exit: exit('SIGSEGV'), said: null },
  'memory-ready': { kind: 'memory-ready' },
  'memory-failed': { kind: 'memory-failed', error: ERROR },
  registered: { kind: 'registered', ticket: 1, registration: attached() },
  terminate: { kind: 'terminate', slot: 0, generation: 0n },
  stop: { kind: 'stop', mode: 'immediate' },
  reload: { kind: 'reload' },
  'lock-file-lost': { kind: 'lock-file-lost' },
  'done: listen': done({ kind: 'listen' }),
  'done: accept-connections': done({ kind: 'accept-connections' }),
  'done: refuse': done({ kind: 'refuse', connection: WAITING, reason: 'tooMany' }),
  'done: fork-backend': done({
    kind: 'fork-backend',
    place: 0,
    child: CHILD + 1,
    connection: WAITING,
  }),
  'done: hand-over': done({ kind: 'hand-over', place: 0, connection: WAITING }),
  'done: end-backend': done({ kind: 'end-backend', place: 0, signal: 'SIGKILL' }),
  'done: start-launcher': done({ kind: 'start-launcher' }),
  'done: start-server': done({ kind: 'start-server' }),
  'done: fork': done({ kind: 'fork', slot: 0, child: 100 }),
  'done: end-worker': done({ kind: 'end-worker', slot: 0, signal: 'SIGKILL' }),
  'done: end-launcher': done({ kind: 'end-launcher' }),
  'done: end-server': done({ kind: 'end-server', signal: 'SIGINT' }),
  'done: start-startup-process': done({ kind: 'start-startup-process' }),
  'done: end-startup-process': done({ kind: 'end-startup-process', signal: 'SIGQUIT' }),
  'done: reload': done({ kind: 'reload' }),
  'done: enter': done({ kind: 'enter', phase: 'STARTUP' }),
  'done: forget': done({ kind: 'forget', slot: 0 }),
  'done: reset-memory': done({ kind: 'reset-memory' }),
  'done: initialize-memory': done({ kind: 'initialize-memory' }),
  'done: finish': done({ kind: 'finish', exitCode: 0 }),
};

const running = { kind: 'running', child: CHILD, pid: 107, since: 0 } as const;

/** Each standing, with a client and as a spare one; and no backend at all. */
const COLUMNS = {
  none: null,
  forking: backend(0, { standing: { kind: 'forking', child: CHILD } }),
  'forking spare': backend(0, { client: null, standing: { kind: 'forking', child: CHILD } }),
  running: backend(0, { standing: running }),
  spare: backend(0, { client: null, standing: running }),
  stopping: backend(0, { standing: { ...running, kind: 'stopping', told: 'SIGTERM', toldAt: 0 } }),
} as const satisfies Record<string, Backend | null>;

type Column = keyof typeof COLUMNS;

/**
 * `.`: as it was; `-`: no such backend any more; `back`: gone, and its client waits again, with what
 * is said against it.
 */
const TABLE: { readonly [N in EventName]: string } = {
  //                          none    forking    spare↑  running spare    stopping
  listening: '                .       .          .       .       .        .       ',
  'listen-failed': '          .       .          .       .       .        .       ',
  'backend-announced': '      .       .          .       .       .        .       ',
  connected: '                .       .          .       .       .        .       ',
  'backend-forked': '         .       running    running .       .        .       ',
  'backend-not-forked': '     .       cannotFork -       .       .        .       ',
  'handed-over': '            .       .          .       .       .        .       ',
  'not-handed-over': '        .       again      .       again   .        again   ',
  'backend-exited': '         .       -          -       -       -        -       ',
  'launcher-ready': '         .       .          .       .       .        .       ',
  'launcher-failed': '        .       .          .       .       .        .       ',
  'launcher-exited': '        .       inRecovery -       .       .        .       ',
  forked: '                   .       .          .       .       .        .       ',
  up: '                       .       .          .       .       .        .       ',
  'fork-failed': '            .       .          .       .       .        .       ',
  exited: '                   .       .          .       .       .        .       ',
  'server-started': '         .       .          .       .       .        .       ',
  'server-failed': '          .       .          .       .       .        .       ',
  'server-exited': '          .       .          .       .       .        .       ',
  database: '                 .       .          .       .       .        .       ',
  'database-refused': '       .       .          .       .       .        .       ',
  'startup-started': '        .       .          .       .       .        .       ',
  'startup-not-started': '    .       .          .       .       .        .       ',
  'startup-consistent': '     .       .          .       .       .        .       ',
  'startup-exited': '         .       .          .       .       .        .       ',
  'memory-ready': '           .       .          .       .       .        .       ',
  'memory-failed': '          .       .          .       .       .        .       ',
  registered: '               .       .          .       .       .        .       ',
  terminate: '                .       .          .       .       .        .       ',
  stop: '                     .       .          .       .       .        .       ',
  reload: '                   .       .          .       .       .        .       ',
  'lock-file-lost': '         .       .          .       .       .        .       ',
  'done: listen': '           .       .          .       .       .        .       ',
  'done: accept-connections': '.      .          .       .       .        .       ',
  'done: refuse': '           .       .          .       .       .        .       ',
  'done: fork-backend': '     forking .          .       .       .        .       ',
  'done: hand-over': '        .       .          .       .       served   .       ',
  'done: end-backend': '      .       .          .       SIGKILL SIGKILL  SIGKILL ',
  'done: start-launcher': '   .       .          .       .       .        .       ',
  'done: start-server': '     .       .          .       .       .        .       ',
  'done: fork': '             .       .          .       .       .        .       ',
  'done: end-worker': '       .       .          .       .       .        .       ',
  'done: end-launcher': '     .       .          .       .       .        .       ',
  'done: end-server': '       .       .          .       .       .        .       ',
  'done: start-startup-process': '. .         .       .       .        .       ',
  'done: end-startup-process': '. .           .       .       .        .       ',
  'done: reload': '           .       .          .       .       .        .       ',
  'done: enter': '            .       .          .       .       .        .       ',
  'done: forget': '           .       .          .       .       .        .       ',
  'done: reset-memory': '     .       .          .       .       .        .       ',
  'done: initialize-memory': '.       .          .       .       .        .       ',
  'done: finish': '           .       .          .       .       .        .       ',
};

function stateWith(column: Column): State {
  const one = COLUMNS[column];
  return serving(one === null ? [] : [one], { arrivals: [arrival(WAITING)] });
}

function nameOf(before: State, after: State): string {
  const was = before.clients.backends.get(0);
  const is = after.clients.backends.get(0);
  const back = after.clients.arrivals.find(
    (one) => one.client.connection === was?.client?.connection,
  );
  if (back !== undefined) return back.refusal ?? 'again';
  if (is === was) return '.';
  if (is === undefined) return '-';
  if (is.client?.connection === WAITING && was !== undefined) return 'served';
  return is.standing.kind === 'stopping' ? is.standing.told : is.standing.kind;
}

const ROWS = Object.entries(TABLE) as [EventName, string][];
const CELLS = ROWS.flatMap(([event, row]) => {
  const cells = row.trim().split(/ +/);
  return (Object.keys(COLUMNS) as Column[]).map((column, index) => ({
    event,
    column,
    after: cells[index] ?? 'a hole',
  }));
});

test('the grid has no hole', () => {
  const width = Object.keys(COLUMNS).length;
  for (const [, row] of ROWS) expect(row.trim().split(/ +/)).toHaveLength(width);
});

test.each(CELLS)('$column × $event: $after', ({ event, column, after }) => {
  const before = stateWith(column);
  const next = apply(before, { at: AT, event: EVENTS[event] });
  expect(nameOf(before, next)).toBe(after);
});

describe('what is meant for an earlier child, or for nobody, changes nothing', () => {
  const strangers: [why: string, event: Event][] = [
    ['forked, an earlier child', { ...EVENTS['backend-forked'], child: CHILD - 1 }],
    ['forked, an empty place', { ...EVENTS['backend-forked'], place: 3 }],
    ['not forked, an earlier child', { ...EVENTS['backend-not-forked'], child: CHILD - 1 }],
    ['not forked, an empty place', { ...EVENTS['backend-not-forked'], place: 3 }],
    ['exited, an earlier child', { ...EVENTS['backend-exited'], child: CHILD - 1 }],
    ['exited, an empty place', { ...EVENTS['backend-exited'], place: 3 }],
    ['not handed over, another connection', { ...EVENTS['not-handed-over'], connection: 5 }],
    ['not handed over, an empty place', { ...EVENTS['not-handed-over'], place: 3 }],
    ['refused, no such connection', done({ kind: 'refuse', connection: 5, reason: 'tooMany' })],
  ];
  const columns = Object.keys(COLUMNS) as Column[];

  test.each(strangers)('%s', (_why, event) => {
    for (const column of columns) {
      const before = stateWith(column);
      const { clients: next } = apply(before, { at: AT, event });
      expect(next.backends).toBe(before.clients.backends);
      expect(next.arrivals).toEqual(before.clients.arrivals);
    }
  });
});

test('nothing about clients moves a worker', () => {
  const kinds = ROWS.map(([event]) => event).filter((name) =>
    /^(listen|backend|connected|handed|not-h|done: (listen|accept|refuse|fork-b|hand|end-b))/.test(
      name,
    ),
  );
  expect(kinds.length).toBeGreaterThan(12);
  for (const standing of Object.values(STANDINGS)) {
    for (const kind of kinds) {
      const before = { ...stateWith('running'), ...workersOf(standing) };
      expect(apply(before, { at: AT, event: EVENTS[kind] }).workers).toBe(before.workers);
    }
  }
});

function workersOf(standing: (typeof STANDINGS)[keyof typeof STANDINGS]): Pick<State, 'workers'> {
  const { workers } = { ...serving(), workers: serving().workers.with(0, worker({ standing })) };
  return { workers };
}

test('the doors: due, opening, bound, accepting, and nothing out of order', () => {
  const opening = serving([], { listening: 'opening' });
  expect(apply(opening, { at: AT, event: EVENTS.listening }).clients.listening).toBe('bound');
  for (const listening of ['none', 'due', 'bound', 'accepting'] as const) {
    const state = serving([], { listening });
    expect(apply(state, { at: AT, event: EVENTS.listening }).clients.listening).toBe(listening);
  }
  expect(clients().listening).toBe('accepting');
});
