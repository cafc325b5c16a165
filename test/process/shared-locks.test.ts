// LWLocks between real processes: everybody gets on, and nobody leaves with one.

import { expect, test } from 'vitest';
import { openScene, play } from '../harness/scene.ts';

test('a waiter among busy newcomers gets on, in both forms', async () => {
  const seen = await play<unknown>({ scene: 'newcomers', processes: 5 });
  expect(seen).toEqual(['got on', ...Array(4).fill('had a turn')]);
});

test.each(['fork', 'exec'] as const)(
  'locks are released whichever way their holder leaves: %s',
  async (launch) => {
    const postmaster = await openScene({ scene: 'leaveHolding', processes: 7, launch });
    const { value } = await postmaster.heard('p0', 'done');
    expect(value).toBe(6);
    const ends: unknown[] = [];
    for (let me = 0; me < 7; me++) {
      const { how, cleanDetach } = await postmaster.exitOf(`p${me}`);
      ends.push([how, cleanDetach]);
    }
    const [returned, failed] = [
      ['code 0', true],
      ['code 1', true],
    ];
    expect(ends).toEqual([returned, returned, failed, failed, returned, failed, failed]);
    expect(postmaster.all('crash')).toEqual([]);
    await postmaster.stop();
  },
);

test('who gives up waiting leaves the queue, and who stands behind comes to his turn', async () => {
  const [, given, behind] = await play<unknown>({ scene: 'giveUpPlace', processes: 3 });
  expect(given).toEqual(['enough', 'enough']);
  expect(behind).toEqual(['shared', 'shared']);
});
