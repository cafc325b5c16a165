// Preload modules: what they may leave behind (nothing that a fork would lose), and how they fail.

import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { moduleFile, refusedStart, startPostmaster } from '../harness/postmaster.ts';

const CALM = 'export function init() {}';

/** What init() leaves, and how the error calls it. */
const UNQUIET: readonly (readonly [what: string, body: string, name: RegExp])[] = [
  ['a timer', 'setInterval(() => {}, 1000);', /Timeout/i],
  [
    'a request to the thread pool',
    "const { pbkdf2 } = await import('node:crypto'); pbkdf2('a', 'b', 50_000_000, 64, 'sha512', () => {});",
    /PBKDF2/i,
  ],
  [
    'a file request',
    "const fs = await import('node:fs'); const { execSync } = await import('node:child_process'); execSync('mkfifo ' + import.meta.dirname + '/fifo'); fs.open(import.meta.dirname + '/fifo', () => {});",
    /FSReq/i,
  ],
  [
    'a server',
    "const net = await import('node:net'); await new Promise((resolve) => net.createServer().listen(0, '127.0.0.1', resolve));",
    /TCPServerWrap/i,
  ],
  [
    'a server on a Unix socket',
    "const net = await import('node:net'); await new Promise((resolve) => net.createServer().listen(import.meta.dirname + '/socket', resolve));",
    /Pipe/i,
  ],
  [
    'a thread',
    "const { Worker } = await import('node:worker_threads'); const worker = new Worker('setInterval(() => {}, 1000)', { eval: true }); await new Promise((resolve) => worker.once('online', resolve));",
    /thread \d+|Worker|MessagePort/,
  ],
  [
    'a thread that does not hold the loop open',
    "const { Worker } = await import('node:worker_threads'); const worker = new Worker('setInterval(() => {}, 1000)', { eval: true }); await new Promise((resolve) => worker.once('online', resolve)); worker.unref();",
    /thread \d+/,
  ],
  [
    'a child process',
    "const { spawn } = await import('node:child_process'); spawn('sleep', ['1000'], { stdio: 'ignore' });",
    /ProcessWrap/i,
  ],
  [
    'a watch of a file',
    "const fs = await import('node:fs'); fs.watch(import.meta.dirname);",
    /FSEvent/i,
  ],
  [
    'a UDP socket',
    "const dgram = await import('node:dgram'); await new Promise((resolve) => dgram.createSocket('udp4').bind(0, '127.0.0.1', resolve));",
    /UDP/i,
  ],
];

describe('what a fork would lose is refused', () => {
  test.each(UNQUIET)('%s', async (_what, body, name) => {
    const module = moduleFile(
      `export async function init() { ${dirnameOf20} ${body.replaceAll('import.meta.dirname', 'dirname')} }`,
    );
    const { refusal, program } = await refusedStart({ preload: [module] });
    expect(refusal.code).toBe('ERR_PRELOAD_NOT_QUIET');
    expect(refusal.message).toContain(module); // which
    expect(refusal.message).toMatch(name); // what
    expect(refusal.message).toMatch(/start it in main\(\)|declare `export const launch = 'exec'`/);
    expect(await program.exited).toEqual({ code: 1, signal: null });
  });

  test('of two modules, the one that did it is named', async () => {
    const calm = moduleFile(CALM, 'calm.mjs');
    const restless = moduleFile(
      'export function init() { setInterval(() => {}, 1e6); }',
      'restless.mjs',
    );
    const { refusal } = await refusedStart({ preload: [calm, restless] });
    expect(refusal.message).toContain('restless.mjs');
    expect(refusal.message).not.toContain('calm.mjs');
  });

  test('what is over when init() is over is nobody’s business', async () => {
    const module = moduleFile(`
      import { readFile } from 'node:fs/promises';
      import { lookup } from 'node:dns/promises';
      import { execFileSync } from 'node:child_process';
      import { pbkdf2, pbkdf2Sync, randomBytes, randomFillSync, scryptSync } from 'node:crypto';
      import { createServer } from 'node:net';
      import { gzipSync } from 'node:zlib';
      const kept = [];
      export async function init(server) {
        await new Promise((resolve) => pbkdf2('a', 'b', 1, 8, 'sha1', resolve));
        const listener = createServer();
        await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve));
        listener.close();
        kept.push(listener);
        await readFile('/etc/hostname');
        await lookup('localhost');
        execFileSync('true');
        clearTimeout(setTimeout(() => {}, 1e6));
        await new Promise((resolve) => setTimeout(resolve, 5));
        server.registerBackgroundWorker({ name: 'one', main: () => process.exit(7), restartTime: 'never' });
        // Answered at once, each by an object that looks like a pending request until it is garbage.
        kept.push(pbkdf2Sync('a', 'b', 1, 8, 'sha1'), scryptSync('a', 'b', 8), gzipSync('text'));
        kept.push(randomBytes(8), randomFillSync(new Uint8Array(8)), Math.random());
      }`);
    const postmaster = await startPostmaster({ preload: [module] });
    expect(await postmaster.exitOf('one')).toMatchObject({ how: 'code 7' });
    await postmaster.stop();
  });

  test("who declares launch = 'exec' may keep threads; the log says why it is slower", async () => {
    const module = moduleFile(`
      import { Worker } from 'node:worker_threads';
      export const launch = 'exec';
      export async function init(server) {
        const worker = new Worker("require('node:worker_threads').parentPort.on('message', (n) => process.exit(n))", { eval: true });
        worker.unref();
        server.registerBackgroundWorker({
          name: 'one',
          restartTime: 'never',
          async main() {
            worker.ref();
            worker.postMessage(7);
            process.exitCode = await new Promise((resolve) => worker.once('exit', resolve));
          },
        });
      }`);
    const postmaster = await startPostmaster({ preload: [module] });
    await postmaster.logged(
      /WARN.*exec of a fresh node.*because .*module\.mjs declared launch = 'exec'/,
    );
    expect(await postmaster.exitOf('one')).toMatchObject({ how: 'code 7' });
    await postmaster.stop();
  });
});

