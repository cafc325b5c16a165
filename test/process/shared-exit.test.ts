// Exits and signals at the worst of times: within what others wait for, and while one blocks.

import { expect, test } from 'vitest';
import { openScene } from '../harness/scene.ts';

test('an exit within a wait, an update or an initialiser leaves all of it free', async () => {
  const postmaster = await openScene({ scene: 'exitInside', processes: 7 });
  const { pid } = await postmaster.heard('p0', 'waits');
  for (let me = 1; me < 7; me++) {
    const exit = await postmaster.exitOf(`p${me}`);
    expect(exit, `p${me}`).toMatchObject({ how: 'code 0', cleanDetach: true });
  }
  // The rest of the callbacks of the segment that was being detached.
  await postmaster.heard('p5', 'on detach');
  process.kill(pid, 'SIGHUP');
  const { value } = await postmaster.heard('p0', 'done');
  expect(value).toEqual({
    locks: [true, true],
    wakes: 2,
    table: [true, 1],
    cache: [true, 1],
    late: 2,
    // The table and the cache.
    segments: 2,
    participants: 6,
  });
  expect(postmaster.all('crash')).toEqual([]);
  await postmaster.exitOf('p0');
  await postmaster.stop();
});

test('a signal ends no wait that blocks; its handler runs afterwards', async () => {
  const postmaster = await openScene({ scene: 'interrupted', processes: 2 });
  for (let index = 0; index < 3; index++) {
    const { pid } = await postmaster.heard('p0', `blocks ${index}`);
    process.kill(pid, 'SIGUSR2');
    process.kill(postmaster.pidOf('p1'), 'SIGHUP');
  }
  const { value } = await postmaster.heard('p0', 'done');
  expect(value).toBe(3);
  expect((await postmaster.heard('p1', 'done')).value).toBe(3);
  for (const name of ['p0', 'p1']) await postmaster.exitOf(name);
  await postmaster.stop();
});
