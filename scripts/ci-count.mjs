// ci-count.mjs: adds up what the runs of .ci/run said, and prints the sum as its last line.
//
//     node scripts/ci-count.mjs LOG STEP=STATUS …
//
// LOG holds the output of all steps. Counted are vitest's summary, every "…: N passed, N failed" of
// our own scripts, and each step that failed without any of these saying so. Exit status 0 only if
// nothing failed and something passed.

import { readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';

const [log, ...steps] = process.argv.slice(2);
const lines = stripVTControlCharacters(readFileSync(log, 'utf8')).split('\n');
let passed = 0;
let failed = 0;

for (const line of lines) {
  const ours = /^[\w ]+: (\d+) passed, (\d+) failed$/.exec(line);
  if (ours) {
    passed += Number(ours[1]);
    failed += Number(ours[2]);
  }
  const vitest = /^\s*Tests\s+(.*)\(\d+\)\s*$/.exec(line);
  if (vitest) {
    passed += Number(/(\d+) passed/.exec(vitest[1])?.[1] ?? 0);
    failed += Number(/(\d+) failed/.exec(vitest[1])?.[1] ?? 0);
  }
}
const broken = steps.filter((step) => !step.endsWith('=0'));
for (const step of steps) console.log(`step ${step}`);
// A step is a test of its own: lint has no other, and a crashed run may not have counted itself.
passed += steps.length - broken.length;
failed += broken.length;
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
