// native-tests.mjs: builds core with its C++ tests and runs them, plain or under sanitizers.
//
//     node scripts/native-tests.mjs                            # plain
//     node scripts/native-tests.mjs address,undefined thread   # one build and run for each
//
// Ends with a line for each variant: `native <variant>: N passed, N failed`. Afterwards no process
// and nothing in /dev/shm is left; if something is, that is a failure.

import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const jobs = String(availableParallelism());
const known = ['plain', 'address,undefined', 'thread'];

// What a sanitizer finds must fail the test, in forked children, too: they leave by _exit, which a
// report turns into this code.
const sanitizerOptions = {
  ASAN_OPTIONS: 'detect_leaks=1:exitcode=66',
  UBSAN_OPTIONS: 'print_stacktrace=1',
  TSAN_OPTIONS: 'exitcode=66',
};

function stop(sentence) {
  console.error(sentence);
  process.exit(1);
}

function run(command, args) {
  const done = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, ...sanitizerOptions },
    maxBuffer: 64 * 1024 * 1024,
  });
  if (done.error?.code === 'ENOENT') {
    stop(
      `${command} is not on PATH: the native tests need CMake and a C++20 compiler (apt-get install cmake g++)`,
    );
  }
  return { ok: done.status === 0, output: `${done.stdout}${done.stderr}` };
}

function build(directory, variant) {
  const sanitizer = variant === 'plain' ? '' : variant;
  const steps = [
    ['-S', '.', '-B', directory, '-DCMAKE_BUILD_TYPE=None', `-DBGWORKER_SANITIZER=${sanitizer}`],
    ['--build', directory, '-j', jobs],
  ];
  for (const step of steps) {
    const built = run('cmake', step);
    if (!built.ok) stop(`${built.output}\ncmake ${step.join(' ')} failed`);
  }
}

/** Processes whose program lies in the build directory: tests that outlived their run. */
function leftoverProcesses(directory) {
  return readdirSync('/proc').filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/exe`).startsWith(`${root}${directory}/`);
    } catch {
      return false; // no process, or one that has just gone
    }
  });
}

function test(variant) {
  const directory = `build-native/${variant.replace(',', '-')}`;
  build(directory, variant);
  const sharedBefore = new Set(readdirSync('/dev/shm'));
  const { ok, output } = run('ctest', ['--test-dir', directory, '--verbose', '-j', jobs]);
  const lines = output.split('\n');
  const passed = lines.filter((line) => /^\d+: ok /.test(line)).length;
  let failed = lines.filter((line) => /^\d+: not ok /.test(line)).length;
  const left = leftoverProcesses(directory);
  const shared = readdirSync('/dev/shm').filter((name) => !sharedBefore.has(name));
  if (left.length > 0) console.error(`processes left behind: ${left.join(' ')}`);
  if (shared.length > 0) console.error(`left in /dev/shm: ${shared.join(' ')}`);
  // A test program that was killed, or that a sanitizer failed at its end, printed no such line.
  if ((!ok && failed === 0) || passed === 0) failed += 1;
  failed += left.length + shared.length;
  if (failed > 0) console.error(output);
  console.log(`native ${variant}: ${passed} passed, ${failed} failed`);
  return failed === 0;
}

const variants = process.argv.length > 2 ? process.argv.slice(2) : ['plain'];
for (const variant of variants) {
  if (!known.includes(variant)) stop(`unknown variant ${variant}: one of ${known.join(', ')}`);
}
const results = variants.map(test);
process.exitCode = results.every(Boolean) ? 0 : 1;
