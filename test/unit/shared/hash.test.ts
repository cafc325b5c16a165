// A hash table between processes that are objects of one thread: each verb, and what it refuses.

import { describe, expect, test } from 'vitest';
import type { HashTable, HashTableOptions } from '../../../lib/shared/hash-table.ts';
import { realProcesses } from './real.ts';

const OPTIONS = { maxKeyBytes: 8, maxValueBytes: 16, bytes: 1 << 20 };

function tables() {
  const [{ dsm }, { dsm: other }] = realProcesses(() => null);
  return [dsm.hash('seen', OPTIONS), other.hash('seen', OPTIONS)] as const;
}

const coded = (code: string) => expect.objectContaining({ name: 'BgworkerError', code });

test('what one puts there, the other finds, as a copy', () => {
  const [mine, theirs] = tables();
  expect(mine.find('key')).toBeNull();
  expect(mine.insert('key', 'first')).toBe(true);
  expect(theirs.insert('key', 'second')).toBe(false);
  expect(String(theirs.find('key'))).toBe('first');
  expect(theirs.set('key', Uint8Array.of(1, 2))).toBe(false);
  const copy = mine.find(Buffer.from('key'));
  expect([...(copy ?? [])]).toEqual([1, 2]);
  copy?.fill(9);
  expect([...(mine.find('key') ?? [])]).toEqual([1, 2]);
  expect(mine.set('ключ', '')).toBe(true);
  expect(theirs.size).toBe(2);
  expect(theirs.entries().map(String).sort()).toEqual(['key,\u0001\u0002', 'ключ,']);
  expect([theirs.delete('key'), theirs.delete('key'), mine.find('key'), mine.size]).toEqual([
    true,
    false,
    null,
    1,
  ]);
});

test('it grows past its first buckets, and loses nothing', () => {
  const [mine, theirs] = tables();
  for (let n = 0; n < 5_000; n++) mine.insert(String(n), String(n * n));
  expect(theirs.size).toBe(5_000);
  for (let n = 0; n < 5_000; n++) expect(String(theirs.find(String(n)))).toBe(String(n * n));
  expect(new Set(theirs.entries().map(([key]) => String(key))).size).toBe(5_000);
});

describe('update()', () => {
  test('gives the value, or null, and takes the new one, or none', () => {
    const [mine, theirs] = tables();
    const seen: (string | null)[] = [];
    const change = (to: string | null) => (value: Buffer | null) => {
      seen.push(value === null ? null : String(value));
      return to;
    };
    mine.update('key', change(null));
    mine.update('key', change('a'));
    theirs.update('key', change('bbbb'));
    mine.update('key', change(null));
    expect(mine.find('key')).toBeNull();
    expect(seen).toEqual([null, null, 'a', 'bbbb']);
  });

  const badChanges: [what: string, change: (value: Buffer | null) => unknown, expected: unknown][] =
    [
      [
        'throws',
        () => {
          throw new TypeError('mine');
        },
        expect.objectContaining({ name: 'TypeError', message: 'mine' }),
      ],
      [
        'throws what looks like a system call',
        () => {
          throw Object.assign(new Error('open'), { syscall: 'open', code: 'ENOENT' });
        },
        expect.objectContaining({ code: 'ENOENT', message: 'open' }),
      ],
      [
        'scribbles, then throws',
        (value) => {
          value?.fill(0);
          throw new TypeError('mine');
        },
        expect.objectContaining({ name: 'TypeError' }),
      ],
      ['gives a number', () => 7, coded('ERR_INVALID_OPTION')],
      ['gives undefined', () => undefined, coded('ERR_INVALID_OPTION')],
      ['gives too much', () => 'x'.repeat(17), coded('ERR_SHMEM_VALUE_LENGTH')],
    ];
  test.each(badChanges)(
    'that %s leaves everything as it was, and unlocked',
    (_what, change, expected) => {
      const [mine, theirs] = tables();
      mine.set('there', 'old');
      for (const key of ['there', 'new']) {
        expect(() => mine.update(key, change as () => string)).toThrow(expected as Error);
      }
      expect(theirs.entries().map(String)).toEqual(['there,old']);
      theirs.update('there', () => 'free');
      theirs.update('new', () => 'free');
    },
  );

  test('is the only verb while it runs', () => {
    const [mine] = tables();
    const verbs: ((table: HashTable) => unknown)[] = [
      (table) => table.find('key'),
      (table) => table.insert('key', ''),
      (table) => table.set('key', ''),
      (table) => table.update('key', () => null),
      (table) => table.delete('key'),
      (table) => table.entries(),
      (table) => table.size,
    ];
    for (const verb of verbs) {
      let thrown: unknown;
      mine.update('other', () => {
        try {
          verb(mine);
        } catch (error) {
          thrown = error;
        }
        return 'kept';
      });
      expect(thrown, String(verb)).toEqual(coded('ERR_SHMEM_BUSY'));
    }
    expect(String(mine.find('other'))).toBe('kept');
  });
});

