// What works in a worker: everything that works in Node, forked or not.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { abilities } from '../fixtures/process/roles/able.ts';
import { moduleFile, startPostmaster, temporaryDirectory } from '../harness/postmaster.ts';

const names = Object.keys(abilities);

describe.each(['fork', 'exec'] as const)('by %s', (launch) => {
  test('every ability there is', async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, 'module.mjs'), 'export const answer = 42;');
    writeFileSync(join(directory, 'module.cjs'), 'exports.answer = 42;');
    const postmaster = await startPostmaster({
      cast: names.map((name) => ({
        name,
        main: name,
        launch,
        arg: { directory },
        restartTime: 'never' as const,
      })),
    });
    const exits = await postmaster.count('exit', names.length, undefined, { withinMs: 25_000 });
    expect(Object.fromEntries(exits.map(({ name, how }) => [name, how]))).toEqual(
      Object.fromEntries(names.map((name) => [name, 'code 0'])),
    );
    await postmaster.stop();
  });

  test('modules in any dialect', async () => {
    const sources = {
      'worker.ts':
        'enum Code { Fine = 7 }\nexport async function main(): Promise<void> { process.exitCode = Code.Fine as number; }',
      'worker.mts':
        'export function main(worker: { name: string }): void { process.exitCode = worker.name.length; }',
      'worker.cts': 'exports.main = (worker: unknown): void => { process.exitCode = 7; };',
      'worker.cjs': 'exports.main = () => { process.exitCode = 7; };',
      'worker.mjs': 'await null; export const main = () => { process.exitCode = 7; };',
    };
    const files = Object.entries(sources).map(([name, source]) => moduleFile(source, name));
    const postmaster = await startPostmaster({
      cast: files.map((module, i) => ({
        name: `worker${i}`, // seven letters, for the second
        module,
        launch,
        restartTime: 'never' as const,
      })),
    });
    const exits = await postmaster.count('exit', files.length);
    expect(exits.map(({ how }) => how)).toEqual(files.map(() => 'code 7'));
    await postmaster.stop();
  });
});
