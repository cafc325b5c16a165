// packed.test.ts: what a user gets who installs the package and has no compiler.
//
// Packs the package with a prebuilt binary, installs it into an empty project whose PATH holds node
// and npm only, and forks a worker there.

import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** What a package needs of the repository, and the addon; the rest would only be copied. */
const SOURCES = [
  'package.json',
  'package-lock.json',
  '.npmrc',
  'binding.gyp',
  'native',
  'dist',
  'build/Release/bgworker.node',
];
/** In place of the node-gyp that prebuildify calls: the addon is compiled already. */
const NOTHING_TO_COMPILE = '#!/bin/sh\n';

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'bgworker-packed-'));
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function run(
  file: string,
  args: readonly string[],
  cwd: string,
  environment: NodeJS.ProcessEnv = {},
): string {
  const env = { ...process.env, NODE_OPTIONS: '', ...environment };
  return execFileSync(file, args, {
    cwd,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** A copy, so that the repository is left as it is. */
function pack(): string {
  const copy = join(directory, 'copy');
  mkdirSync(copy);
  for (const name of SOURCES) cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  const nodeGyp = join(directory, 'node-gyp');
  writeFileSync(nodeGyp, NOTHING_TO_COMPILE, { mode: 0o755 });
  run('npm', ['run', 'prebuild'], copy, { PREBUILD_NODE_GYP: nodeGyp });
  run('npm', ['pack', '--ignore-scripts', '--pack-destination', directory], copy);
  return join(directory, 'bgworker-0.1.0.tgz');
}

test('installs without a compiler, and forks a worker', { timeout: 300_000 }, () => {
  const tarball = pack();
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  for (const name of ['node', 'npm', 'sh']) {
    symlinkSync(run('sh', ['-c', `command -v ${name}`], directory).trim(), join(bin, name));
  }
  const project = join(directory, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{ "name": "empty", "type": "module" }');
  run('npm', ['install', '--omit=optional', tarball], project, { PATH: bin });

  for (const name of ['main.js', 'workers.js']) {
    cpSync(join(ROOT, 'dist-programs/test/fixtures/fork-path', name), join(project, name));
  }
  const said = run('node', ['main.js'], project, { PATH: bin });
  expect(said).toMatch(/10 workers left well/);

  const version = run('node', ['node_modules/bgworker/dist/bundle/cli.js', '--version'], project, {
    PATH: bin,
  });
  expect(version).toContain('0.1.0');
});
