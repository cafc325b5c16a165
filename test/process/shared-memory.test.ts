// Shared memory from TypeScript, between real processes: nothing is lost, nobody waits for ever.

import { expect, test } from 'vitest';
import { play } from '../harness/scene.ts';

test.each(['fork', 'exec'] as const)(
  '8 processes x 1,000,000 atomic adds lose none: %s',
  { timeout: 120_000 },
  async (launch) => {
    const sums = await play<string>({ scene: 'addMany', processes: 8, launch });
    expect(sums).toEqual(Array(8).fill('8000000'));
  },
);

test('8 processes on one lock lose none, and each gets its turns', async () => {
  const seen = await play<{ mine: number; sum: number }>({ scene: 'countUnderLock', processes: 8 });
  expect(seen).toEqual(Array(8).fill({ mine: 20_000, sum: 160_000 }));
});

test('1,000 phases of a barrier: nobody early, one elected in each', async () => {
  const seen = await play<{ elected: number; early: number; phase: number }>({
    scene: 'phases',
    processes: 4,
  });
  expect(seen.map(({ early, phase }) => ({ early, phase }))).toEqual(
    Array(4).fill({ early: 0, phase: 1_000 }),
  );
  expect(seen.reduce((sum, { elected }) => sum + elected, 0)).toBe(1_000);
});

test('latches of four processes, each set by the one before', async () => {
  expect(await play<number>({ scene: 'ring', processes: 4 })).toEqual([500, 500, 500, 500]);
});

test('values through two queues of a named segment, there and back', async () => {
  const [sum, count] = await play<number>({ scene: 'converse', processes: 2 });
  expect(sum).toBe((5_000 * 4_999) / 2);
  expect(count).toBe(5_000);
});
