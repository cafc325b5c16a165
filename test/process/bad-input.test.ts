// What users get wrong once everything is installed: a clear error, and nothing left behind.

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Part } from '../fixtures/process/script.ts';
import { compileNative } from '../harness/native-library.ts';
import {
  moduleFile,
  PostmasterProgram,
  refusedStart,
  startPostmaster,
  temporaryDirectory,
} from '../harness/postmaster.ts';
import { Program } from '../harness/program.ts';

test('start() twice: the second is an error, the first goes on', async () => {
  const postmaster = new PostmasterProgram({ cast: [{ name: 'one', main: 'idle' }], starts: 2 });
  expect(await postmaster.until('refused')).toMatchObject({
    code: 'ERR_WRONG_STATE',
    message: expect.stringMatching(/start\(\) can be called once/),
  });
  await postmaster.until('started');
  await postmaster.heard('one', 'idle');
  await postmaster.stop();
});

describe('a worker that cannot begin', () => {
  const emptyModule = 'export const other = 1;';
  const cases: readonly (readonly [what: string, part: () => Omit<Part, 'name'>, log: RegExp])[] = [
    [
      'module is not there',
      () => ({ module: '/no/such/file.mjs' }),
      /failed: Cannot find module '\/no\/such\/file\.mjs'/,
    ],
    [
      'package is not there',
      () => ({ module: 'no-such-package-bgworker' }),
      /failed: Cannot find module 'no-such-package-bgworker'/,
    ],
    [
      'function is not there',
      () => ({ module: moduleFile(emptyModule) }),
      /has no function "main"; it exports other/,
    ],
    [
      'function is none',
      () => ({ module: moduleFile(emptyModule), function: 'other' }),
      /has no function "other"/,
    ],
    ['module does not parse', () => ({ module: moduleFile('export {') }), /failed: Unexpected/],
    [
      'library is not there',
      () => ({ native: { library: '/no/such/library.so', function: 'main' } }),
      /failed: \/no\/such\/library\.so: cannot open shared object file/,
    ],
    [
      'library is none',
      () => ({ native: { library: moduleFile('no ELF', 'text.so'), function: 'main' } }),
      /failed: .*text\.so: .*(invalid ELF header|file too short)/,
    ],
    [
      'C function is not there',
      () => ({
        native: {
          library: compileNative('int other(void) { return 0; }'),
          function: 'main_function',
        },
      }),
      /failed: .*undefined symbol: main_function/,
    ],
  ];

  test.each(['fork', 'exec'] as const)(
    'says what is missing and leaves with 1 (%s)',
    async (launch) => {
      const postmaster = await startPostmaster({
        cast: cases.map(([name, part]) => ({
          name,
          ...part(),
          launch,
          restartTime: 'never' as const,
        })),
      });
      const exits = await postmaster.count('exit', cases.length);
      expect(exits.map(({ name, how }) => [name, how]).sort()).toEqual(
        cases.map(([name]) => [name, 'code 1']).sort(),
      );
      for (const [name, , log] of cases) {
        expect(await postmaster.logged(log, { withinMs: 1000 })).toContain(`"${name}"`);
      }
      await postmaster.stop();
    },
  );

  test('a program that cannot be executed: the call and the reason', async () => {
    const plain = moduleFile('echo not executable', 'plain.sh');
    const directory = temporaryDirectory();
    const noInterpreter = moduleFile('#!/no/such/interpreter\n', 'script');
    chmodSync(noInterpreter, 0o755);
    const postmaster = await startPostmaster({
      cast: [
        { name: 'missing', exec: ['/no/such/program'], restartTime: 'never' },
        { name: 'not in PATH', exec: ['no-such-program-bgworker'], restartTime: 'never' },
        { name: 'plain', exec: [plain], restartTime: 'never' },
        { name: 'directory', exec: [directory], restartTime: 'never' },
        { name: 'interpreter', exec: [noInterpreter], restartTime: 'never' },
        { name: 'good', exec: ['sleep', '1000'] },
      ],
    });
    await postmaster.startOf('good');
    for (const [name, why] of [
      ['missing', 'ENOENT'],
      ['not in PATH', 'ENOENT'],
      ['plain', 'EACCES'],
      ['directory', 'EACCES'],
      ['interpreter', 'ENOENT'],
    ]) {
      await postmaster.logged(
        new RegExp(`could not start background worker "${name}" \\(.*\\): execve: ${why}`),
        { withinMs: 1000 },
      );
    }
    expect((await postmaster.workers()).map(({ name }) => name)).toEqual(['good']);
    await postmaster.stop();
  });

  test('a program that is missing is tried again after restartTime', async () => {
    const program = join(temporaryDirectory(), 'program');
    const postmaster = await startPostmaster({
      cast: [{ name: 'one', exec: [program], restartTime: 1 }],
    });
    await postmaster.logged(/could not start background worker "one"/);
    writeFileSync(program, '#!/bin/sh\nexec sleep 1000\n', { mode: 0o755 });
    await postmaster.startOf('one');
    await postmaster.stop();
  });
});

