// `bgworker stop`, `reload` and `status` against what they may find in a data directory.

import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fixturePath, Sandbox } from '../harness/cli.ts';

// A busy machine makes more dots.
const STOPPED = expect.stringMatching(
  /^waiting for postmaster to shut down\.{4,} done\npostmaster stopped\n$/,
);

describe('stop', () => {
  test.each(['smart', 'fast', 'immediate', 's', 'f', 'i'])('-m %s', async (mode) => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: ['hello.mjs'] });
    const postmaster = sandbox.start(['start', '--foreground', '-D', 'data']);
    await postmaster.says('hello: on stdout');
    expect(await sandbox.run('stop', '-D', 'data', '-m', mode)).toMatchObject({
      status: 0,
      stdout: STOPPED,
      stderr: '',
    });
    const { status, stderr } = await postmaster.ended;
    expect(status).toBe(0);
    expect(stderr).toMatch(new RegExp(`received ${mode}\\w* shutdown request`));
  });

  test('a worker that does not obey: a timeout, the status meanwhile, and a stronger mode', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: ['stubborn.mjs'] });
    const postmaster = sandbox.start(['start', '--foreground', '-D', 'data']);
    await postmaster.says('stubborn: here');
    const pid = sandbox.postmasterPid;
    const smart = await sandbox.run('stop', '-D', 'data', '-m', 'smart', '-t', '1');
    expect(smart.status).toBe(1);
    expect(smart.stdout).toMatch(/^waiting for postmaster to shut down\.{4,} stopped waiting\n$/);
    expect(smart.stderr).toMatch(
      new RegExp(
        `^bgworker: postmaster \\(PID: ${pid}\\) does not shut down; it was given 1 s\n` +
          'HINT: The "-m fast" option [^\n]*\n$',
      ),
    );
    await postmaster.says('stubborn: no');
    expect((await sandbox.run('status', '-D', 'data')).stdout).toContain('status: stopping');
    const immediate = await sandbox.run('stop', '-D', 'data', '-m', 'immediate');
    expect(immediate).toMatchObject({ status: 0, stdout: STOPPED });
    expect(await postmaster.ended).toMatchObject({ status: 0 });
  });

  test('-W is back while it still stops', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: ['stubborn.mjs'] });
    const postmaster = sandbox.start(['start', '--foreground', '-D', 'data']);
    await postmaster.says('stubborn: here');
    expect(await sandbox.run('stop', '-D', 'data', '-W')).toMatchObject({
      status: 0,
      stdout: 'postmaster shutting down\n',
      stderr: '',
    });
    await postmaster.says('stubborn: no');
    expect(existsSync(sandbox.lockFile)).toBe(true);
    expect(await sandbox.run('stop', '-D', 'data', '-m', 'i')).toMatchObject({ status: 0 });
    await postmaster.ended;
  });

  test('an application without a handler is ended, and the next start replaces its file', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: [] });
    const application = sandbox.node([fixturePath('application.mjs'), sandbox.data, 'default']);
    await application.says('application: ready');
    expect(await sandbox.run('stop', '-D', 'data')).toMatchObject({
      status: 0,
      stdout: STOPPED,
      stderr: `bgworker: it ended without removing "${sandbox.lockFile}"; the next start replaces the file\n`,
    });
    expect(await application.ended).toMatchObject({ signal: 'SIGINT' });
    expect(await sandbox.run('start', '-D', 'data')).toMatchObject({ status: 0 });
    expect(await sandbox.run('stop', '-D', 'data')).toMatchObject({ status: 0, stderr: '' });
  });

  test('an application that ends its postmaster, not itself, is stopped as well', async () => {
    const sandbox = new Sandbox();
    const application = sandbox.node([fixturePath('application.mjs'), sandbox.data, 'lives on']);
    await application.says('application: ready');
    expect(await sandbox.run('stop', '-D', 'data')).toMatchObject({
      status: 0,
      stdout: STOPPED,
      stderr: `bgworker: process ${application.process.pid} has ended its postmaster and goes on with something else\n`,
    });
    application.process.stdin?.end();
    expect(await application.ended).toMatchObject({ status: 0 });
  });
});

