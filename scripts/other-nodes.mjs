// other-nodes.mjs: runs the fork path on other versions of Node than the one at hand.
//
//     node scripts/other-nodes.mjs 22 24 26
//
// The binaries come from the registry (packages node-linux-*), into a temporary directory. The
// addon is the one that is built here: one build serves them all. Exit status 0 if all are well.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(
  new URL('../dist-programs/test/fixtures/fork-path/main.js', import.meta.url),
);
const majors = process.argv.slice(2);
const directory = mkdtempSync(join(tmpdir(), 'bgworker-nodes-'));
let passed = 0;
try {
  for (const major of majors) {
    const prefix = join(directory, major);
    const name = `node-linux-${process.arch}`;
    execFileSync('npm', [
      'install',
      '--silent',
      '--no-save',
      '--force',
      '--ignore-scripts',
      '--prefix',
      prefix,
      `${name}@${major}`,
    ]);
    const node = join(prefix, 'node_modules', name, 'bin', 'node');
    const { status } = spawnSync(node, [program], { stdio: 'inherit', timeout: 60_000 });
    if (status === 0) passed++;
    else console.error(`node ${major}: exit status ${status}`);
  }
} finally {
  rmSync(directory, { recursive: true });
}
console.log(`other nodes: ${passed} passed, ${majors.length - passed} failed`);
process.exitCode = passed === majors.length ? 0 : 1;