describe('refused', () => {
  const table: [what: string, act: (table: HashTable) => unknown, code: string][] = [
    ['an empty key', (table) => table.find(''), 'ERR_SHMEM_KEY_LENGTH'],
    ['a long key', (table) => table.insert('x'.repeat(9), ''), 'ERR_SHMEM_KEY_LENGTH'],
    ['a long key to delete', (table) => table.delete('x'.repeat(9)), 'ERR_SHMEM_KEY_LENGTH'],
    ['a long value', (table) => table.set('key', 'x'.repeat(17)), 'ERR_SHMEM_VALUE_LENGTH'],
    ['a key that is none', (table) => table.find(7 as never), 'ERR_INVALID_OPTION'],
    ['a value that is none', (table) => table.set('key', null as never), 'ERR_INVALID_OPTION'],
  ];
  test.each(table)('%s', (_what, act, code) => {
    const [mine] = tables();
    expect(() => act(mine)).toThrow(coded(code));
    expect(mine.size).toBe(0);
  });

  const options: [change: Partial<HashTableOptions>, code: string][] = [
    [{ maxKeyBytes: 0 }, 'ERR_INVALID_OPTION'],
    [{ maxKeyBytes: 1025 }, 'ERR_INVALID_OPTION'],
    [{ maxValueBytes: -1 }, 'ERR_INVALID_OPTION'],
    [{ maxValueBytes: (1 << 20) + 1 }, 'ERR_INVALID_OPTION'],
    [{ bytes: (1 << 20) - 1 }, 'ERR_INVALID_OPTION'],
    [{ bytes: 2 ** 40 }, 'ERR_SHMEM_WINDOW_FULL'],
    [{ bytes: 1.5 }, 'ERR_INVALID_OPTION'],
    [{ maxKeyBytes: undefined as never }, 'ERR_INVALID_OPTION'],
  ];
  test.each(options)('to open it with %j', (change, code) => {
    const [{ dsm }] = realProcesses(() => null);
    expect(() => dsm.hash('seen', { ...OPTIONS, ...change })).toThrow(coded(code));
    if (code === 'ERR_INVALID_OPTION') expect(dsm.names()).toEqual([]);
  });

  test('to open it twice, or otherwise than the others', () => {
    const [{ dsm }, { dsm: other }, { dsm: third }] = realProcesses(() => null);
    dsm.hash('seen', OPTIONS);
    expect(() => dsm.hash('seen', OPTIONS)).toThrow(coded('ERR_SHMEM_ALREADY_ATTACHED'));
    for (const [change, code] of [
      [{ maxKeyBytes: 9 }, 'ERR_SHMEM_PARAMETERS_WRONG'],
      [{ maxValueBytes: 17 }, 'ERR_SHMEM_PARAMETERS_WRONG'],
      [{ bytes: 1 << 21 }, 'ERR_SHMEM_SEGMENT_SIZE_WRONG'],
    ] as const) {
      expect(() => other.hash('seen', { ...OPTIONS, ...change })).toThrow(coded(code));
    }
    expect(() => third.named('seen', 1 << 20)).toThrow(coded('ERR_SHMEM_KIND_WRONG'));
    expect(other.hash('seen', OPTIONS).size).toBe(0);
  });

  test('more than there is room for, and room again after a delete', () => {
    const [{ dsm }] = realProcesses(() => null);
    const small = dsm.hash('small', { maxKeyBytes: 8, maxValueBytes: 1 << 20, bytes: 1 << 20 });
    const value = new Uint8Array(200_000);
    let kept = 0;
    const fill = () => {
      for (;;) {
        small.insert(`n${kept}`, value);
        kept++;
      }
    };
    expect(fill).toThrow(coded('ERR_SHMEM_HEAP_FULL'));
    small.delete('n0');
    expect(small.insert('again', value)).toBe(true);
  });
});
