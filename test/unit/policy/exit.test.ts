// Kind of exit × registration: what an exit means (§1.11 under the decisions), and where the
// worker stands after it. 16 exits × 12 registrations, every cell by hand.

import { describe, expect, test } from 'vitest';
import type { Exit, Verdict } from '../../../lib/model/exit.ts';
import type { Registration } from '../../../lib/model/registration.ts';
import type { Shutdown } from '../../../lib/model/state.ts';
import { classify } from '../../../lib/react/classify.ts';
import { Course, exit, registration, STANDINGS, up, worker } from './make.ts';

const VERDICTS: Readonly<Record<string, Verdict>> = {
  R: 'retire',
  D: 'restart',
  O: 'restart-at-once',
  C: 'crash',
};

const EXITS = [0, 1, 2, 255, 'SIGTERM', 'SIGKILL', 'SIGSEGV', 'lost'] as const;
const RESTART_TIMES = [5, 0, 'never'] as const;

/**
 * Columns: with shared memory, then without; in each, restartTime 5, 0 and 'never'; in each of
 * those restartOnExit0 false and true. `+`: it ran its exit cleanup; `-`: it did not.
 */
const TABLE: Readonly<Record<`${(typeof EXITS)[number]}${'+' | '-'}`, string>> = {
  //           attached       | not attached
  '0+': '      RO RO RO        RO RO RO',
  '0-': '      CC CC CC        RO RO RO',
  '1+': '      DD DD RR        DD DD RR',
  '1-': '      CC CC CC        DD DD RR',
  '2+': '      CC CC CC        DD DD RR',
  '2-': '      CC CC CC        DD DD RR',
  '255+': '    CC CC CC        DD DD RR',
  '255-': '    CC CC CC        DD DD RR',
  'SIGTERM+': 'CC CC CC        DD DD RR',
  'SIGTERM-': 'CC CC CC        DD DD RR',
  'SIGKILL+': 'CC CC CC        DD DD RR',
  'SIGKILL-': 'CC CC CC        DD DD RR',
  'SIGSEGV+': 'CC CC CC        DD DD RR',
  'SIGSEGV-': 'CC CC CC        DD DD RR',
  'lost+': '   CC CC CC        DD DD RR',
  'lost-': '   CC CC CC        DD DD RR',
};

const COLUMNS: readonly Registration[] = (['SHMEM_ACCESS', null] as const).flatMap((flag) =>
  RESTART_TIMES.flatMap((restartTime) =>
    [false, true].map((restartOnExit0) =>
      registration({ flags: flag === null ? [] : [flag], restartTime, restartOnExit0 }),
    ),
  ),
);

interface Cell {
  readonly name: string;
  readonly exit: Exit;
  readonly registration: Registration;
  readonly verdict: Verdict;
}

const CELLS: readonly Cell[] = EXITS.flatMap((how) =>
  (['+', '-'] as const).flatMap((sign) => {
    const letters = TABLE[`${how}${sign}`].replaceAll(' ', '');
    return COLUMNS.map((column, index) => ({
      name: `${how}${sign} ${column.flags[0] ?? 'alone'} ${column.restartTime} ${column.restartOnExit0}`,
      exit: exit(how, sign === '+'),
      registration: column,
      verdict: VERDICTS[letters[index] ?? ''] as Verdict,
    }));
  }),
);

test('the table has no hole', () => {
  expect(CELLS).toHaveLength(16 * 12);
  for (const row of Object.values(TABLE)) expect(row.replaceAll(' ', '')).toMatch(/^[RDOC]{12}$/);
});

test.each(CELLS)('$name is $verdict', (cell) => {
  expect(classify(cell.exit, cell.registration)).toBe(cell.verdict);
});

const AT = 1_234.5;

function running(cell: Cell, terminated = false): Course {
  const one = worker({
    registration: cell.registration,
    standing: STANDINGS.running,
    terminated,
    staticIndex: null,
  });
  return new Course(up([one]), AT);
}

describe('where it stands next', () => {
  test.each(CELLS)('$name', (cell) => {
    const course = running(cell).exited(0, cell.exit);
    const { restartTime } = cell.registration;
    switch (cell.verdict) {
      case 'retire':
        expect(course.standing()).toEqual({ kind: 'gone', last: cell.exit });
        break;
      case 'restart':
        // The interval counts from when the exit was noticed, and is not longer or shorter.
        expect(course.standing()).toEqual({
          kind: 'due',
          // Who went with the launcher did nothing wrong, and comes back with it.
          notBefore: cell.exit.cause.kind === 'lost' ? AT : AT + Number(restartTime) * 1000,
        });
        break;
      case 'restart-at-once':
        expect(course.standing()).toEqual({ kind: 'due', notBefore: AT });
        break;
      case 'crash':
        expect(course.state.crash).toEqual({ kind: 'ending', since: AT });
        break;
    }
    if (cell.verdict !== 'crash') expect(course.state.crash).toEqual({ kind: 'none' });
  });

  test.each(CELLS.filter(({ verdict }) => verdict === 'crash'))('$name, cycle over', (cell) => {
    const course = running(cell).exited(0, cell.exit).at(9_000);
    const actions = course.settle();
    expect(actions.filter((one) => one.kind === 'reset-memory')).toHaveLength(1);
    if (cell.registration.restartTime === 'never') expect(course.state.workers.size).toBe(0);
    else expect(course.told()).toBe('forking'); // At once, whatever its interval.
  });

  test.each(CELLS)('$name of a terminated worker: never again', (cell) => {
    const course = running(cell, true).exited(0, cell.exit);
    expect(course.standing()).toEqual({ kind: 'gone', last: cell.exit });
    expect(course.state.crash.kind).toBe(cell.verdict === 'crash' ? 'ending' : 'none');
  });

  const shutdowns: Shutdown[] = [
    { mode: 'smart', since: 0 },
    { mode: 'fast', since: 0 },
    { mode: 'immediate', since: 0 },
  ];
  test.each(CELLS)('$name during a shutdown: reaped, not started again', (cell) => {
    for (const shutdown of shutdowns) {
      const course = running(cell);
      course.state = { ...course.state, shutdown };
      course.exited(0, cell.exit);
      expect(course.standing()).toEqual({ kind: 'gone', last: cell.exit });
      expect(course.state.crash.kind).toBe(cell.verdict === 'crash' ? 'ending' : 'none');
    }
  });

  test.each(CELLS)('$name during a crash cycle: only reaped', (cell) => {
    const course = running(cell);
    const crash = { kind: 'ending', since: 3 } as const;
    course.state = { ...course.state, crash, phase: 'WAIT_BACKENDS' };
    course.exited(0, cell.exit);
    expect(course.state.crash).toBe(crash);
    expect(course.standing()?.kind).toBe(cell.verdict === 'retire' ? 'gone' : 'due');
  });
});

test('the interval at its bounds is exact', () => {
  for (const restartTime of [0, 1, 86_400_000]) {
    const one = worker({
      registration: registration({ restartTime }),
      standing: STANDINGS.running,
    });
    const course = new Course(up([one]), 7.25).exited(0, exit(1));
    expect(course.standing()).toEqual({ kind: 'due', notBefore: 7.25 + restartTime * 1000 });
  }
});
