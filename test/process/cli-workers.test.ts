// `bgworker ps`, `launch` and `terminate`: what they say of a running postmaster, what they do to it,
// and what is left of them when there is none.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Sandbox } from '../harness/cli.ts';

const JOB = `
import { appendFileSync } from 'node:fs';
export async function main(worker, arg) {
  console.log('job: here with ' + JSON.stringify(arg));
  const { signal } = worker;
  while (!signal.aborted) { worker.latch.reset(); await worker.latch.wait(); }
}
export function quick() {}
export function never() { throw new Error('no'); }
`;

/** A postmaster with one static worker, in the foreground. */
async function running(options: Readonly<Record<string, unknown>> = {}) {
  const sandbox = new Sandbox();
  sandbox.config({ preload: ['hello.mjs'], ...options });
  sandbox.file('job.mjs', JOB);
  const postmaster = sandbox.start(['start', '--foreground', '-D', 'data']);
  await postmaster.says('hello: on stdout');
  const bgworker = (...args: string[]) => sandbox.run(...args, '-D', 'data');
  const stop = async () => {
    expect(await bgworker('stop', '-m', 'fast')).toMatchObject({ status: 0 });
    expect(await postmaster.ended).toMatchObject({ status: 0 });
  };
  return { sandbox, postmaster, bgworker, stop };
}

test('a worker is launched, listed and terminated', async () => {
  const { postmaster, bgworker, stop } = await running();
  const launched = await bgworker('launch', 'job.mjs', '--name', 'my job', '--arg', '{"a":1}');
  expect(launched).toMatchObject({ status: 0, stderr: '' });
  const [, pid] =
    /^background worker "my job" started \(handle: 1\/1, PID: (\d+)\)\n$/.exec(launched.stdout) ??
    [];
  await postmaster.says('job: here with {"a":1}');

  const { status, stdout } = await bgworker('ps');
  expect(status).toBe(0);
  const lines = stdout.trimEnd().split('\n');
  expect(lines[0]).toMatch(/^HANDLE {2}PID +STANDING {2}RUNNING {2}TYPE +NAME$/);
  expect(lines[1]).toMatch(/^0\/0 +\d+ +running +00:\d\d +\S.* +hello$/);
  expect(lines[2]).toMatch(new RegExp(`^1/1 +${pid} +running +00:\\d\\d +my job +my job$`));
  expect(lines).toHaveLength(3);

  expect(await bgworker('terminate', 'my job')).toMatchObject({
    status: 0,
    stdout: 'background worker "my job" terminated\n',
    stderr: '',
  });
  expect((await bgworker('ps')).stdout).not.toContain('my job');
  await stop();
});

test('by its handle, by its pid, by a name of its own; static workers, too', async () => {
  const { bgworker, stop } = await running();
  for (const name of ['a', 'b', 'twin', 'twin']) {
    expect(await bgworker('launch', 'job.mjs', '--name', name)).toMatchObject({ status: 0 });
  }
  const { stdout } = await bgworker('ps');
  const pid = /^2\/2 +(\d+)/m.exec(stdout)?.[1] ?? '';
  expect(await bgworker('terminate', pid)).toMatchObject({ status: 0 });
  expect(await bgworker('terminate', '1/1')).toMatchObject({ status: 0 });
  expect(await bgworker('terminate', 'twin')).toMatchObject({
    status: 1,
    stderr:
      'bgworker: 2 background workers are called "twin" (handles: 3/3, 4/4); name one by its handle\n',
  });
  expect(await bgworker('terminate', '4/4')).toMatchObject({ status: 0 });
  expect(await bgworker('terminate', 'twin')).toMatchObject({ status: 0 });
  expect(await bgworker('terminate', 'hello')).toMatchObject({ status: 0 });
  expect(await bgworker('ps')).toMatchObject({ status: 0, stdout: 'no workers\n' });
  // A handle is that worker's and no other's.
  expect(await bgworker('launch', 'job.mjs')).toMatchObject({ status: 0 });
  for (const word of ['0/0', '1/1', 'hello', '999999999', '']) {
    expect(await bgworker('terminate', word)).toMatchObject({
      status: 1,
      stderr: `bgworker: there is no background worker "${word}"; "bgworker ps" lists those that there are\n`,
    });
  }
  await stop();
});

test('a program, with its own options', async () => {
  const { sandbox, bgworker, stop } = await running();
  const args = ['--restart-time', 'never', '--', 'sleep', '1000'];
  const { status, stdout } = await sandbox.run('launch', '-D', 'data', ...args);
  expect(status).toBe(0);
  const pid = /^background worker "sleep" started .*PID: (\d+)/.exec(stdout)?.[1];
  expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).toBe('sleep\x001000\x00');
  expect(await bgworker('terminate', 'sleep')).toMatchObject({ status: 0 });
  await stop();
});

