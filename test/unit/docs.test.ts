// What the docs say of the code, and the code can be asked: layouts and examples.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { moduleFile } from '../harness/postmaster.ts';

const ROOT = new URL('../../', import.meta.url);
const CORE = new URL('native/core/', ROOT);

function read(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8');
}

describe('docs/shared-memory-layout.md', () => {
  interface Documented {
    readonly name: string;
    readonly bytes: number;
    readonly header: string;
    readonly fields: readonly { readonly name: string; readonly offset: number }[];
  }

  const documented: Documented[] = read('docs/shared-memory-layout.md')
    .split('\n### ')
    .slice(1)
    .map((section) => {
      const [, name = '', bytes, header = ''] =
        /^(\w+), (\d+) bytes \((\w+\.h)\)/.exec(section) ?? [];
      const rows = section.matchAll(/^\| (\d+) \| `(\w+)` \|/gm);
      const fields = Array.from(rows, ([, offset, field = '']) => ({
        name: field,
        offset: Number(offset),
      }));
      return { name, bytes: Number(bytes), header, fields };
    });

  /** `.h` files of core, by their name. */
  const headers = new Map(
    readdirSync(CORE, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.h'))
      .map((path) => [path.replace(/.*\//, ''), path]),
  );

  /** The members of a struct or class, in order, as the header lists them. */
  function membersOf({ name, header }: Documented): string[] {
    const text = readFileSync(new URL(headers.get(header) ?? '', CORE), 'utf8');
    const [, body = ''] =
      new RegExp(`\\n(?:struct|class)[^;{]*\\b${name} \\{\\n(.*?)\\n\\};`, 's').exec(text) ?? [];
    const members = body.matchAll(/^ {2}(?:alignas\(\d+\) )?[\w:<>]+ (\w+)(?:\[[^\]]*\])?;/gm);
    return Array.from(members, ([, member = '']) => member);
  }

  test('names every struct that lies in shared memory', () => {
    const shares = /^(shm|sync)\/|^ipc\/queue/;
    const shared = [...headers.values()]
      .filter((path) => shares.test(path))
      .flatMap((path) =>
        Array.from(
          readFileSync(new URL(path, CORE), 'utf8').matchAll(/static_assert\(sizeof\((\w+)\) ==/g),
          ([, name]) => name,
        ),
      );
    expect(documented.map(({ name }) => name).sort()).toEqual([...new Set(shared)].sort());
  });

  test.each(documented)('$name: all of its fields, in order', (one) => {
    expect(one.fields.map(({ name }) => name)).toEqual(membersOf(one));
  });

  test('sizes and offsets are those that the compiler gives', () => {
    const includes = [...new Set(documented.map(({ header }) => headers.get(header)))];
    const source = [
      ...includes.map((path) => `#include "core/${path}"`),
      'using namespace bgworker;',
      ...documented.flatMap(({ name, bytes, fields }) => [
        `static_assert(sizeof(${name}) == ${bytes});`,
        ...fields.map(
          (field) => `static_assert(offsetof(${name}, ${field.name}) == ${field.offset});`,
        ),
      ]),
    ].join('\n');
    const file = moduleFile(source, 'layout.cc');
    // The locks keep their word to themselves.
    const options = ['-std=c++20', '-fsyntax-only', '-fno-access-control', '-D_GNU_SOURCE'];
    execFileSync('c++', [...options, '-I', fileURLToPath(new URL('native', ROOT)), file]);
  });
});

/** The blocks of code in a language, as they stand there. */
function blocksIn(markdown: string, language: string): string[] {
  const fenced = new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms');
  return Array.from(markdown.matchAll(fenced), ([, block = '']) => block);
}

/** Does the program have these very lines, indented or not? */
function contains(program: string, block: string): boolean {
  const lines = program.split('\n');
  const wanted = block.trimEnd().split('\n');
  return lines.some((line, start) => {
    const indentation = line.slice(0, line.length - line.trimStart().length);
    return wanted.every((one, at) => lines[start + at] === (one && indentation + one));
  });
}

describe('examples', () => {
  const table = blocksIn(read('docs/shared-memory.md'), 'ts').map((block) => ({ block }));
  const manual = read('test/fixtures/docs/manual.ts');

  test.each(table)('of docs/shared-memory.md run in manual.ts: $block', ({ block }) => {
    expect(contains(manual, block)).toBe(true);
  });

  test('of README.md: the one about shared memory is jobs.ts', () => {
    expect(blocksIn(read('README.md'), 'ts')).toContain(read('test/fixtures/docs/jobs.ts'));
  });

  test('in C compile', () => {
    const source = blocksIn(read('docs/shared-memory.md'), 'c').join('\n');
    expect(source).not.toBe('');
    const file = moduleFile(source, 'example.c');
    const include = fileURLToPath(new URL('native/include', ROOT));
    const options = ['-std=c11', '-fsyntax-only', '-Wall', '-Wextra', '-Werror', '-I', include];
    execFileSync('cc', [...options, file]);
  });
});
