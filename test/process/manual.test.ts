// The examples of the docs do what the docs say.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { compileNative } from '../harness/native-library.ts';
import { moduleFile, startPostmaster } from '../harness/postmaster.ts';

const DOCS = new URL('../../dist-programs/test/fixtures/docs/', import.meta.url);

function started(name: string) {
  return startPostmaster({ preload: [fileURLToPath(new URL(name, DOCS))] });
}

test('docs/shared-memory.md', async () => {
  const postmaster = await started('manual.js');
  const [first, second] = await Promise.all([
    postmaster.heard('first', 'done'),
    postmaster.heard('second', 'done'),
  ]);
  expect(first.value).toEqual({
    isThere: true,
    locks: ['shared', null],
    most: 100,
    counted: 2,
    home: 'home',
    prepared: true,
  });
  expect(second.value).toEqual({ sum: 0.5, bytes: 6890, version: 1, lines: ['a', 'b'] });
  for (const name of ['first', 'second']) {
    expect(await postmaster.exitOf(name)).toMatchObject({ how: 'code 0', cleanDetach: true });
  }
  await postmaster.stop();
});

/** Asks for what the example uses, and shows what became of it. */
const BESIDE_C = `
export function init(server) {
  const hits = server.shmem.struct('hits', { count: 'u64', last: 'f64', note: { bytes: 64 } });
  server.shmem.lwlock('hits');
  const flags = ['SHMEM_ACCESS'];
  const native = { library: process.env.LIBRARY, function: 'count_one' };
  server.registerBackgroundWorker({ name: 'in C', flags, restartTime: 'never', native });
  const main = async (worker) => {
    worker.on('SIGHUP', () => {});
    await worker.latch.wait();
    const note = Buffer.from(hits.note.read()).toString().replace(/\\0+$/, '');
    worker.log.info(\`\${hits.count.load()} \${note}\`);
  };
  server.registerBackgroundWorker({ name: 'beside', flags, restartTime: 'never', main });
}
`;

test('docs/shared-memory.md, in C', async () => {
  const text = readFileSync(new URL('../../docs/shared-memory.md', import.meta.url), 'utf8');
  const [, source = ''] = /^```c\n(.*?)^```$/ms.exec(text) ?? [];
  const postmaster = await startPostmaster({
    preload: [moduleFile(BESIDE_C)],
    env: { LIBRARY: compileNative(source) },
  });
  expect(await postmaster.exitOf('in C')).toMatchObject({ how: 'code 0', cleanDetach: true });
  const { pid } = await postmaster.startOf('beside');
  process.kill(pid, 'SIGHUP');
  await postmaster.logged(/1 from C/);
  expect(await postmaster.exitOf('beside')).toMatchObject({ how: 'code 0' });
  await postmaster.stop();
});

test('README.md', async () => {
  const postmaster = await started('jobs.js');
  await postmaster.logged(/1000 jobs done/);
  for (const name of ['make', 'work']) {
    expect(await postmaster.exitOf(name)).toMatchObject({ how: 'code 0', cleanDetach: true });
  }
  await postmaster.stop();
});
