// core-bench.ts: native/bench/sync_bench: the same primitives, driven from C++, without Node.
//
// Built by CMake on the first use, as the C-level tests are; without fault points, and optimized.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const DIRECTORY = 'build-native/plain';
const TARGET = 'sync_bench';

/** Values by the names under which the program prints them. */
export type CoreFigures = (name: string) => number;

let measured: Readonly<Record<string, number>> | null = null;

/** Once in a run, for all groups that compare with it. Takes a few seconds. */
export function coreFigures(): CoreFigures {
  measured ??= measure();
  const figures = measured;
  return (name) => {
    const value = figures[name];
    if (value === undefined) throw new Error(`${TARGET} prints no "${name}"`);
    return value;
  };
}

function measure(): Readonly<Record<string, number>> {
  run('cmake', ['-S', '.', '-B', DIRECTORY, '-DCMAKE_BUILD_TYPE=None', '-DBGWORKER_SANITIZER=']);
  run('cmake', ['--build', DIRECTORY, '--target', TARGET]);
  return JSON.parse(run(`${ROOT}${DIRECTORY}/${TARGET}`, ['--json']));
}

function run(command: string, args: readonly string[]): string {
  const done = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8' });
  if (done.error !== undefined) throw done.error;
  if (done.status !== 0) throw new Error(`${command} failed:\n${done.stdout}${done.stderr}`);
  return done.stdout;
}
