// What is left of shared memory after a crash: nothing, for whoever waited for whatever.

import { expect, test } from 'vitest';
import { openScene } from '../harness/scene.ts';

const FRESH = { isEarly: true, made: 1, phase: 0, isNew: true, isFree: true };

test.each([
  // The holder of the lock, one who waits for it, one who waits for something else; each wait is a
  // process's own.
  ['fork', 9, [0, 2, 6]],
  ['exec', 3, [0]],
] as const)(
  'holders and waiters die with each other, and all is new: %s',
  async (launch, processes, victims) => {
    const postmaster = await openScene({ scene: 'lives', processes, launch, restartTime: 3600 });
    const names = Array.from({ length: processes }, (_, me) => `p${me}`);
    let after = 0;
    const meetAll = async () => {
      for (const name of names) {
        const { value } = await postmaster.heard(name, 'found', { after });
        expect(value, name).toEqual(FRESH);
        await postmaster.heard(name, 'waits', { after });
      }
    };
    await meetAll();
    for (const victim of victims) {
      after = postmaster.mark();
      process.kill(postmaster.pidOf(`p${victim}`), 'SIGKILL');
      await meetAll();
      for (const name of names) {
        const { how } = await postmaster.exitOf(name, after);
        // The others are told to quit, and do so at once, also those that block their event loop.
        expect(how, name).toBe(name === `p${victim}` ? 'SIGKILL' : 'code 2');
      }
    }
    expect(postmaster.all('crash')).toHaveLength(victims.length);
    await postmaster.stop('immediate');
  },
);