describe('what launch says of a worker that', () => {
  test('is quick', async () => {
    const { bgworker, stop } = await running();
    const quick = await bgworker('launch', 'job.mjs', '--function', 'quick');
    expect(quick).toMatchObject({ status: 0, stderr: '' });
    expect(quick.stdout).toMatch(
      /^background worker "quick" started \(handle: 1\/1, PID: \d+\)\n$/,
    );
    await stop();
  });

  test('is not waited for', async () => {
    const { bgworker, stop } = await running();
    expect(await bgworker('launch', 'job.mjs', '-W')).toMatchObject({
      status: 0,
      stdout: 'background worker "main" registered (handle: 1/1)\n',
    });
    await stop();
  });

  test('has to wait for longer than that', async () => {
    const sandbox = new Sandbox();
    sandbox.config({
      postgres: { conninfo: 'host=/nowhere-at-all' },
      log: { level: 'debug' },
    });
    sandbox.file('job.mjs', JOB);
    const postmaster = sandbox.start(['start', '--foreground', '-D', 'data']);
    await postmaster.says('phase is now STARTUP');
    expect(await sandbox.run('launch', '-D', 'data', 'job.mjs', '-t', '1')).toMatchObject({
      status: 1,
      stderr:
        'bgworker: background worker "main" was not started in time (1 s); it stays registered (handle: 0/1)\n',
    });
    const { stdout } = await sandbox.run('ps', '-D', 'data');
    expect(stdout).toMatch(/^0\/1 +- +due +- +main +main$/m);
    expect(await sandbox.run('terminate', '-D', 'data', '0/1')).toMatchObject({ status: 0 });
    await sandbox.run('stop', '-D', 'data');
    await postmaster.ended;
  });

  test('is a mistake', async () => {
    const { bgworker, stop } = await running({ maxWorkerProcesses: 1 });
    const mistakes: [args: string[], stderr: RegExp][] = [
      [['--restart-time', '99999999999', 'job.mjs'], /restartTime must be .*got 99999999999$/m],
      [['--flag', 'SHARED', 'job.mjs'], /flags\.0 must be 'SHMEM_ACCESS' or /],
      [
        ['--arg', '{', 'job.mjs'],
        /^bgworker: --arg must be JSON: .*\nTry "bgworker launch --help"/,
      ],
      [['./nothing.mjs', '--name', 'a\nb'], /name must be a text of 1 to 95 bytes/],
      [['job.mjs'], /too many background workers; up to 1 .*consider raising maxWorkerProcesses$/m],
    ];
    for (const [args, stderr] of mistakes) {
      const result = await bgworker('launch', ...args);
      expect(result).toMatchObject({ status: 1, stdout: '' });
      expect(result.stderr).toMatch(stderr);
    }
    await stop();
  });
});

describe('terminate', () => {
  test('waits only so long, or not at all', async () => {
    const { sandbox, postmaster, bgworker, stop } = await running({ shutdownTimeout: 0 });
    sandbox.file(
      'deaf.mjs',
      `export async function main() {
        process.on('SIGTERM', () => console.log('deaf: no'));
        console.log('deaf: here');
        setInterval(() => {}, 1e9);
        await new Promise(() => {});
      }`,
    );
    await bgworker('launch', 'deaf.mjs', '--name', 'deaf');
    await postmaster.says('deaf: here');
    const { status, stderr } = await bgworker('terminate', 'deaf', '-t', '1');
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /^bgworker: background worker "deaf" \(PID: \d+\) does not end; it was given 1 s\n$/,
    );
    await postmaster.says('deaf: no');
    expect(await bgworker('terminate', 'deaf', '-W')).toMatchObject({
      status: 0,
      stdout: 'background worker "deaf" terminating\n',
    });
    await stop();
  });
});

describe('without a postmaster', () => {
  const COMMANDS = [['ps'], ['launch', 'job.mjs'], ['terminate', 'w']];

  test.each(COMMANDS)('%s: exit status 3, and 4 without a directory', async (...command) => {
    const sandbox = new Sandbox();
    const absent = await sandbox.run(...command, '-D', 'data');
    expect(absent).toMatchObject({ status: 4, stdout: '' });
    mkdirSync(sandbox.data, { mode: 0o700 });
    const empty = await sandbox.run(...command, '-D', 'data');
    expect(empty).toMatchObject({ status: 3, stdout: '' });
    expect(empty.stderr).toMatch(
      /^bgworker: PID file ".*" does not exist\nIs postmaster running\?\n$/,
    );
    // One that was killed leaves its files, and its socket among them.
    writeFileSync(sandbox.lockFile, '999999999\n');
    const stale = await sandbox.run(...command, '-D', 'data');
    expect(stale).toMatchObject({ status: 3, stdout: '' });
    expect(stale.stderr).toMatch(
      /^bgworker: old postmaster process \(PID: 999999999\) seems to be gone\n/,
    );
  });

  test('one that was killed', async () => {
    const { sandbox, postmaster } = await running();
    postmaster.process.kill('SIGKILL');
    await postmaster.ended;
    for (const command of COMMANDS) {
      expect(await sandbox.run(...command, '-D', 'data')).toMatchObject({ status: 3 });
    }
  });

  test('one without a control socket', async () => {
    const { sandbox, postmaster, bgworker } = await running();
    rmSync(join(sandbox.data, 'control.sock'));
    const { status, stderr } = await bgworker('ps');
    expect(status).toBe(3);
    expect(stderr).toMatch(/^bgworker: the postmaster does not answer: .*ENOENT/);
    await sandbox.run('stop', '-D', 'data');
    await postmaster.ended;
  });
});
