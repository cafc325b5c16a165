// A hash table between real processes: no update is lost, and everything stays where it was put.

import { expect, test } from 'vitest';
import { play } from '../harness/scene.ts';

test.each([
  ['fork', 8],
  ['exec', 3],
] as const)(
  'writers count, insert, delete and let it grow: %s, %d of them',
  async (launch, processes) => {
    const seen = await play<unknown>({ scene: 'writers', processes, launch });
    const [sum, size] = [processes * 2_997, 50 + processes * 666];
    expect(seen).toEqual(Array(processes).fill({ sum, size, entries: size, wrong: [] }));
  },
);
