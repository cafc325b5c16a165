// What becomes of shared memory: when the start-up hooks run, and what waits for them.

import { describe, expect, test } from 'vitest';
import type { Event } from '../../../lib/model/event.ts';
import { initialState, type Memory, type State } from '../../../lib/model/state.ts';
import { apply } from '../../../lib/react/apply.ts';
import { attached, Course, exit, kinds, LIMITS, up, worker } from './make.ts';

const READY: Event = {
  kind: 'launcher-ready',
  pid: 50,
  workers: [],
  startupHooks: true,
  startupProcess: false,
};
const FAILED: Event = { kind: 'memory-failed', error: new Error('the hook says no') };
const HOOKS: Partial<State> = { launcher: { kind: 'ready', pid: 50, startupHooks: true } };

describe('memory × event', () => {
  const MEMORIES: readonly Memory[] = ['raw', 'initializing', 'ready'];
  const table: [what: string, event: Event, ...after: string[]][] = [
    //                                                        raw             initializing    ready
    ['launcher-ready, hooks', READY, 'raw', 'raw', 'raw'],
    ['launcher-ready, none', { ...READY, startupHooks: false }, 'ready', 'ready', 'ready'],
    ['launcher-exited', { kind: 'launcher-exited' }, 'raw', 'raw', 'raw'],
    [
      'done: initialize-memory',
      { kind: 'done', action: { kind: 'initialize-memory' } },
      ...['initializing', 'initializing', 'initializing'],
    ],
    ['memory-ready', { kind: 'memory-ready' }, 'raw', 'ready', 'ready'],
    ['memory-failed', FAILED, 'raw', 'initializing, failed', 'ready'],
    [
      'done: reset-memory',
      { kind: 'done', action: { kind: 'reset-memory' } },
      ...['raw', 'raw', 'raw'],
    ],
  ];
  const cells = table.flatMap(([what, event, ...row]) =>
    MEMORIES.map((memory, index) => ({ what, event, memory, after: row[index] ?? 'a hole' })),
  );
  test.each(cells)('$memory × $what: $after', ({ event, memory, after }) => {
    const next = apply(up([], { ...HOOKS, memory }), { at: 1, event });
    const failed = next.failure.kind === 'failed' ? ', failed' : '';
    expect(`${next.memory}${failed}`).toBe(after);
  });
});

test('the hooks run once the launcher is ready, and STARTUP lasts as long as they do', () => {
  const course = new Course(initialState({ limits: LIMITS, follows: 'nothing' }));
  course.settle();
  course.post({ ...READY, workers: [{ staticIndex: 0, registration: attached() }] });
  expect(course.settle().map(({ kind }) => kind)).toEqual(['enter', 'initialize-memory']);
  expect(course.state.phase).toBe('STARTUP');
  expect(kinds(course.turn())).toEqual([]);
  course.post({ kind: 'memory-ready' });
  expect(course.settle()).toContainEqual({ kind: 'enter', phase: 'RUN' });
  expect(course.told()).toBe('forking');
});

test('they run again after a crash, before anybody who is attached', () => {
  const running = { kind: 'running', child: 7, pid: 107, since: 0 } as const;
  const one = worker({ registration: attached(), standing: running });
  const course = new Course(up([one], HOOKS));
  course.exited(0, exit('SIGSEGV'));
  expect(course.settle().map(({ kind }) => kind)).toEqual([
    'enter',
    'reset-memory',
    'enter',
    'initialize-memory',
  ]);
  expect(course.told()).toBe('due');
  course.post({ kind: 'memory-ready' }).startAll();
  expect(course.told()).toBe('running');
});

test('their failure ends the postmaster with exit status 1', () => {
  const course = new Course(up([], { ...HOOKS, phase: 'STARTUP', memory: 'raw' }));
  course.settle();
  course.post(FAILED);
  expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 1 });
});

test('a stop does not wait for them', () => {
  const course = new Course(up([], { ...HOOKS, phase: 'STARTUP', memory: 'initializing' }));
  course.post({ kind: 'stop', mode: 'fast' });
  expect(course.settle().at(-1)).toEqual({ kind: 'finish', exitCode: 0 });
});
