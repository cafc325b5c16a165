// Message queues between real processes: all of every message, in order, until somebody leaves.

import { expect, test } from 'vitest';
import { openScene, play } from '../harness/scene.ts';

test.each(['fork', 'exec'] as const)(
  'each length from each place in the ring, by every verb: %s',
  async (launch) => {
    const rounds = (ring: number) => (ring / 8 + 1) * (2 * ring + 10);
    const count = [8, 16, 64, 104].reduce((sum, ring) => sum + rounds(ring), 0);
    const seen = await play<number>({ scene: 'lengths', processes: 2, launch });
    expect(seen).toEqual([count, count]);
  },
);

test('a slow receiver keeps its sender waiting', async () => {
  const [fitted, received] = await play<unknown>({ scene: 'backpressure', processes: 2 });
  expect(fitted).toBe(16);
  const [count, most] = received as number[];
  expect(count).toBe(200);
  // What the sender was ahead by: the ring, and what the receiver has not told yet.
  expect(most).toBeLessThanOrEqual(16);
});

test('there and back with spins', async () => {
  expect(await play<number>({ scene: 'pingPong', processes: 2 })).toEqual([2_000, 2_000]);
});

test("test_shm_mq's three workloads, by three workers that end one another", async () => {
  const passed = await play<number[]>({ scene: 'shmMq', processes: 4 });
  expect(passed).toEqual([[2_000, 10_000, 200], [2_000, 10_000, 200], [200], [200]]);
});

test('who stays hears of who leaves: in the middle, at the end, or before it came', async () => {
  const postmaster = await openScene({ scene: 'part', processes: 7 });
  const { pid } = await postmaster.heard('p0', 'waits');
  const ends: string[] = [];
  for (let me = 1; me < 7; me++) ends.push((await postmaster.exitOf(`p${me}`)).how);
  expect(ends).toEqual(['code 0', 'code 1', ...Array(4).fill('code 0')]);
  process.kill(pid, 'SIGHUP');
  const { value } = await postmaster.heard('p0', 'done');
  const over = ['DETACHED', 'DETACHED'];
  // How far a receiver came, or whether it was seen before it left, is a matter of luck.
  const either = expect.stringMatching(/^(SUCCESS|DETACHED)$/);
  expect(value).toEqual([
    ['one', 'two', 'three', ...over],
    ['one', 'two', 'three', ...over],
    ['kept back', ...over],
    [either, ...over],
    [either, 'DETACHED'],
    over,
  ]);
  expect(postmaster.all('crash')).toEqual([]);
  await postmaster.exitOf('p0');
  await postmaster.stop();
});
