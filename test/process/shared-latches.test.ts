// Latches of real processes: what ends a wait, and that nothing wakes a process without a reason.

import { expect, test } from 'vitest';
import { openScene, play } from '../harness/scene.ts';

const SET = { latchSet: true, timeout: false, postmasterDeath: false };
const TIMEOUT = { latchSet: false, timeout: true, postmasterDeath: false };

test.each(['fork', 'exec'] as const)('a wait ends by whatever comes first: %s', async (launch) => {
  const postmaster = await openScene({ scene: 'ends', processes: 1, launch });
  const { pid } = await postmaster.heard('p0', 'waits');
  process.kill(pid, 'SIGHUP');
  const { value } = await postmaster.heard('p0', 'done');
  expect(value).toEqual([
    ...[TIMEOUT, TIMEOUT, SET, SET, 'enough', 'enough', TIMEOUT, SET],
    ...['SIGHUP', SET],
  ]);
  await postmaster.exitOf('p0');
  await postmaster.stop();
});

test('a latch in a segment has one owner, until that one lets go or leaves', async () => {
  const postmaster = await openScene({ scene: 'owners', processes: 2 });
  const { value: owner } = await postmaster.heard('p0', 'done');
  expect(owner).toEqual([SET, true, false]);
  const { pid } = await postmaster.heard('p1', 'waits');
  await postmaster.exitOf('p0');
  process.kill(pid, 'SIGHUP');
  const { value: heir } = await postmaster.heard('p1', 'done');
  expect(heir).toEqual([...Array(4).fill('ERR_WRONG_STATE'), SET, true]);
  await postmaster.exitOf('p1');
  await postmaster.stop();
});

test.each(['fork', 'exec'] as const)(
  'who waits sleeps once, however busy the others are: %s',
  async (launch) => {
    const [latch, condition] = await play<number>({ scene: 'idle', processes: 4, launch });
    // To be woken is to have slept once; what node does around it may cost another.
    expect(latch).toBeLessThanOrEqual(3);
    expect(condition).toBeLessThanOrEqual(3);
  },
);

test('a loop of waits that find at once what they wait for lets signals in', async () => {
  const postmaster = await openScene({ scene: 'turns', processes: 1 });
  for (let index = 0; index < 9; index++) {
    const { pid } = await postmaster.heard('p0', `busy ${index}`);
    process.kill(pid, 'SIGHUP');
  }
  const { value } = await postmaster.heard('p0', 'done');
  expect(value).toBe(9);
  await postmaster.exitOf('p0');
  await postmaster.stop();
});

test('the death of the postmaster ends every wait but those for locks', async () => {
  const postmaster = await openScene({ scene: 'orphans', processes: 8 });
  for (let me = 0; me < 8; me++) await postmaster.heard(`p${me}`, 'waits');
  postmaster.kill('SIGKILL');
  const { value: latch } = await postmaster.heard('p0', 'ended');
  expect(latch).toContain('"postmasterDeath":true');
  for (let me = 1; me < 8; me++) {
    const { value } = await postmaster.heard(`p${me}`, 'ended');
    expect(value, `p${me}`).toMatch(/^the postmaster is dead/);
  }
  await postmaster.empty();
});
