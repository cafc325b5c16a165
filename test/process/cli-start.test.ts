// `bgworker start`: in the foreground and in the background, and what becomes of it when something
// goes wrong on the way.

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fixturePath, Sandbox } from '../harness/cli.ts';
import { childrenOf, parentOf, stateOf } from '../harness/leftovers.ts';

// A busy machine makes more dots.
const STARTED = expect.stringMatching(
  /^waiting for postmaster to start\.{4,} done\npostmaster started\n$/,
);
const STOPPED = expect.stringMatching(
  /^waiting for postmaster to shut down\.{4,} done\npostmaster stopped\n$/,
);
const GAVE_UP = /^waiting for postmaster to start\.{4,} stopped waiting\n$/;

describe('in the background', () => {
  test('it is ready, in a session of its own, and its words go to the log file', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: ['hello.mjs'] });
    expect(await sandbox.run('start', '-D', 'data')).toMatchObject({
      status: 0,
      stdout: STARTED,
      stderr: '',
    });
    const pid = sandbox.postmasterPid;
    const [, , , session] =
      readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    expect(Number(session)).toBe(pid);
    for (const line of ['hello: on stdout', 'hello: on stderr', 'postmaster is ready']) {
      await sandbox.says(line);
    }
    expect(statSync(sandbox.log).mode & 0o777).toBe(0o600);

    const status = await sandbox.run('status', '-D', 'data');
    expect(status).toMatchObject({ status: 0, stderr: '' });
    expect(status.stdout).toMatch(
      new RegExp(
        `^bgworker: postmaster is running \\(PID: ${pid}\\)\ndata directory: ${sandbox.data}\n` +
          'status: ready\nsince: \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d UTC\n$',
      ),
    );

    const reload = await sandbox.run('reload', '-D', 'data');
    expect(reload).toMatchObject({ status: 0, stdout: 'postmaster signaled\n', stderr: '' });
    await sandbox.says('received SIGHUP');
    await sandbox.says('hello: reloaded');

    expect(await sandbox.run('stop', '-D', 'data')).toMatchObject({
      status: 0,
      stdout: STOPPED,
      stderr: '',
    });
    expect(stateOf(pid)).toMatch(/^Z?$/);
    expect(existsSync(sandbox.lockFile)).toBe(false);
    expect(await sandbox.run('status', '-D', 'data')).toMatchObject({
      status: 3,
      stdout: 'bgworker: no postmaster running\n',
      stderr: '',
    });
  });

  test('-l names the log file, which is appended to; -s says nothing', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: [] });
    const log = sandbox.file('out.log', 'from before\n');
    const nothing = { status: 0, stdout: '', stderr: '' };
    const env = { BGWORKER_DATA: 'data' };
    expect(await sandbox.runWith({ env }, 'start', '-s', '-l', 'out.log')).toMatchObject(nothing);
    expect((await sandbox.runWith({ env }, 'status', '-s')).stdout).toContain('is running');
    expect(await sandbox.runWith({ env }, 'reload', '-s')).toMatchObject(nothing);
    expect(await sandbox.runWith({ env }, 'stop', '-s')).toMatchObject(nothing);
    expect(readFileSync(log, 'utf8')).toMatch(/^from before\n.*postmaster is ready/s);
    expect(existsSync(sandbox.log)).toBe(false);
  });

  test('a log file that cannot be opened', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: [] });
    const { status, stderr } = await sandbox.run('start', '-D', 'data', '-l', 'no/out.log');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^bgworker: could not open log file ".*no\/out\.log": ENOENT.*\n$/);
  });

  test('-W does not wait', async () => {
    const sandbox = new Sandbox();
    const gate = sandbox.gate();
    sandbox.file('config.mjs', readFileSync(fixturePath('gated.mjs'), 'utf8'));
    const env = { CLI_TEST_GATE: gate.path, BGWORKER_DATA: 'data' };
    const args = ['start', '-W', '-c', 'config.mjs'];
    expect(await sandbox.runWith({ env }, ...args)).toMatchObject({
      status: 0,
      stdout: 'postmaster starting\n',
      stderr: '',
    });
    await (await gate.reached()).close();
    await sandbox.says('postmaster is ready');
    expect(await sandbox.runWith({ env }, 'stop', '-W')).toMatchObject({
      status: 0,
      stdout: 'postmaster shutting down\n',
    });
    await sandbox.says('postmaster is shut down');
  });

  test('what goes wrong after -W stands in the log file', async () => {
    const sandbox = new Sandbox();
    sandbox.file('bgworker.config.mjs', 'throw new Error("nobody waits for this")');
    expect(await sandbox.run('start', '-W', '-D', 'data')).toMatchObject({ status: 0 });
    await sandbox.says('nobody waits for this');
  });

  test('the command is killed while it waits: the postmaster goes on', async () => {
    const sandbox = new Sandbox();
    const gate = sandbox.gate();
    sandbox.file('bgworker.config.mjs', readFileSync(fixturePath('gated.mjs'), 'utf8'));
    const env = { CLI_TEST_GATE: gate.path };
    const start = sandbox.start(['start', '-D', 'data'], { env });
    const opened = await gate.reached();
    start.process.kill('SIGKILL');
    expect(await start.ended).toMatchObject({ signal: 'SIGKILL' });
    await opened.close();
    await sandbox.says('postmaster is ready');
    expect(await sandbox.run('status', '-D', 'data')).toMatchObject({ status: 0 });
    expect(parentOf(sandbox.postmasterPid)).not.toBe(start.process.pid);
    expect(await sandbox.run('stop', '-D', 'data')).toMatchObject({ status: 0 });
  });

  test('Ctrl-C while it waits ends the start, before there is a lock file', async () => {
    const sandbox = new Sandbox();
    const gate = sandbox.gate();
    sandbox.file('bgworker.config.mjs', readFileSync(fixturePath('gated.mjs'), 'utf8'));
    const start = sandbox.start(['start', '-D', 'data'], { env: { CLI_TEST_GATE: gate.path } });
    const opened = await gate.reached();
    start.process.kill('SIGINT');
    expect(await start.ended).toMatchObject({ signal: 'SIGINT' });
    await sandbox.nothingRuns();
    await opened.close();
    expect(existsSync(sandbox.lockFile)).toBe(false);
  });

  test('Ctrl-C while it waits ends the start, in the middle of it', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: ['endless-init.mjs'] });
    const start = sandbox.start(['start', '-D', 'data']);
    await start.says('waiting');
    await sandbox.says('init: begun');
    start.process.kill('SIGINT');
    expect(await start.ended).toMatchObject({ signal: 'SIGINT' });
    await sandbox.nothingRuns();
    expect(existsSync(sandbox.lockFile)).toBe(false);
  });

  test('a timeout: it goes on starting, and can be stopped', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: ['endless-init.mjs'] });
    const { status, stdout, stderr } = await sandbox.run('start', '-D', 'data', '-t', '1');
    expect(status).toBe(1);
    expect(stdout).toMatch(GAVE_UP);
    const pid = sandbox.postmasterPid;
    expect(stderr).toBe(
      `bgworker: postmaster did not start in time (1 s); it goes on starting (PID: ${pid})\n`,
    );
    await sandbox.says('init: begun');
    expect((await sandbox.run('status', '-D', 'data')).stdout).toContain('status: starting');
    expect(await sandbox.run('stop', '-D', 'data')).toMatchObject({ status: 0 });
  });

  test('stopped by somebody else before it is ready', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: ['endless-init.mjs'] });
    const start = sandbox.start(['start', '-D', 'data']);
    await start.says('waiting');
    await sandbox.says('init: begun');
    expect(await sandbox.run('stop', '-D', 'data')).toMatchObject({ status: 0 });
    const { status, stdout, stderr } = await start.ended;
    expect({ status, first: stderr.split('\n')[0] }).toEqual({
      status: 1,
      first: 'bgworker: the postmaster was stopped before it was ready',
    });
    expect(stdout).toMatch(GAVE_UP);
  });

  test('a preload module that fails: its sentence, and where the log is', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: ['broken-init.mjs'] });
    const { status, stdout, stderr } = await sandbox.run('start', '-D', 'data');
    expect(status).toBe(1);
    expect(stdout).toMatch(GAVE_UP);
    expect(stderr).toMatch(
      /^bgworker: preload module \S+broken-init\.mjs failed: there is no table today\n/,
    );
    expect(stderr).toContain(`\nExamine the log output in "${sandbox.log}".\n`);
    expect(stderr).not.toMatch(/\n +at /);
    expect(existsSync(sandbox.lockFile)).toBe(false);
  });

  test('a process that ends without a word', async () => {
    const sandbox = new Sandbox();
    for (const [act, how] of [
      ['process.exit(7)', 'exit code 7'],
      ["process.kill(process.pid, 'SIGKILL')", 'signal SIGKILL'],
    ]) {
      sandbox.file('bgworker.config.mjs', `${act};\nawait new Promise(() => {});`);
      const { status, stderr } = await sandbox.run('start', '-D', 'data');
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: `bgworker: could not start postmaster: its process ended before it was ready (${how})\n`,
      });
      expect(existsSync(sandbox.data)).toBe(false);
    }
  });

  test('a data directory in use: the error of the lock file, and the first one runs on', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: [] });
    expect(await sandbox.run('start', '-D', 'data')).toMatchObject({ status: 0 });
    const pid = sandbox.postmasterPid;
    const refusal = `bgworker: lock file "${sandbox.lockFile}" already exists: another postmaster (PID ${pid}) is running`;
    for (const args of [[], ['--foreground']]) {
      const { status, stderr } = await sandbox.run('start', '-D', 'data', ...args);
      expect(status).toBe(1);
      expect(stderr.startsWith(refusal)).toBe(true);
    }
    expect(sandbox.postmasterPid).toBe(pid);
    expect(await sandbox.run('stop', '-D', 'data')).toMatchObject({ status: 0 });
  });

  test('two starts at the same moment: one wins, and keeps its log file', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: ['hello.mjs'] });
    const starts = [1, 2].map(() => sandbox.run('start', '-D', 'data'));
    const statuses = (await Promise.all(starts)).map(({ status }) => status);
    expect(statuses.sort()).toEqual([0, 1]);
    await sandbox.says('hello: on stdout');
    expect(await sandbox.run('stop', '-D', 'data')).toMatchObject({ status: 0 });
  });

  test('a second start while the first one has logged nothing yet', async () => {
    const sandbox = new Sandbox();
    sandbox.file(
      'silent.mjs',
      'export const init = () => new Promise(() => setInterval(() => {}, 60_000));',
    );
    sandbox.file('bgworker.config.mjs', 'export default { preload: ["silent.mjs"] };');
    const first = sandbox.start(['start', '-D', 'data']);
    await first.says('waiting');
    await sandbox.appears(sandbox.lockFile);
    expect(statSync(sandbox.log).size).toBe(0);
    expect(await sandbox.run('start', '-D', 'data')).toMatchObject({ status: 1 });
    expect(existsSync(sandbox.log)).toBe(true);
    expect(await sandbox.run('stop', '-D', 'data')).toMatchObject({ status: 0 });
    expect(await first.ended).toMatchObject({ status: 1 });
  });

  test('a data directory that cannot be one', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: [] });
    const { status, stdout, stderr } = await sandbox.run('start', '-D', 'bgworker.config.mjs');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^bgworker: data directory ".*" is not a directory/);
  });

  test('after a SIGKILL of the postmaster: nothing runs on, and the next start succeeds', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: ['hello.mjs'] });
    expect(await sandbox.run('start', '-D', 'data')).toMatchObject({ status: 0 });
    await sandbox.says('hello: on stdout');
    const first = sandbox.postmasterPid;
    process.kill(first, 'SIGKILL');
    await sandbox.nothingRuns();
    expect(existsSync(sandbox.lockFile)).toBe(true);
    expect(await sandbox.run('status', '-D', 'data')).toMatchObject({ status: 3 });
    for (const command of ['stop', 'reload']) {
      expect(await sandbox.run(command, '-D', 'data')).toMatchObject({
        status: 1,
        stdout: '',
        stderr: `bgworker: old postmaster process (PID: ${first}) seems to be gone\nIs postmaster running?\n`,
      });
    }
    expect(await sandbox.run('start', '-D', 'data')).toMatchObject({ status: 0, stdout: STARTED });
    expect(sandbox.postmasterPid).not.toBe(first);
    expect(await sandbox.run('stop', '-D', 'data')).toMatchObject({ status: 0 });
    expect(existsSync(sandbox.lockFile)).toBe(false);
  });
});