describe('the data directory', () => {
  test('is in use: by whom, and what to do; the other is not disturbed', async () => {
    const first = await startPostmaster({ cast: [{ name: 'one', main: 'idle' }] });
    const { dataDirectory } = first;
    const { refusal, program } = await refusedStart({ dataDirectory });
    expect(refusal.code).toBe('ERR_LOCK_FILE');
    expect(refusal.message).toContain(`PID ${first.pid}`);
    expect(refusal.message).toContain(dataDirectory);
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(existsSync(join(dataDirectory, 'postmaster.pid'))).toBe(true);
    await first.stop();
    const next = await startPostmaster({ dataDirectory });
    await next.stop();
  });

  test('is a file', async () => {
    const { refusal } = await refusedStart({ dataDirectory: moduleFile('text', 'file') });
    expect(refusal.code).toBe('ERR_DATA_DIRECTORY');
    expect(refusal.message).toMatch(/is not a directory/);
  });

  test('lies below a file', async () => {
    const { refusal } = await refusedStart({
      dataDirectory: join(moduleFile('text', 'file'), 'data'),
    });
    expect(refusal.code).toBe('ERR_DATA_DIRECTORY');
  });

  test('is open to others', async () => {
    const dataDirectory = join(temporaryDirectory(), 'data');
    mkdirSync(dataDirectory);
    writeFileSync(join(dataDirectory, 'something'), '');
    chmodSync(dataDirectory, 0o777);
    const { refusal } = await refusedStart({ dataDirectory });
    expect(refusal.code).toBe('ERR_DATA_DIRECTORY');
    expect(refusal.message).toMatch(/invalid permissions 0777.*chmod 0700/);
    expect(readdirSync(dataDirectory)).toEqual(['something']);
  });

  test.skipIf(process.getuid?.() !== 0)('cannot be written, or is somebody else’s', () => {
    const root = temporaryDirectory();
    chmodSync(root, 0o755);
    const supervisor = (dataDirectory: string) =>
      spawnSync(process.execPath, ['-e', asNobody, '--', JSON.stringify({ dataDirectory })], {
        encoding: 'utf8',
        cwd: process.cwd(),
      }).stdout;
    expect(supervisor(join(root, 'data'))).toMatch(
      /ERR_DATA_DIRECTORY could not create data directory.*(EACCES|permission denied)/,
    );
    mkdirSync(join(root, 'foreign'));
    expect(supervisor(join(root, 'foreign'))).toMatch(
      /ERR_DATA_DIRECTORY data directory .* wrong ownership: it belongs to uid 0, this process runs as uid 65534/,
    );
  });
});

/** Loads the library as root, who may read it, and is nobody from then on. */
const asNobody = `
  import('bgworker').then(async ({ Postmaster }) => {
    process.setgid(65534); process.setuid(65534);
    const postmaster = new Postmaster(JSON.parse(process.argv.at(-1)));
    await postmaster.start().then(() => postmaster.stop(), (error) => console.log(error.code, error.message));
  });`;

test('a log whose reader is gone ends nobody', async () => {
  const postmaster = await startPostmaster({
    cast: [
      { name: 'one', main: 'idle' },
      { name: 'restless', main: 'exit1', restartTime: 0 },
    ],
  });
  await postmaster.heard('one', 'idle');
  const after = postmaster.mark();
  postmaster.closeLog();
  await postmaster.count('exit', 20, ({ name }) => name === 'restless', { after });
  expect(postmaster.all('exit').filter(({ name }) => name === 'one')).toEqual([]);
  await postmaster.stop();
});

test('a listener that throws is its owner’s affair: start() resolves, and stop() works', async () => {
  const library = new URL('../../dist/bundle/index.js', import.meta.url).href;
  const file = moduleFile(`
    import { Postmaster } from ${JSON.stringify(library)};
    process.on('uncaughtException', () => {});
    const postmaster = new Postmaster({ dataDirectory: process.argv[2], startTimeout: 5 });
    postmaster.on('phase', (phase) => { throw new Error(phase); });
    await postmaster.start();
    console.log('{"kind":"started"}');
    await postmaster.stop();
    console.log('{"kind":"stopped","mode":"fast","lockFile":false}');`);
  const program = new Program(file, [join(temporaryDirectory(), 'data')]);
  await program.until('started');
  await program.until('stopped');
  expect(await program.end()).toEqual({ code: 0, signal: null });
});
