// Condition variables and barriers between real processes, in both forms of waiting.

import { expect, test } from 'vitest';
import { play } from '../harness/scene.ts';

test.each(['fork', 'exec'] as const)(
  'a signal wakes one, the oldest; a broadcast all; nobody is woken for nothing: %s',
  async (launch) => {
    const [orders, ...woken] = await play<unknown[]>({ scene: 'wakes', processes: 4, launch });
    const inTurn = [1, 2, 3];
    const [waiting, all, blocking, allBlocking] = orders as number[][];
    expect([waiting, blocking]).toEqual([inTurn, inTurn]);
    expect([all?.sort(), allBlocking?.sort()]).toEqual([inTurn, inTurn]);
    // In none of the four rounds.
    expect(woken).toEqual(Array(3).fill([0, 0, 0, 0]));
  },
);

test('a wake that comes to who has no use for it goes on to the next', async () => {
  const [, left, woken] = await play<unknown[]>({ scene: 'passOn', processes: 3 });
  expect([left, woken]).toEqual([
    ['enough', 'enough'],
    ['woken', 'woken'],
  ]);
});

test('a dynamic barrier: they come and leave in every way, and each phase has one elected', async () => {
  interface Left {
    readonly first: number;
    readonly elected: number;
    readonly early: number;
    readonly isLast: boolean;
    readonly phase: number;
  }
  const left = await play<Left>({ scene: 'comings', processes: 4 });
  expect(left.map(({ first, early }) => [first, early])).toEqual(Array(4).fill([0, 0]));
  // 30 of all, and one of the last one alone.
  expect(left.reduce((sum, { elected }) => sum + elected, 0)).toBe(31);
  const last = left.filter(({ isLast }) => isLast);
  expect(last.map(({ phase }) => phase)).toEqual([32]);
  expect(left[3]?.phase).toBeGreaterThanOrEqual(10);
  expect(left[2]?.phase).toBeGreaterThanOrEqual(20);
});

test('who gave up to wait at a barrier and leaves is not missed', async () => {
  const [first, ...others] = await play<unknown[]>({ scene: 'givenUp', processes: 3 });
  expect(first).toEqual(['enough', 1, 2]);
  expect(others.map(([said]) => said).sort()).toEqual(['', 'elected']);
  expect(others.map(([, phase, participants]) => [phase, participants])).toEqual(
    Array(2).fill([1, 2]),
  );
});
