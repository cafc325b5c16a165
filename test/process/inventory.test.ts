// postmaster.sharedMemory(): what the workers of a real postmaster have asked for and made.

import { expect, test } from 'vitest';
import { moduleFile, PostmasterProgram, startPostmaster } from '../harness/postmaster.ts';

const MODULE = `
import { writeSync } from 'node:fs';
const say = (worker, text) =>
  writeSync(1, JSON.stringify({ kind: 'say', name: worker.name, pid: process.pid, text }) + '\\n');

export function init(server) {
  const hits = server.shmem.struct('hits', { count: 'u64', last: 'f64', note: { bytes: 64 } });
  server.shmem.lwlock('hits');
  server.shmem.reserve(1000);
  server.registerBackgroundWorker({
    name: 'maker',
    flags: ['SHMEM_ACCESS'],
    restartTime: 3600,
    main: async (worker) => {
      const { signal } = worker;
      hits.count.add(1n);
      worker.shmem.struct('later', { count: 'u32' });
      const segment = worker.dsm.create(5000);
      worker.dsm.named('cache', 70_000);
      worker.dsm.hash('table', { bytes: 1 << 20, maxKeyBytes: 32, maxValueBytes: 64 });
      say(worker, 'made');
      while (!signal.aborted) {
        worker.latch.reset();
        await worker.latch.wait();
      }
    },
  });
}
`;

test('lists the main area, the segments and the names; after a crash, the new ones', async () => {
  const postmaster = await startPostmaster({ preload: [moduleFile(MODULE)] });
  for (let cycle = 0; cycle < 3; cycle++) {
    const after = postmaster.mark();
    if (cycle > 0) process.kill(postmaster.pidOf('maker'), 'SIGKILL');
    await postmaster.heard('maker', 'made', { after });
    const memory = await postmaster.sharedMemory();
    if (memory === null) throw new Error('there is none');
    const { allocations, segments, names } = memory;
    const named = (wanted: string) => allocations.find(({ name }) => name === wanted);
    expect(named('hits')).toMatchObject({ kind: 'struct', bytes: 80, allocatedBytes: 128 });
    expect(named('lwlock:hits')).toMatchObject({ kind: 'struct', allocatedBytes: 64 });
    expect(named('later')).toMatchObject({ kind: 'struct', bytes: 4, allocatedBytes: 64 });
    expect(named('<anonymous>')?.bytes).toBe(0);
    expect(allocations.find(({ kind }) => kind === 'free')?.bytes).toBeGreaterThanOrEqual(
      1000 - 64,
    );
    expect(segments.map(({ bytes, pinned }) => [bytes, pinned])).toEqual([
      [5000, false],
      [70_000, true],
      [1 << 20, true],
    ]);
    expect(names).toEqual([
      { name: 'cache', kind: 'segment', bytes: 70_000 },
      { name: 'table', kind: 'hash', bytes: 1 << 20 },
    ]);
  }
  await postmaster.stop();
});

test('there is none before the preload modules have said how large it is', async () => {
  const module = moduleFile(`export async function init() {
    await new Promise((resolve) => setTimeout(resolve, 60_000));
  }`);
  const postmaster = new PostmasterProgram({ preload: [module] });
  await postmaster.until('up');
  expect(await postmaster.sharedMemory()).toBeNull();
  await postmaster.stop();
});
