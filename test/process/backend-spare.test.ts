// Spare backends: forked ahead, taken first, made up for, and ended like everybody else.

import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { BackendOptions } from '../../lib/index.ts';
import { TestClient } from '../harness/client.ts';
import { commandOf, isGone } from '../harness/leftovers.ts';
import { type PostmasterProgram, type Setting, startPostmaster } from '../harness/postmaster.ts';

const TCP = [{ host: '127.0.0.1', port: 0 }] as const;

async function serve(
  spareBackends: number,
  setting: Partial<Setting> = {},
  options: BackendOptions = {},
): Promise<PostmasterProgram> {
  const serving = { role: 'introduce', options };
  const postmaster = await startPostmaster({ listen: TCP, serving, spareBackends, ...setting });
  await filled(postmaster, spareBackends);
  return postmaster;
}

async function sparesOf(postmaster: PostmasterProgram): Promise<number[]> {
  const backends = await postmaster.backends();
  return backends.flatMap(({ peer, pid, standing }) =>
    peer === null && standing === 'running' ? [pid ?? 0] : [],
  );
}

/** Nothing is said when a spare one is up: it is asked again, now and then. */
async function filled(postmaster: PostmasterProgram, count: number): Promise<number[]> {
  for (const deadline = performance.now() + 15_000; performance.now() < deadline; ) {
    const spares = await sparesOf(postmaster);
    if (spares.length === count) return spares;
    await delay(10);
  }
  throw new Error(`there are never ${count} spare backends\n${postmaster.output}`);
}

async function introduced(postmaster: PostmasterProgram) {
  const client = new TestClient(await postmaster.address());
  const first = await client.hears('\n');
  return { client, ...JSON.parse(first) } as {
    client: TestClient;
    pid: number;
    slot: number;
    peer: unknown;
    title: string;
  };
}

describe.each(['fork', 'exec'] as const)('%s', (launch) => {
  test('are taken before anything is forked, know their client, and are made up for', async () => {
    const postmaster = await serve(2, { launch });
    const spares = await sparesOf(postmaster);
    // It runs from the fork on, and has its title a little later.
    if (launch === 'fork') {
      const titles = () => spares.map(commandOf);
      await expect.poll(titles, { timeout: 15_000 }).toEqual(Array(2).fill('backend: spare'));
    }
    const { client, pid, peer, title } = await introduced(postmaster);
    expect(spares).toContain(pid);
    const { localPort: port } = client.socket;
    expect(peer).toEqual({ kind: 'inet', address: '127.0.0.1', port });
    expect(title).toBe(`backend: 127.0.0.1(${port})`);
    expect(await postmaster.until('connect')).toMatchObject({ pid, peer });
    client.say('ping');
    await client.hears('ping');
    const next = await filled(postmaster, 2);
    expect(next).not.toContain(pid);
    await client.leaves();
    expect(await postmaster.until('disconnect')).toMatchObject({ pid, how: 'code 0' });
    await postmaster.stop();
    expect(postmaster.log).not.toMatch(/terminating|WARN(?!.* launched by exec )/);
  });
});

test('are in nobody’s way: all places are served', async () => {
  const postmaster = await serve(3, { maxConnections: 3 });
  const served = [];
  for (let i = 0; i < 3; i++) served.push(await introduced(postmaster));
  expect(new Set(served.map(({ slot }) => slot)).size).toBe(3);
  const refused = new TestClient(await postmaster.address());
  expect((await refused.ended).text).toBe('sorry, too many clients already\n');
  await postmaster.stop();
});

test.each(['smart', 'fast', 'immediate'] as const)(
  'hold up no %s shutdown, and leave without a word',
  async (mode) => {
    const postmaster = await serve(3);
    const spares = await sparesOf(postmaster);
    await postmaster.stop(mode);
    expect(spares.every(isGone)).toBe(true);
    expect(postmaster.all('disconnect')).toEqual([]);
    expect(postmaster.log).not.toMatch(/WARN|ERROR|FATAL/);
  },
);

test('attached ones go down with a crash, and are back after it', async () => {
  const postmaster = await serve(
    2,
    { cast: [{ name: 'victim', main: 'linger', flags: ['SHMEM_ACCESS'] }] },
    { flags: ['SHMEM_ACCESS'] },
  );
  const before = await sparesOf(postmaster);
  await postmaster.heard('victim', 'lingering');
  const after = postmaster.mark();
  process.kill(postmaster.pidOf('victim'), 'SIGKILL');
  await postmaster.until('phase', ({ phase }) => phase === 'RUN', { after });
  const next = await filled(postmaster, 2);
  expect(before.every(isGone)).toBe(true);
  expect(next.filter((pid) => before.includes(pid))).toEqual([]);
  const { pid } = await introduced(postmaster);
  expect(next).toContain(pid);
  await postmaster.stop();
});

test('one that is killed is replaced, after a moment; a client that comes meanwhile is served', async () => {
  const postmaster = await serve(1);
  const [spare = 0] = await sparesOf(postmaster);
  process.kill(spare, 'SIGKILL');
  // Before that is known, a client may be given to it, and be cut off with it.
  await postmaster.logged(/spare backend \(PID \d+\) was terminated by signal SIGKILL/);
  const { pid } = await introduced(postmaster);
  expect(pid).not.toBe(spare);
  await filled(postmaster, 1);
  await postmaster.stop();
});

test('they die with the launcher, and others are forked by the next one', async () => {
  const postmaster = await serve(2);
  const before = await sparesOf(postmaster);
  const after = postmaster.mark();
  process.kill(postmaster.launcherPid, 'SIGKILL');
  await postmaster.until('phase', ({ phase }) => phase === 'RUN', { after });
  await filled(postmaster, 2);
  expect(before.every(isGone)).toBe(true);
  const { pid } = await introduced(postmaster);
  expect(before).not.toContain(pid);
  await postmaster.stop();
});

test('a reload harms none of them', async () => {
  const postmaster = await serve(2);
  const before = await sparesOf(postmaster);
  postmaster.tell({ do: 'reload' });
  const { pid } = await introduced(postmaster);
  expect(before).toContain(pid);
  await postmaster.stop();
});
