// The configuration file: every form that is taken, and one sentence for every way to get it wrong.

import { existsSync, mkdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fixturePath, Sandbox } from '../harness/cli.ts';

const PRELOAD = `preload: [${JSON.stringify(fixturePath('hello.mjs'))}]`;

describe('is taken as', () => {
  const table: [name: string, text: string][] = [
    ['bgworker.config.mjs', `export default { ${PRELOAD} };`],
    ['bgworker.config.ts', `const options: object = { ${PRELOAD} };\nexport default options;`],
    ['bgworker.config.js', `module.exports = { ${PRELOAD} };`],
    ['bgworker.config.mjs', `export default () => ({ ${PRELOAD} });`],
    ['bgworker.config.ts', `export default async (): Promise<object> => ({ ${PRELOAD} });`],
    ['bgworker.config.js', `module.exports = async () => ({ ${PRELOAD} });`],
    // What the command line says counts more than what the file says.
    ['bgworker.config.mjs', `export default { dataDirectory: '/dev/null/x', ${PRELOAD} };`],
    ['bgworker.config.mjs', `export default { handleSignals: false, ${PRELOAD} };`],
  ];
  test.each(table)('%s: %s', async (name, text) => {
    const sandbox = new Sandbox();
    sandbox.file(name, text);
    const postmaster = sandbox.start(['start', '--foreground', '-D', 'data']);
    await postmaster.says('hello: on stdout');
    postmaster.process.kill('SIGINT');
    expect(await postmaster.ended).toMatchObject({ status: 0 });
  });

  test('the first of .ts, .js and .mjs', async () => {
    const sandbox = new Sandbox();
    for (const suffix of ['mjs', 'js', 'ts']) {
      const file = sandbox.file(`bgworker.config.${suffix}`, `throw new Error('${suffix}');`);
      const { status, stderr } = await sandbox.run('start', '--foreground', '-D', 'data');
      expect(status).toBe(1);
      expect(stderr).toBe(`bgworker: configuration file "${file}", line 1: ${suffix}\n`);
    }
  });

  test('the place of the data directory, if nothing else says it', async () => {
    const sandbox = new Sandbox();
    sandbox.config({ dataDirectory: 'data', preload: [] });
    expect(await sandbox.run('start')).toMatchObject({ status: 0, stderr: '' });
    expect(existsSync(sandbox.log)).toBe(true);
    expect(await sandbox.runWith({ env: { BGWORKER_DATA: 'data' } }, 'stop')).toMatchObject({
      status: 0,
    });
  });
});

