// Standing × event: where a worker stands after each thing that can happen. No hole: a new kind of
// event or action does not compile without its row, a new standing not without its column. What is
// about clients has a grid of its own, in backends-grid.test.ts.

import { describe, expect, test } from 'vitest';
import type { Action } from '../../../lib/model/action.ts';
import type { ClientAction, ClientEvent } from '../../../lib/model/clients.ts';
import type { Event } from '../../../lib/model/event.ts';
import type { Standing } from '../../../lib/model/standing.ts';
import type { State, Worker } from '../../../lib/model/state.ts';
import { apply } from '../../../lib/react/apply.ts';
import { attached, exit, STANDINGS, type StandingName, up, worker } from './make.ts';

const AT = 500;
const ONE = attached({ restartTime: 5 });
const ERROR = new Error('no');

type EventName =
  | Exclude<Event['kind'], 'done' | ClientEvent['kind']>
  | `done: ${Exclude<Action['kind'], ClientAction['kind']>}`;

type EventOf<N extends EventName> = N extends `done: ${infer A}`
  ? { kind: 'done'; action: Extract<Action, { kind: A }> }
  : Extract<Event, { kind: N }>;

const EVENTS: { readonly [N in EventName]: EventOf<N> } = {
  'launcher-ready': {
    kind: 'launcher-ready',
    pid: 51,
    workers: [{ staticIndex: 0, registration: ONE }],
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
  'done: start-launcher': { kind: 'done', action: { kind: 'start-launcher' } },
  'done: start-server': { kind: 'done', action: { kind: 'start-server' } },
  'done: fork': { kind: 'done', action: { kind: 'fork', slot: 0, child: 100 } },
  'done: end-worker': { kind: 'done', action: { kind: 'end-worker', slot: 0, signal: 'SIGKILL' } },
  'done: end-launcher': { kind: 'done', action: { kind: 'end-launcher' } },
  'done: end-server': { kind: 'done', action: { kind: 'end-server', signal: 'SIGINT' } },
  'done: start-startup-process': { kind: 'done', action: { kind: 'start-startup-process' } },
  'done: end-startup-process': {
    kind: 'done',
    action: { kind: 'end-startup-process', signal: 'SIGQUIT' },
  },
  'done: reload': { kind: 'done', action: { kind: 'reload' } },
  'done: enter': { kind: 'done', action: { kind: 'enter', phase: 'STARTUP' } },
  'done: forget': { kind: 'done', action: { kind: 'forget', slot: 0 } },
  'done: reset-memory': { kind: 'done', action: { kind: 'reset-memory' } },
  'done: initialize-memory': { kind: 'done', action: { kind: 'initialize-memory' } },
  'done: finish': { kind: 'done', action: { kind: 'finish', exitCode: 0 } },
};

const COLUMNS: readonly StandingName[] = [
  'due',
  'forking',
  'running',
  'SIGTERM',
  'SIGQUIT',
  'SIGKILL',
  'gone',
];

/**
 * `.`: as it was; `-`: no such worker any more; `later`: due after its interval; `now`: due at
 * once. The third to sixth column are processes; those in the fourth were terminated by somebody,
 * those in the fifth and sixth go down with a crash.
 */
const TABLE: { readonly [N in EventName]: string } = {
  //                      due     forking running SIGTERM SIGQUIT SIGKILL gone
  'launcher-ready': '       .       .       .       .       .       .       .    ',
  'launcher-failed': '      .       .       .       .       .       .       .    ',
  'launcher-exited': '      .       later   .       .       .       .       .    ',
  forked: '                 .       running .       .       .       .       .    ',
  up: '                     .       .       .       .       .       .       .    ',
  'fork-failed': '          .       later   .       .       .       .       .    ',
  exited: '                 .       later   later   gone    later   later   .    ',
  'server-started': '       .       .       .       .       .       .       .    ',
  'server-failed': '        .       .       .       .       .       .       .    ',
  'server-exited': '        .       .       .       .       .       .       .    ',
  database: '               .       .       .       .       .       .       .    ',
  'database-refused': '     .       .       .       .       .       .       .    ',
  'startup-started': '      .       .       .       .       .       .       .    ',
  'startup-not-started': '  .       .       .       .       .       .       .    ',
  'startup-consistent': '   .       .       .       .       .       .       .    ',
  'startup-exited': '       .       .       .       .       .       .       .    ',
  'memory-ready': '         .       .       .       .       .       .       .    ',
  'memory-failed': '        .       .       .       .       .       .       .    ',
  registered: '             .       .       .       .       .       .       .    ',
  terminate: '              gone    .       .       .       .       .       .    ',
  stop: '                   .       .       .       .       .       .       .    ',
  reload: '                 .       .       .       .       .       .       .    ',
  'lock-file-lost': '       .       .       .       .       .       .       .    ',
  'done: start-launcher': ' .       .       .       .       .       .       .    ',
  'done: start-server': '   .       .       .       .       .       .       .    ',
  'done: fork': '           forking .       .       .       .       .       .    ',
  'done: end-worker': '     .       .       SIGKILL SIGKILL SIGKILL SIGKILL .    ',
  'done: end-launcher': '   .       .       .       .       .       .       .    ',
  'done: end-server': '     .       .       .       .       .       .       .    ',
  'done: start-startup-process': '.  .       .       .       .       .       .    ',
  'done: end-startup-process': ' .   .       .       .       .       .       .    ',
  'done: reload': '         .       .       .       .       .       .       .    ',
  'done: enter': '          .       .       .       .       .       .       .    ',
  'done: forget': '         -       .       .       .       .       .       -    ',
  'done: reset-memory': '   now     .       .       .       .       .       .    ',
  'done: initialize-memory': '.      .       .       .       .       .       .    ',
  'done: finish': '         .       .       .       .       .       .       .    ',
};

function stateWith(name: StandingName): State {
  const one: Worker = worker({
    registration: ONE,
    standing: STANDINGS[name],
    terminated: name === 'SIGTERM',
  });
  const crashing = name === 'SIGQUIT' || name === 'SIGKILL';
  return up([one], crashing ? { phase: 'WAIT_BACKENDS', crash: { kind: 'ending', since: 0 } } : {});
}

function nameOf(standing: Standing | undefined, before: Standing): string {
  if (standing === undefined) return '-';
  if (standing === before) return '.';
  switch (standing.kind) {
    case 'due':
      return { [AT]: 'now', [AT + 5_000]: 'later' }[standing.notBefore] ?? '?';
    case 'stopping':
      return standing.told;
    default:
      return standing.kind;
  }
}

const ROWS = Object.entries(TABLE) as [EventName, string][];
const CELLS = ROWS.flatMap(([event, row]) => {
  const cells = row.trim().split(/ +/);
  return COLUMNS.map((standing, index) => ({ event, standing, after: cells[index] ?? 'a hole' }));
});

test('the grid has no hole', () => {
  expect([...COLUMNS].sort()).toEqual(Object.keys(STANDINGS).sort());
  for (const [, row] of ROWS) expect(row.trim().split(/ +/)).toHaveLength(COLUMNS.length);
});

test.each(CELLS)('$standing × $event: $after', ({ event, standing, after }) => {
  const before = stateWith(standing);
  const next = apply(before, { at: AT, event: EVENTS[event] });
  const was = before.workers.get(0) as Worker;
  expect(nameOf(next.workers.get(0)?.standing, was.standing)).toBe(after);
  const isNew = event === 'registered' ? 1 : 0;
  expect(next.workers.size).toBe((after === '-' ? 0 : 1) + isNew);
  // Whoever was terminated stays so, and nobody becomes it by the way.
  if (after !== '-') {
    expect(next.workers.get(0)?.terminated).toBe(was.terminated || event === 'terminate');
  }
});

describe('what is meant for somebody else, or for an earlier child, changes nothing', () => {
  const strangers: [why: string, event: Event][] = [
    ['forked, an earlier child', { kind: 'forked', slot: 0, child: 6, pid: 106 }],
    ['forked, no such slot', { kind: 'forked', slot: 3, child: 7, pid: 107 }],
    [
      'fork-failed, an earlier child',
      { kind: 'fork-failed', slot: 0, child: 6, call: 'fork', why: 'EAGAIN' },
    ],
    ['fork-failed, no such slot', { ...EVENTS['fork-failed'], slot: 3 }],
    ['exited, an earlier child', { kind: 'exited', slot: 0, child: 6, exit: exit('SIGSEGV') }],
    ['exited, a later child', { kind: 'exited', slot: 0, child: 8, exit: exit('SIGSEGV') }],
    ['exited, no such slot', { kind: 'exited', slot: 3, child: 7, exit: exit('SIGSEGV') }],
    ['terminate, an earlier generation', { kind: 'terminate', slot: 0, generation: -1n }],
    ['terminate, a later generation', { kind: 'terminate', slot: 0, generation: 1n }],
    ['terminate, no such slot', { kind: 'terminate', slot: 3, generation: 0n }],
    ['fork done, no such slot', { kind: 'done', action: { kind: 'fork', slot: 3, child: 1 } }],
    [
      'end-worker done, no such slot',
      { kind: 'done', action: { kind: 'end-worker', slot: 3, signal: 'SIGTERM' } },
    ],
    ['forget done, no such slot', { kind: 'done', action: { kind: 'forget', slot: 3 } }],
  ];
  test.each(strangers)('%s', (_why, event) => {
    for (const standing of COLUMNS) {
      const before = stateWith(standing);
      expect(apply(before, { at: AT, event })).toBe(before);
    }
  });
});

test('after the last turn nothing changes any more, whatever happens', () => {
  for (const standing of COLUMNS) {
    const over: State = { ...stateWith(standing), course: 'done' };
    for (const event of Object.values(EVENTS)) expect(apply(over, { at: AT, event })).toBe(over);
  }
});

describe('a slot', () => {
  test('that is in use is never given to a second worker', () => {
    for (const standing of COLUMNS) {
      const before = stateWith(standing);
      const next = apply(before, { at: AT, event: EVENTS.registered });
      expect(next.workers.get(0)).toBe(before.workers.get(0));
      expect([...next.workers.keys()]).toEqual([0, 1]);
    }
  });

  test('has a new generation with each dynamic worker, and no handle of an old one reaches it', () => {
    let state = up([]);
    const generations: bigint[] = [];
    for (let use = 0; use < 3; use++) {
      state = apply(state, { at: AT, event: EVENTS.registered });
      const generation = state.workers.get(0)?.generation ?? -1n;
      for (const old of generations) {
        expect(
          apply(state, { at: AT, event: { kind: 'terminate', slot: 0, generation: old } }),
        ).toBe(state);
      }
      generations.push(generation);
      state = apply(state, { at: AT, event: { kind: 'terminate', slot: 0, generation } });
      state = apply(state, { at: AT, event: EVENTS['done: forget'] });
      expect(state.workers.size).toBe(0);
    }
    expect(new Set(generations).size).toBe(3);
  });
});
