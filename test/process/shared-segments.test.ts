// Dynamic segments between real processes: who holds one, and what happens when the last lets go.

import { expect, test } from 'vitest';
import { openScene, play } from '../harness/scene.ts';

const GONE = 'ERR_SHMEM_SEGMENT_GONE';

test.each(['fork', 'exec'] as const)(
  'a handle travels in a struct; the last detach destroys the segment: %s',
  async (launch) => {
    const [maker, taker] = await play<unknown>({ scene: 'handOver', processes: 2, launch });
    expect(maker).toEqual(['taken', GONE]);
    expect(taker).toEqual([5000, 7, true, 7, 1, 0, null, GONE]);
  },
);

test.each([
  ['fork', 8],
  ['exec', 3],
] as const)(
  'all ask for the same names at once, and the first initialisers fail: %s, %d of them',
  async (launch, processes) => {
    interface Result {
      readonly failures: number;
      readonly sum: number;
      readonly tries: boolean;
    }
    const results = await play<Result>({ scene: 'race', processes, launch });
    expect(results.map(({ sum, tries }) => [sum, tries])).toEqual(
      Array(processes).fill([20 * 42, true]),
    );
    expect(results.reduce((sum, { failures }) => sum + failures, 0)).toBe(20 * 2 * 3);
  },
);

test('a pinned segment outlives its holders, an unpinned one does not; an exit detaches', async () => {
  const postmaster = await openScene({ scene: 'pins', processes: 2 });
  const { value: maker } = await postmaster.heard('p0', 'done');
  const { value: other } = await postmaster.heard('p1', 'done');
  expect(maker).toEqual([
    [{ handle: expect.any(Number), bytes: 4096, pinned: true }],
    GONE,
    GONE,
    0,
    GONE,
  ]);
  expect(other).toEqual([8, 8, true, false, GONE, GONE, 0]);
  for (const name of ['p0', 'p1']) {
    expect(await postmaster.exitOf(name)).toMatchObject({ how: 'code 0', cleanDetach: true });
  }
  await postmaster.stop();
});

test.each([
  ['return', 'code 0'],
  ['exit', 'code 0'],
  ['throw', 'code 1'],
])('on-detach callbacks run at the exit, by %s, in order', async (form, how) => {
  const postmaster = await openScene({ scene: 'farewell', processes: 1, form });
  expect(await postmaster.exitOf('p0')).toMatchObject({ how, cleanDetach: true });
  const said = postmaster.all('say').filter(({ text }) => text === 'detaching');
  expect(said.map(({ value }) => value)).toEqual([
    ['newer', 'last'],
    ['newer', 'first', 5, 0],
    ['older', 'last'],
    ['older', 'first', 5, 1],
  ]);
  // The first that was thrown is heard of, and ends nothing.
  await postmaster.logged(/a callback failed while the process left shared memory: from newer/);
  expect(postmaster.all('crash')).toEqual([]);
  await postmaster.stop();
});
