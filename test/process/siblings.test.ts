// A thousand children of one process: what each must have for itself alone.

import { expect, test } from 'vitest';
import { descriptorsOf } from '../harness/leftovers.ts';
import { startPostmaster } from '../harness/postmaster.ts';
import { fixture } from '../harness/program.ts';

const SIBLINGS = 1000;

interface Drawn {
  readonly values: Readonly<Record<string, readonly (string | number)[]>>;
  readonly kernelPid: number;
  readonly processPid: number;
  readonly workerPid: number;
  readonly title: string;
  readonly cmdline: string;
}

test('a thousand siblings share no random value, and each knows its pid and its name', async () => {
  const postmaster = await startPostmaster({
    maxWorkerProcesses: SIBLINGS,
    preload: [fixture('drawer.js')],
    cast: [{ name: 'sibling', count: SIBLINGS, main: 'draw', restartTime: 'never' }],
    log: { level: 'info' },
  });
  const lines = await postmaster.count('say', SIBLINGS, undefined, { withinMs: 240_000 });
  const drawn = lines.map(({ value }) => value as Drawn);

  const seen = new Map<string | number, string>();
  const shared = new Set<string>();
  for (const { values } of drawn) {
    for (const [kind, pair] of Object.entries(values)) {
      for (const value of pair) {
        if (seen.has(value)) shared.add(`${kind} and ${seen.get(value)}`);
        seen.set(value, kind);
      }
    }
  }
  expect([...shared]).toEqual([]);
  expect(seen.size).toBe(SIBLINGS * Object.keys(drawn[0]?.values ?? {}).length * 2);

  const starts = new Map(
    (await postmaster.count('start', SIBLINGS)).map(({ name, pid }) => [name, pid]),
  );
  for (const [i, { kernelPid, processPid, workerPid, title, cmdline }] of drawn.entries()) {
    const name = lines[i]?.name ?? '';
    expect(kernelPid).toBe(starts.get(name));
    expect(processPid).toBe(kernelPid);
    expect(workerPid).toBe(kernelPid);
    expect(title).toBe(`bgworker: ${name}`);
    expect(cmdline).toBe(`bgworker: ${name}`);
  }
  await postmaster.stop();
}, 300_000);

test('threads of siblings share nothing either', async () => {
  const postmaster = await startPostmaster({
    preload: [fixture('drawer.js')],
    cast: [{ name: 'sibling', count: 20, main: 'drawInThread' }],
  });
  const lines = await postmaster.count('say', 20);
  const values = lines.flatMap(({ value }) => {
    const { random, uuid } = value as { random: number; uuid: string };
    return [random, uuid];
  });
  expect(new Set(values).size).toBe(40);
  for (const { pid, value } of lines) expect((value as { pid: number }).pid).toBe(pid);
  await postmaster.stop();
});

test.each(['fork', 'exec'] as const)(
  'the longest name is seen in full by ps (%s)',
  async (launch) => {
    const name = 'n'.repeat(95);
    const postmaster = await startPostmaster({ cast: [{ name, main: 'draw', launch }] });
    const { value } = await postmaster.heard(name, 'drawn');
    expect(value).toMatchObject({ title: `bgworker: ${name}`, cmdline: `bgworker: ${name}` });
    await postmaster.stop();
  },
);

/** How many sockets the postmaster has, and each of its idle workers. */
async function socketsOf(workers: number): Promise<{ postmaster: number; worker: Set<number> }> {
  const names = Array.from({ length: workers }, (_, index) => `idle ${index}`);
  const postmaster = await startPostmaster({ cast: names.map((name) => ({ name, main: 'idle' })) });
  for (const name of names) await postmaster.heard(name, 'idle');
  // Turns of its loop: what it has heard of meanwhile is closed.
  for (let turn = 0; turn < 3; turn++) await postmaster.workers();
  const sockets = (pid: number) =>
    descriptorsOf(pid).filter((one) => one.startsWith('socket:')).length;
  const counted = {
    postmaster: sockets(postmaster.pid),
    worker: new Set(names.map((name) => sockets(postmaster.pidOf(name)))),
  };
  await postmaster.stop();
  return counted;
}

test('the socket by which the next start waits for a fork is gone when that is up', async () => {
  const [one, six] = [await socketsOf(1), await socketsOf(6)];
  expect(six).toEqual(one);
});
