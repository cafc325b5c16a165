// What is logged of what has happened, and at which level (§1.16, §1.19).

import { expect, test } from 'vitest';
import type { Event } from '../../../lib/model/event.ts';
import type { State } from '../../../lib/model/state.ts';
import { apply } from '../../../lib/react/apply.ts';
import { report } from '../../../lib/report.ts';
import { attached, connected, exit, LIMITS, registration, STANDINGS, up, worker } from './make.ts';

function lines(event: Event, before: State): string[] {
  const after = apply(before, { at: 10, event });
  return report(event, before, after).map(({ level, text }) => `${level} ${text}`);
}

const ONE = registration({ name: 'sum deltas', type: 'spi' });
const running = (changes: Partial<State> = {}, one = ONE) =>
  up([worker({ registration: one, standing: STANDINGS.running })], changes);
const exited = (how: Parameters<typeof exit>[0], clean = true): Event => ({
  kind: 'exited',
  slot: 0,
  child: 7,
  exit: exit(how, clean),
});
const SHARED = attached({ name: 'shared', type: 'shared' });

const TABLE: [what: string, event: Event, before: State, lines: string[]][] = [
  [
    'exit 0',
    exited(0),
    running(),
    ['debug background worker "spi" (PID 107) exited with exit code 0'],
  ],
  [
    'exit 1',
    exited(1),
    running(),
    ['info background worker "spi" (PID 107) exited with exit code 1'],
  ],
  [
    'a signal',
    exited('SIGSEGV'),
    running(),
    ['info background worker "spi" (PID 107) was terminated by signal SIGSEGV'],
  ],
  [
    'a signal, and what it was doing',
    { ...exited('SIGSEGV'), exit: { ...exit('SIGSEGV'), activity: 'SELECT 1' } } as Event,
    running(),
    [
      'info background worker "spi" (PID 107) was terminated by signal SIGSEGV; it was running: SELECT 1',
    ],
  ],
  [
    'exit 0, and what it was doing: that is no news',
    { ...exited(0), exit: { ...exit(0), activity: 'SELECT 1' } } as Event,
    running(),
    ['debug background worker "spi" (PID 107) exited with exit code 0'],
  ],
  [
    'the server is lost, which somebody needs',
    { kind: 'database', state: 'unreachable', detail: 'gone' },
    running({}, connected()),
    [
      'info the database is not reachable: gone',
      'warn the database server was lost; terminating the workers and client backends that need it',
    ],
  ],
  [
    'the server is lost, which nobody needs',
    { kind: 'database', state: 'unreachable', detail: 'gone' },
    running(),
    ['info the database is not reachable: gone'],
  ],
  [
    'the server is lost, and the option says keep',
    { kind: 'database', state: 'unreachable', detail: 'gone' },
    running({ limits: { ...LIMITS, restartOnServerLoss: false } }, connected()),
    ['info the database is not reachable: gone'],
  ],
  [
    'it is away for another reason now',
    { kind: 'database', state: 'unreachable', detail: 'a wrong password' },
    running({ database: 'unreachable' }, connected()),
    ['info the database is not reachable: a wrong password'],
  ],
  [
    'our own server is gone',
    { kind: 'server-exited' },
    running({ server: { kind: 'running', pid: 9 } }, connected()),
    ['warn the database server was lost; terminating the workers and client backends that need it'],
  ],
  [
    'our own server is gone in a shutdown',
    { kind: 'server-exited' },
    running({ shutdown: { mode: 'fast', since: 0 } }, connected()),
    [],
  ],
  [
    'the startup process is through',
    { kind: 'startup-exited', exit: exit(0), said: null },
    up([], { startup: { kind: 'running', pid: 60 } }),
    ['debug startup process (PID 60) exited with exit code 0'],
  ],
  [
    'the startup process fails',
    { kind: 'startup-exited', exit: exit(1), said: 'no log' },
    up([], { startup: { kind: 'running', pid: 60 } }),
    [
      'info startup process (PID 60) exited with exit code 1',
      'error aborting the start because the startup process failed: no log',
    ],
  ],
  [
    'the startup process goes down with a crash',
    { kind: 'startup-exited', exit: exit(2, false), said: null },
    up([], {
      startup: { kind: 'stopping', pid: 60, told: 'SIGQUIT', toldAt: 0 },
      crash: { kind: 'ending', since: 0 },
    }),
    ['debug startup process (PID 60) exited with exit code 2'],
  ],
  [
    'the first crash',
    exited('SIGSEGV', false),
    running({}, SHARED),
    [
      'info background worker "shared" (PID 107) was terminated by signal SIGSEGV',
      'warn terminating any other active worker processes',
    ],
  ],
  [
    'the dead-man switch',
    exited(0, false),
    running({}, SHARED),
    [
      'info background worker "shared" (PID 107) exited with exit code 0 without detaching from shared memory',
      'warn terminating any other active worker processes',
    ],
  ],
  [
    'a crash of one that was told to end: it is the reason for the others, so it is news',
    exited('SIGSEGV', false),
    up([worker({ registration: SHARED, standing: STANDINGS.SIGTERM, terminated: true })]),
    [
      'info background worker "shared" (PID 107) was terminated by signal SIGSEGV',
      'warn terminating any other active worker processes',
    ],
  ],
  [
    'a crash that follows from another',
    exited(2, false),
    up([worker({ registration: SHARED, standing: STANDINGS.SIGQUIT })], {
      crash: { kind: 'ending', since: 0 },
    }),
    ['debug background worker "shared" (PID 107) exited with exit code 2'],
  ],
  [
    'a crash with restartAfterCrash off',
    exited('SIGSEGV', false),
    running({ limits: { ...LIMITS, restartAfterCrash: false } }, SHARED),
    [
      'info background worker "shared" (PID 107) was terminated by signal SIGSEGV',
      'warn terminating any other active worker processes',
      'error shutting down because restartAfterCrash is off',
    ],
  ],
  ['an exit of an earlier child', { ...exited(1), child: 6 } as Event, running(), []],
  ['an exit of nobody', { ...exited(1), slot: 5 } as Event, running(), []],
  [
    'a fork that failed',
    { kind: 'fork-failed', slot: 0, child: 7, call: 'fork', why: 'EAGAIN' },
    up([worker({ registration: ONE, standing: STANDINGS.forking })]),
    ['error could not start background worker "sum deltas": fork: EAGAIN'],
  ],
  [
    'a failure of an earlier fork',
    { kind: 'fork-failed', slot: 0, child: 6, call: 'fork', why: 'EAGAIN' },
    up([worker({ registration: ONE, standing: STANDINGS.forking })]),
    [],
  ],
  ['a stop', { kind: 'stop', mode: 'fast' }, running(), ['info received fast shutdown request']],
  [
    'a stronger stop',
    { kind: 'stop', mode: 'immediate' },
    running({ shutdown: { mode: 'fast', since: 0 } }),
    ['info received immediate shutdown request'],
  ],
  [
    'an equal stop is ignored',
    { kind: 'stop', mode: 'fast' },
    running({ shutdown: { mode: 'fast', since: 0 } }),
    [],
  ],
  [
    'a weaker stop, too',
    { kind: 'stop', mode: 'smart' },
    running({ shutdown: { mode: 'fast', since: 0 } }),
    [],
  ],
  [
    'the first cause',
    { kind: 'launcher-failed', error: new Error('no init') },
    running(),
    ['error no init'],
  ],
  [
    'a later cause',
    { kind: 'launcher-failed', error: new Error('no init') },
    running({ failure: { kind: 'failed', error: new Error('first') } }),
    [],
  ],
  [
    'the first word to a worker',
    { kind: 'done', action: { kind: 'end-worker', slot: 0, signal: 'SIGTERM' } },
    running(),
    [],
  ],
  [
    'the second',
    { kind: 'done', action: { kind: 'end-worker', slot: 0, signal: 'SIGKILL' } },
    up([worker({ registration: ONE, standing: STANDINGS.SIGQUIT })]),
    ['warn issuing SIGKILL to recalcitrant children (107)'],
  ],
  [
    'a start',
    { kind: 'done', action: { kind: 'fork', slot: 0, child: 100 } },
    up([worker({ registration: ONE })]),
    ['debug starting background worker process "sum deltas"'],
  ],
  [
    'a slot that is freed',
    { kind: 'done', action: { kind: 'forget', slot: 0 } },
    up([worker({ registration: ONE, standing: STANDINGS.gone })]),
    ['debug unregistering background worker "sum deltas"'],
  ],
  [
    'a registration',
    { kind: 'registered', ticket: 1, registration: ONE },
    up([]),
    ['debug registering background worker "sum deltas"'],
  ],
  [
    'a registration that finds no place',
    { kind: 'registered', ticket: 1, registration: ONE },
    up([], { limits: { ...LIMITS, slotCount: 0 } }),
    [],
  ],
];

test.each(TABLE)('%s', (_what, event, before, expected) => {
  expect(lines(event, before)).toEqual(expected);
});
