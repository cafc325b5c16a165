// What preload modules may ask of shared memory, and when.

import { describe, expect, test } from 'vitest';
import { BgworkerError } from '../../../lib/errors.ts';
import { PreloadRegistry } from '../../../lib/preload/preload.ts';

function codeOf(act: () => void): string | null {
  try {
    act();
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(BgworkerError);
    return (error as BgworkerError).code;
  }
}

describe('request()', () => {
  const table: [name: unknown, bytes: unknown, ok: boolean][] = [
    ['a', 1, true],
    ['ä'.repeat(31), 2 ** 40, true],
    ['ä'.repeat(32), 8, false],
    ['', 8, false],
    ['a\0b', 8, false],
    [7, 8, false],
    ['a', 0, false],
    ['a', -1, false],
    ['a', 1.5, false],
    ['a', Number.NaN, false],
    ['a', 2 ** 40 + 1, false],
    ['a', '8', false],
    ['a', undefined, false],
  ];
  test.each(table)('%j, %j: %j', (name, bytes, ok) => {
    const registry = new PreloadRegistry();
    const code = codeOf(() => registry.request(name as string, bytes as number));
    expect(code).toBe(ok ? null : 'ERR_INVALID_OPTION');
  });

  test('counts whole cache lines, and a repeated request once', () => {
    const registry = new PreloadRegistry();
    expect(registry.structBytes).toBe(0);
    registry.request('one', 1);
    registry.request('two', 65);
    registry.request('one', 1);
    expect(registry.structBytes).toBe(64 + 128);
    expect(codeOf(() => registry.request('one', 2))).toBe('ERR_INVALID_OPTION');
  });
});

test('a hook is a function', () => {
  const registry = new PreloadRegistry();
  expect(codeOf(() => registry.onStartup({} as never))).toBe('ERR_INVALID_OPTION');
  registry.onStartup(() => {});
  expect(registry.startupHooks).toHaveLength(1);
});

test('nothing can be asked for once init() is over', () => {
  const registry = new PreloadRegistry();
  registry.close();
  expect(codeOf(() => registry.request('a', 8))).toBe('ERR_WRONG_STATE');
  expect(codeOf(() => registry.onStartup(() => {}))).toBe('ERR_WRONG_STATE');
});