describe('is refused in one sentence:', () => {
  const table: [name: string, text: string, sentence: string][] = [
    ['a.mjs', 'export default {\n  preload: [\n  foo bar\n};', ', line 3: Unexpected identifier'],
    ['a.ts', 'export default {\n  preload: [\n  foo bar\n};', ', line 3: Unexpected token'],
    ['a.js', 'module.exports = {\n  preload: [\n  foo bar\n};', ', line 3: Unexpected identifier'],
    ['a.mjs', 'import "./b.mjs";\nexport default {};', ': Cannot find module'],
    [
      'a.mjs',
      'import "nosuchpackage";\nexport default {};',
      ": Cannot find package 'nosuchpackage'",
    ],
    ['a.mjs', 'export const preload = [], x = 1;', ' has no default export; it exports preload, x'],
    ['a.ts', '', ' has no default export; it exports nothing'],
    ['a.mjs', '\n\nthrow new Error("no\\nsecond line")', ', line 3: no'],
    ['a.ts', 'const a: 5 = 5;\nthrow new Error("no")', ', line 2: no'],
    ['a.mjs', 'throw 5', ': it threw 5'],
    ['a.mjs', 'export default () => { throw new Error("no"); }', ', line 1: no'],
    ['a.mjs', 'export default async () => { throw new Error("no"); }', ', line 1: no'],
    ['a.mjs', 'export default 5', ': the default export must be an object of postmaster options'],
    ['a.mjs', 'export default null', 'or a function that returns one, got null'],
    ['a.mjs', 'export default []', 'or a function that returns one, got []'],
    ['a.mjs', 'export default () => {}', 'or a function that returns one, got undefined'],
    ['a.mjs', 'export default { preloads: [] }', 'no option "preloads"; did you mean "preload"?'],
    ['a.mjs', 'export default { maxWorkerProcesses: "8" }', 'maxWorkerProcesses must be a whole'],
    ['a.mjs', 'export default { launch: "spoon" }', "launch must be 'fork' or 'exec', got 'spoon'"],
    [
      'a.mjs',
      'export default { dataDirectory: 5, preload: 5 }',
      'preload must be a list of modules',
    ],
  ];
  test.each(table)('%s %j', async (name, text, sentence) => {
    const sandbox = new Sandbox();
    const file = sandbox.file(name, text);
    const { status, stderr, stdout } = await sandbox.run(
      ...['start', '--foreground', '-c', name, '-D', 'data'],
    );
    expect(stderr).toContain(`bgworker: configuration file "${file}"`);
    expect(stderr).toContain(sentence);
    expect(stderr.split('\n')).toHaveLength(2);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(existsSync(sandbox.data)).toBe(false);
  });

  test('a file that is not there', async () => {
    const sandbox = new Sandbox();
    const named = await sandbox.run('start', '-D', 'data', '-c', 'no.mjs');
    expect(named).toMatchObject({ status: 1, stdout: '' });
    expect(named.stderr).toMatch(
      /^bgworker: could not read configuration file ".*no\.mjs": ENOENT/,
    );
    const unnamed = await sandbox.run('start', '-D', 'data');
    expect(unnamed).toMatchObject({ status: 1, stdout: '' });
    expect(unnamed.stderr).toContain(
      `no configuration file in "${sandbox.directory}" (bgworker.config.ts, bgworker.config.js, bgworker.config.mjs)`,
    );
    expect(existsSync(sandbox.data)).toBe(false);
  });

  test('a directory', async () => {
    const sandbox = new Sandbox();
    mkdirSync(`${sandbox.directory}/dir`);
    const { status, stderr } = await sandbox.run('start', '-D', 'data', '-c', 'dir');
    expect(status).toBe(1);
    expect(stderr).toBe(
      `bgworker: could not read configuration file "${sandbox.directory}/dir": it is a directory\n`,
    );
  });

  test('no data directory anywhere', async () => {
    const sandbox = new Sandbox();
    sandbox.file('bgworker.config.mjs', 'export default {}');
    for (const args of [['start'], ['start', '--foreground']]) {
      const { status, stderr } = await sandbox.run(...args);
      expect(status).toBe(1);
      expect(stderr).toMatch(/^bgworker: no data directory specified: neither -D DIR.*\n$/);
    }
  });

  test('also by a start in the background, which leaves no directory', async () => {
    const sandbox = new Sandbox();
    const file = sandbox.file('bgworker.config.mjs', 'export default { preloads: [] }');
    const { status, stdout, stderr } = await sandbox.run('start', '-D', 'data');
    expect({ status, stdout, stderr }).toEqual({
      status: 1,
      stdout: expect.stringMatching(/^waiting for postmaster to start\.{4,} stopped waiting\n$/),
      stderr: `bgworker: configuration file "${file}": postmaster options: there is no option "preloads"; did you mean "preload"?\n`,
    });
    expect(existsSync(sandbox.data)).toBe(false);
  });

  test.each([['--foreground'], ['-w']])(
    'with a stack trace if BGWORKER_DEBUG asks (%s)',
    async (way) => {
      const sandbox = new Sandbox();
      const file = sandbox.file('bgworker.config.mjs', 'throw new Error("no");');
      const options = { env: { BGWORKER_DEBUG: '1' } };
      const { status, stderr } = await sandbox.runWith(options, 'start', '-D', 'data', way);
      expect(status).toBe(1);
      expect(stderr).toContain(`bgworker: configuration file "${file}", line 1: no\n`);
      expect(stderr).toContain("code: 'ERR_CONFIG'");
      expect(stderr).toMatch(/\n +at .*bgworker\.config\.mjs:1:7/);
    },
  );
});