const dirnameOf20 =
  "const { dirname: parent } = await import('node:path'); const { fileURLToPath } = await import('node:url'); const dirname = parent(fileURLToPath(import.meta.url));";

describe('a module that fails', () => {
  const FAILING: readonly (readonly [what: string, source: string, message: RegExp])[] = [
    ['has no init', 'export const other = 1;', /exports no function "init", only other/],
    ['exports nothing', '', /exports no function "init", only nothing/],
    ['has an init that is no function', 'export const init = 1;', /exports no function "init"/],
    ['throws', "export function init() { throw new Error('broken'); }", /failed: broken/],
    ['throws what is no error', "export function init() { throw 'a text'; }", /failed: a text/],
    ['throws null', 'export function init() { throw null; }', /failed: null/],
    [
      'rejects',
      "export async function init() { await null; throw new Error('broken'); }",
      /failed: broken/,
    ],
    ['throws when loaded', "throw new Error('unloadable');", /failed: unloadable/],
    ['is not JavaScript', 'export function init( {', /failed: .*(Unexpected|missing)/],
    [
      'imports what is not there',
      "import 'no-such-package-bgworker'; export function init() {}",
      /no-such-package-bgworker/,
    ],
  ];

  test.each(FAILING)('%s', async (_what, source, message) => {
    const module = moduleFile(source);
    const { refusal, program } = await refusedStart({ preload: [module] });
    expect(refusal.code).toBe('ERR_PRELOAD_FAILED');
    expect(refusal.message).toContain(module);
    expect(refusal.message).toMatch(message);
    expect(await program.exited).toEqual({ code: 1, signal: null });
  });

  test('is not there', async () => {
    const { refusal } = await refusedStart({ preload: ['/no/such/module.mjs'] });
    expect(refusal).toMatchObject({ code: 'ERR_PRELOAD_FAILED' });
    expect(refusal.message).toMatch(/\/no\/such\/module\.mjs failed: there is no such file/);
  });

  test('leaves the process: it is named', async () => {
    const module = moduleFile('export function init() { process.exit(3); }');
    const { refusal } = await refusedStart({ preload: [module] });
    expect(refusal).toMatchObject({ code: 'ERR_PRELOAD_FAILED' });
    expect(refusal.message).toContain(module);
    expect(refusal.message).toMatch(/exit code 3/);
  });

  test('never comes back: startTimeout', async () => {
    const module = moduleFile(
      'export async function init() { setInterval(() => {}, 1000); await new Promise(() => {}); }',
    );
    const { refusal, program } = await refusedStart({ preload: [module], startTimeout: 1 });
    expect(refusal).toMatchObject({ code: 'ERR_START_TIMEOUT' });
    expect(refusal.message).toMatch(/within 1 s \(startTimeout\); it was in phase INIT/);
    expect(await program.exited).toMatchObject({ signal: null });
  });

  test('waits for what never comes, with nothing to wait for: it is said, not waited for', async () => {
    const module = moduleFile('export async function init() { await new Promise(() => {}); }');
    const { refusal } = await refusedStart({ preload: [module] });
    expect(refusal.code).toMatch(/^ERR_(LAUNCHER|PRELOAD)_FAILED$/);
  });

  test('never comes back, and the caller has enough', async () => {
    const module = moduleFile('export function init() { for (;;); }');
    const { refusal } = await refusedStart({ preload: [module], abortStartAfterMs: 500 });
    expect(refusal.code).toBe('TimeoutError');
  });
});

