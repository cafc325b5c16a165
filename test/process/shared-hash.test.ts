// A hash table between real processes: no update is lost, and everything stays where it was put.

import { expect, test } from 'vitest';
import { play } from '../harness/scene.ts';

test.each(['fork', 'exec'] as const)(
  '8 writers count, insert, delete and let it grow: %s',
  async (launch) => {
    const seen = await play<unknown>({ scene: 'writers', processes: 8, launch });
    const size = 50 + 8 * 666;
    expect(seen).toEqual(Array(8).fill({ sum: 8 * 2_997, size, entries: size, wrong: [] }));
  },
);