describe('nothing to speak to', () => {
  interface Finding {
    readonly prepare: (sandbox: Sandbox) => void;
    /** What stop and reload say, with exit status 1. */
    readonly sentence: (sandbox: Sandbox) => string;
    readonly status: number;
  }
  const lockFileWith = (text: string) => (sandbox: Sandbox) => {
    mkdirSync(sandbox.data);
    writeFileSync(sandbox.lockFile, text);
  };
  const invalid = ({ lockFile }: Sandbox) => `invalid data in PID file "${lockFile}"`;
  const gone = () =>
    'old postmaster process (PID: 4194304) seems to be gone\nIs postmaster running?';
  const found: Readonly<Record<string, Finding>> = {
    'an empty directory': {
      prepare: ({ data }) => mkdirSync(data),
      sentence: ({ lockFile }) => `PID file "${lockFile}" does not exist\nIs postmaster running?`,
      status: 3,
    },
    'no directory': {
      prepare: () => {},
      sentence: ({ data }) => `directory "${data}" does not exist`,
      status: 4,
    },
    'a file': {
      prepare: (sandbox) => sandbox.file('data', ''),
      sentence: ({ data }) => `could not access directory "${data}": ENOTDIR`,
      status: 4,
    },
    // No pid is as high as that: PID_MAX_LIMIT.
    'a dead postmaster': { prepare: lockFileWith('4194304\n'), sentence: gone, status: 3 },
    'an empty lock file': { prepare: lockFileWith(''), sentence: invalid, status: 1 },
    'a bogus lock file': { prepare: lockFileWith('hello\n'), sentence: invalid, status: 1 },
  };
  const table = Object.entries(found);

  test.each(table)('%s', async (_name, { prepare, sentence, status }) => {
    const sandbox = new Sandbox();
    prepare(sandbox);
    for (const command of ['stop', 'reload']) {
      const result = await sandbox.run(command, '-D', 'data');
      expect(result).toMatchObject({ status: 1, stdout: '' });
      expect(result.stderr.startsWith(`bgworker: ${sentence(sandbox)}`)).toBe(true);
    }
    const result = await sandbox.run('status', '-D', 'data');
    expect(result.status).toBe(status);
    if (status === 3) expect(result.stdout).toBe('bgworker: no postmaster running\n');
    else expect(result.stderr.startsWith(`bgworker: ${sentence(sandbox)}`)).toBe(true);
  });

  const NOBODY = 65_534;
  test.runIf(process.getuid?.() === 0)('a directory that is closed to us', async ({ skip }) => {
    const sandbox = new Sandbox();
    mkdirSync(sandbox.data, { mode: 0o700 });
    chmodSync(sandbox.directory, 0o755);
    const asNobody = (...args: string[]) => sandbox.runWith({ uid: NOBODY }, ...args);
    // A checkout below root's home is not readable for anybody else.
    if ((await asNobody('--version')).status !== 0) skip();
    const { status, stderr } = await asNobody('status', '-D', sandbox.data);
    expect(status).toBe(4);
    expect(stderr).toContain(`could not access directory "${sandbox.data}": EACCES`);
  });
});

describe('the program', () => {
  test('answers on stdout, complains on stderr with a hint', async () => {
    const sandbox = new Sandbox();
    expect(await sandbox.run('--version')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^bgworker \d+\.\d+\.\d+\n$/),
      stderr: '',
    });
    for (const args of [['--help'], ['help'], ['help', 'stop'], ['stop', '--help']]) {
      const { status, stdout, stderr } = await sandbox.run(...args);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toContain('Usage:\n  bgworker st');
    }
    expect(await sandbox.run()).toMatchObject({
      status: 1,
      stdout: '',
      stderr: 'bgworker: no operation specified\nTry "bgworker --help" for more information.\n',
    });
    expect(await sandbox.run('stop', '--mod', 'fast')).toMatchObject({
      status: 1,
      stdout: '',
      stderr:
        'bgworker: unrecognized option --mod; did you mean --mode?\nTry "bgworker stop --help" for more information.\n',
    });
    expect(await sandbox.run('status')).toMatchObject({ status: 1, stdout: '' });
  });

  // A time would depend on who else uses the machine; what is loaded does not.
  test('status is quick: it loads nothing that only a start needs', async () => {
    const sandbox = new Sandbox();
    mkdirSync(sandbox.data);
    const coverage = join(sandbox.directory, 'coverage');
    const env = { NODE_V8_COVERAGE: coverage };
    expect(await sandbox.runWith({ env }, 'status', '-D', 'data')).toMatchObject({ status: 3 });
    const [report] = readdirSync(coverage);
    const { result } = JSON.parse(readFileSync(join(coverage, report ?? ''), 'utf8'));
    const loaded: string[] = result.map(({ url }: { url: string }) => url);
    expect(loaded.some((url) => url.endsWith('/chunks/status.js'))).toBe(true);
    const parts =
      'commands?|data-directory|errors|lock-file|lookup|messages\\d*|output|package-files|status';
    const allowed = new RegExp(`/dist/bundle/(cli|chunks/(${parts}))\\.js$`);
    expect(loaded.filter((url) => url.startsWith('file:') && !allowed.test(url))).toEqual([]);
  });

  test('does its work although nobody reads what it says', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ preload: [] });
    const start = sandbox.start(['start', '-D', 'data']);
    start.process.stdout?.destroy();
    start.process.stderr?.destroy();
    expect(await start.ended).toMatchObject({ status: 0 });
    expect(await sandbox.run('stop', '-D', 'data')).toMatchObject({ status: 0 });
  });
});