describe('every dialect registers', () => {
  const REGISTER =
    "server.registerBackgroundWorker({ name: 'one', main: () => process.exit(7), restartTime: 'never' });";
  test.each([
    ['module.cjs', `exports.init = (server) => { ${REGISTER} };`],
    ['module.mjs', `await null; export async function init(server) { await null; ${REGISTER} }`],
    [
      'module.ts',
      `interface Unused { a: string }\nenum Kind { One = 7 }\nexport function init(server: any): void { void Kind.One; ${REGISTER} }`,
    ],
    [
      'module.mts',
      `export async function init(server: any): Promise<void> { await (null as unknown); ${REGISTER} }`,
    ],
    ['module.cts', `exports.init = (server: any): void => { ${REGISTER} };`],
    ['dots and blanks %41 #?.mjs', `export function init(server) { ${REGISTER} }`],
  ])('%s', async (name, source) => {
    const postmaster = await startPostmaster({ preload: [moduleFile(source, name)] });
    expect(await postmaster.exitOf('one')).toMatchObject({ how: 'code 7' });
    await postmaster.stop();
  });

  test('TypeScript that imports TypeScript, and a file: URL', async () => {
    const file = moduleFile(
      "import { code } from './other.ts';\nexport function init(server: any): void { server.registerBackgroundWorker({ name: 'one', main: () => process.exit(code), restartTime: 'never' }); }",
      'module.ts',
    );
    writeFileSync(join(dirname(file), 'other.ts'), 'export const code: number = 7;');
    const postmaster = await startPostmaster({ preload: [pathToFileURL(file).href] });
    expect(await postmaster.exitOf('one')).toMatchObject({ how: 'code 7' });
    await postmaster.stop();
  });
});

test('registering after init() is an error that names the worker, the rule and the remedy', async () => {
  const module = moduleFile(`
    let kept;
    export function init(server) {
      kept = server;
      server.registerBackgroundWorker({
        name: 'one',
        restartTime: 'never',
        main() { kept.registerBackgroundWorker({ name: 'too late', main() {} }); },
      });
    }`);
  const postmaster = await startPostmaster({ preload: [module] });
  expect(await postmaster.exitOf('one')).toMatchObject({ how: 'code 1' });
  await postmaster.logged(
    /ERROR.*background worker "too late": static workers are registered in init\(\)/,
  );
  await postmaster.stop();
});

test('bad registrations are logged and dropped, and so is one too many; the others run', async () => {
  const module = moduleFile(`
    export function init(server) {
      const main = () => process.exit(7);
      server.registerBackgroundWorker({ name: 'bad interval', main, restartTime: -2 });
      server.registerBackgroundWorker({ name: 'n'.repeat(200), main });
      server.registerBackgroundWorker({ name: 'no body' });
      server.registerBackgroundWorker({ name: 'two bodies', main, exec: ['true'] });
      server.registerBackgroundWorker({ name: 'typo', main, restratTime: 1 });
      server.registerBackgroundWorker({ name: 'bad arg', main, arg: () => {} });
      server.registerBackgroundWorker({ name: 'bad main', main: 'text' });
      server.registerBackgroundWorker(null);
      server.registerBackgroundWorker({ name: 'good', main, restartTime: 'never' });
      server.registerBackgroundWorker({ name: 'one too many', main });
    }`);
  const postmaster = await startPostmaster({ preload: [module], maxWorkerProcesses: 1 });
  expect(await postmaster.exitOf('good')).toMatchObject({ how: 'code 7' });
  for (const pattern of [
    /ERROR.*"bad interval": restartTime must be 'never' or .*, got -2/,
    /ERROR.*name must .*95/,
    /ERROR.*"no body": must say what to run/,
    /ERROR.*"two bodies": must have one of/,
    /ERROR.*"typo": there is no option "restratTime"; did you mean "restartTime"/,
    /ERROR.*"bad arg": arg must be structured-cloneable/,
    /ERROR.*"bad main": main must be a function/,
    /ERROR.*background worker.*must be an object.*null/,
    /ERROR.*"one too many": too many background workers; up to 1 .* consider raising maxWorkerProcesses/,
  ]) {
    await postmaster.logged(pattern, { withinMs: 1000 });
  }
  expect(postmaster.all('start').map(({ name }) => name)).toEqual(['good']);
  await postmaster.stop();
});
