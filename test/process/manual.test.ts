// The examples of the docs do what the docs say.

import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startPostmaster } from '../harness/postmaster.ts';

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

test('README.md', async () => {
  const postmaster = await started('jobs.js');
  await postmaster.logged(/1000 jobs done/);
  for (const name of ['make', 'work']) {
    expect(await postmaster.exitOf(name)).toMatchObject({ how: 'code 0', cleanDetach: true });
  }
  await postmaster.stop();
});
