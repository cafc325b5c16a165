// Every mistake that can be made with shared memory is answered with an error of ours that names the
// thing, the rule and the remedy. The tables are in test/fixtures/shared/misuses/.

import { expect, test } from 'vitest';
import { play } from '../harness/scene.ts';

interface Group {
  readonly count: number;
  readonly wrong: readonly string[];
}

test.each(['fork', 'exec'] as const)(
  'in a process that is attached, and in init(): %s',
  async (launch) => {
    const [groups] = await play<Record<string, Group>>(
      { scene: 'misuses', processes: 2, launch },
      { maxWorkerProcesses: 4 },
    );
    expect(
      Object.entries(groups ?? {}).flatMap(([group, { wrong }]) =>
        wrong.map((one) => `${group}: ${one}`),
      ),
    ).toEqual([]);
    expect(Object.values(groups ?? {}).reduce((sum, { count }) => sum + count, 0)).toBeGreaterThan(
      130,
    );
  },
);

test.each(['fork', 'exec'] as const)('in a process that is not: %s', async (launch) => {
  const [group] = await play<Group>({ scene: 'misusesApart', processes: 1, launch, isApart: true });
  expect(group?.wrong).toEqual([]);
  expect(group?.count).toBe(25);
});
