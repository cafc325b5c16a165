// What preload modules may ask of shared memory, and when.

import { describe, expect, test } from 'vitest';
import { BgworkerError } from '../../../lib/errors.ts';
import { PreloadRegistry } from '../../../lib/preload/preload.ts';
import type { SharedRequests } from '../../../lib/shared/names.ts';

const OK = null;
const REFUSED = 'ERR_INVALID_OPTION';

function codeOf(act: () => void): string | null {
  try {
    act();
    return OK;
  } catch (error) {
    expect(error).toBeInstanceOf(BgworkerError);
    return (error as BgworkerError).code;
  }
}

/** Everything that has a name, by the verb that asks for it. */
const verbs = {
  struct: (shared, name) => shared.struct(name, { count: 'u64' }),
  lwlock: (shared, name) => shared.lwlock(name),
  lwlocks: (shared, name) => shared.lwlocks(name, 2),
  conditionVariable: (shared, name) => shared.conditionVariable(name),
  barrier: (shared, name) => shared.barrier(name),
} satisfies Record<string, (shared: SharedRequests, name: string) => unknown>;

describe.each(Object.entries(verbs))('the name of a %s', (_verb, ask) => {
  const table: [name: unknown, code: string | null][] = [
    ['a', OK],
    ['ä'.repeat(24), OK],
    ['ä'.repeat(25), REFUSED],
    ['', REFUSED],
    ['a\0b', REFUSED],
    [7, REFUSED],
    [undefined, REFUSED],
  ];
  test.each(table)('%j: %j', (name, code) => {
    const { shared } = new PreloadRegistry();
    expect(codeOf(() => ask(shared, name as string))).toBe(code);
  });

  test('asked for again, it is the same thing and needs no more room', () => {
    const { shared } = new PreloadRegistry();
    const first = ask(shared, 'a');
    const bytes = shared.totalBytes;
    expect(ask(shared, 'a')).toBe(first);
    expect(shared.totalBytes).toBe(bytes);
    expect(ask(shared, 'b')).not.toBe(first);
    expect(shared.totalBytes).toBe(2 * bytes);
  });
});

describe('another shape under the same name', () => {
  const table: [what: string, first: Ask, second: Ask][] = [
    ['a type', (s) => s.struct('a', { n: 'u32' }), (s) => s.struct('a', { n: 'i32' })],
    ['a field', (s) => s.struct('a', { n: 'u32' }), (s) => s.struct('a', { m: 'u32' })],
    ['a count', (s) => s.lwlocks('a', 2), (s) => s.lwlocks('a', 3)],
    ['a lock and a group', (s) => s.lwlock('a'), (s) => s.lwlocks('a', 1)],
    ['participants', (s) => s.barrier('a'), (s) => s.barrier('a', { participants: 2 })],
  ];
  type Ask = (shared: SharedRequests) => unknown;
  test.each(table)('%s', (_what, first, second) => {
    const { shared } = new PreloadRegistry();
    first(shared);
    expect(codeOf(() => second(shared))).toBe(REFUSED);
  });
});

describe('numbers', () => {
  const table: [what: string, ask: (shared: SharedRequests) => unknown, code: string | null][] = [
    ['reserve 1', (s) => s.reserve(1), OK],
    ['reserve 3 GiB', (s) => s.reserve(3 * 2 ** 30), OK],
    ['reserve more', (s) => s.reserve(3 * 2 ** 30 + 1), REFUSED],
    ['reserve 0', (s) => s.reserve(0), REFUSED],
    ['reserve -1', (s) => s.reserve(-1), REFUSED],
    ['reserve 1.5', (s) => s.reserve(1.5), REFUSED],
    ['reserve NaN', (s) => s.reserve(Number.NaN), REFUSED],
    ['reserve "8"', (s) => s.reserve('8' as never), REFUSED],
    ['reserve undefined', (s) => s.reserve(undefined as never), REFUSED],
    ['1 lock', (s) => s.lwlocks('a', 1), OK],
    ['65536 locks', (s) => s.lwlocks('a', 65_536), OK],
    ['65537 locks', (s) => s.lwlocks('a', 65_537), REFUSED],
    ['0 locks', (s) => s.lwlocks('a', 0), REFUSED],
    ['1.5 locks', (s) => s.lwlocks('a', 1.5), REFUSED],
    ['262143 participants', (s) => s.barrier('a', { participants: 262_143 }), OK],
    ['262144 participants', (s) => s.barrier('a', { participants: 262_144 }), REFUSED],
    ['-1 participants', (s) => s.barrier('a', { participants: -1 }), REFUSED],
    ['0.5 participants', (s) => s.barrier('a', { participants: 0.5 }), REFUSED],
  ];
  test.each(table)('%s: %#', (_what, ask, code) => {
    const { shared } = new PreloadRegistry();
    expect(codeOf(() => ask(shared))).toBe(code);
  });
});

test('the room is counted in whole cache lines', () => {
  const { shared } = new PreloadRegistry();
  expect(shared.totalBytes).toBe(0);
  shared.struct('one', { byte: 'u8' });
  shared.struct('two', { bytes: { bytes: 65 } });
  expect(shared.totalBytes).toBe(64 + 128);
  shared.lwlocks('three', 3);
  shared.conditionVariable('four');
  shared.barrier('five');
  expect(shared.totalBytes).toBe(192 + 192 + 64 + 64);
  shared.reserve(1);
  shared.reserve(64);
  expect(shared.totalBytes).toBe(512 + 128);
});

describe('a process that initialises is needed', () => {
  const table: [what: string, ask: (registry: PreloadRegistry) => unknown, needed: boolean][] = [
    ['for nothing', () => {}, false],
    ['for zeroes', ({ shared }) => shared.struct('a', { n: 'u32' }), false],
    ['for an initialiser', ({ shared }) => shared.struct('a', { n: 'u32' }, () => {}), true],
    ['for a lock', ({ shared }) => shared.lwlock('a'), false],
    ['for a static barrier', ({ shared }) => shared.barrier('a', { participants: 2 }), true],
    ['for a dynamic barrier', ({ shared }) => shared.barrier('a'), false],
    ['for a hook', (registry) => registry.onStartup(() => {}), true],
  ];
  test.each(table)('%s: %#', (_what, ask, needed) => {
    const registry = new PreloadRegistry();
    ask(registry);
    expect(registry.needsStartup).toBe(needed);
  });
});

test('a hook is a function', () => {
  const registry = new PreloadRegistry();
  expect(codeOf(() => registry.onStartup({} as never))).toBe(REFUSED);
  registry.onStartup(() => {});
  expect(registry.startupHooks).toHaveLength(1);
});

describe('once init() is over', () => {
  test.each(Object.entries(verbs))('there is no new %s', (_verb, ask) => {
    const registry = new PreloadRegistry();
    const known = ask(registry.shared, 'known');
    registry.close();
    expect(codeOf(() => ask(registry.shared, 'new'))).toBe('ERR_WRONG_STATE');
    // What was asked for in time is still there, in every process.
    expect(ask(registry.shared, 'known')).toBe(known);
  });

  test('nothing is reserved, and no hook is taken', () => {
    const registry = new PreloadRegistry();
    registry.close();
    expect(codeOf(() => registry.shared.reserve(8))).toBe('ERR_WRONG_STATE');
    expect(codeOf(() => registry.onStartup(() => {}))).toBe('ERR_WRONG_STATE');
  });
});