describe('in the foreground', () => {
  const signals: [NodeJS.Signals, string][] = [
    ['SIGTERM', 'smart'],
    ['SIGINT', 'fast'],
    ['SIGQUIT', 'immediate'],
  ];
  test.each(signals)('%s: %s shutdown, exit status 0', async (signal, mode) => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: ['hello.mjs'] });
    const postmaster = sandbox.start(['start', '--foreground', '-D', 'data']);
    await postmaster.says('hello: on stdout');
    expect(sandbox.postmasterPid).toBe(postmaster.process.pid);
    postmaster.process.kill('SIGHUP');
    await postmaster.says('hello: reloaded');
    postmaster.process.kill(signal);
    const { status, stderr } = await postmaster.ended;
    expect(status).toBe(0);
    expect(stderr).toContain(`received ${mode} shutdown request`);
    expect(existsSync(sandbox.lockFile)).toBe(false);
    expect(existsSync(sandbox.log)).toBe(false);
  });

  test('ended before it is ready, on request: exit status 0', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: ['endless-init.mjs'] });
    const postmaster = sandbox.start(['start', '--foreground', '-D', 'data']);
    await postmaster.says('init: begun');
    postmaster.process.kill('SIGTERM');
    expect(await postmaster.ended).toMatchObject({ status: 0 });
  });

  test('a preload module that fails: exit status 1', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: ['broken-init.mjs'], log: { level: 'silent' } });
    const { status, stderr } = await sandbox.run('start', '--foreground', '-D', 'data');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^bgworker: preload module \S+ failed: there is no table today\n$/);
  });

  test('a postmaster that has to give up later: exit status 1', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: ['hello.mjs'], restartAfterCrash: false });
    const postmaster = sandbox.start(['start', '--foreground', '-D', 'data']);
    await postmaster.says('hello: on stdout');
    const [launcher] = childrenOf(sandbox.postmasterPid);
    process.kill(launcher ?? 0, 'SIGKILL');
    const { status, stderr } = await postmaster.ended;
    expect(status).toBe(1);
    expect(stderr).toContain('shutting down because restartAfterCrash is off');
  });

  test('finds no announcement descriptor in its workers’ environment', async () => {
    const sandbox = new Sandbox();
    sandbox.file(
      'workers.mjs',
      `export function init() { console.log('descriptor: ' + process.env.BGWORKER_ANNOUNCE_DESCRIPTOR); }`,
    );
    sandbox.file('bgworker.config.mjs', `export default { preload: ['workers.mjs'] }`);
    expect(await sandbox.run('start', '-D', 'data')).toMatchObject({ status: 0 });
    await sandbox.says('descriptor: undefined');
    expect(await sandbox.run('stop', '-D', 'data')).toMatchObject({ status: 0 });
  });
});

test('an empty or foreign lock file stops a start, and nothing is removed', async () => {
  const sandbox = new Sandbox();
  sandbox.config({ preload: [] });
  mkdirSync(sandbox.data, { mode: 0o700 });
  for (const text of ['', 'hello\n']) {
    writeFileSync(join(sandbox.data, 'postmaster.pid'), text);
    const { status, stderr } = await sandbox.run('start', '-D', 'data');
    expect(status).toBe(1);
    expect(stderr).toMatch(/^bgworker: (lock file ".*" is empty|bogus data in lock file)/);
    expect(readFileSync(sandbox.lockFile, 'utf8')).toBe(text);
  }
});
