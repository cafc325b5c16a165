// clang-format.mjs: formats the C and C++ files of native/ and examples/; with --check it only
// says which are not formatted, and exits 1 if there are any.

import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const check = process.argv.includes('--check');

function clangFormat() {
  const found = createRequire(import.meta.url).resolve('clang-format/package.json');
  // The package has a binary for x64 only. An arm64 machine needs its own on PATH.
  return process.arch === 'x64'
    ? join(dirname(found), 'bin/linux_x64/clang-format')
    : 'clang-format';
}

const files = ['native', 'examples'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    .filter((name) => /[.](h|c|cc)$/.test(name))
    .map((name) => join(folder, name)),
);
const args = check ? ['--dry-run', '--Werror', ...files] : ['-i', ...files];
const done = spawnSync(clangFormat(), args, { cwd: root, stdio: 'inherit' });
if (done.error) {
  console.error(`clang-format could not be run: ${done.error.message}`);
  process.exitCode = 1;
} else {
  if (check && done.status !== 0) console.error('to format: node scripts/clang-format.mjs');
  process.exitCode = done.status ?? 1;
}
