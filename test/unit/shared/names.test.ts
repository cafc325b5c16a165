// What has a name in the main area, in a process that runs.

import { describe, expect, test } from 'vitest';
import { SharedRequests } from '../../../lib/shared/names.ts';
import { realProcesses } from './real.ts';

const coded = (code: string) => expect.objectContaining({ name: 'BgworkerError', code });

test('what init() asked for is the same object in main(), whoever asks', () => {
  const [{ face, shmem }, { shmem: other }] = realProcesses((requested) =>
    requested.struct('hits', { count: 'u64' }),
  );
  expect(shmem.struct('hits', { count: 'u64' })).toBe(face);
  face.count.add(3n);
  expect(other.struct('hits', { count: 'u64' }).count.load()).toBe(3n);
  // Of the same size, and still another struct.
  expect(() => shmem.struct('hits', { count: 'f64' })).toThrow(coded('ERR_INVALID_OPTION'));
});

test('the first initialises, in init() and in main()', () => {
  const seen: number[] = [];
  const [{ shmem }, { shmem: other }] = realProcesses((requested) => {
    requested.reserve(64);
    return requested.struct('early', { n: 'u32' }, ({ n }) => void seen.push(n.add(1)));
  });
  const late = { n: 'u32' } as const;
  shmem.struct('late', late, ({ n }) => void seen.push(n.add(10)));
  other.struct('late', late, ({ n }) => void seen.push(n.add(10)));
  expect(seen).toEqual([0, 0]);
  expect(other.struct('late', late).n.load()).toBe(10);
});

test.each([
  [
    'throws',
    () => {
      throw new Error('first cause');
    },
    /first cause/,
  ],
  ['returns a promise', async () => {}, /must be synchronous/],
])(
  'an initialiser that %s leaves zeroes for the next, and nothing bound',
  (_what, fail, message) => {
    const [{ shmem }, { shmem: other }] = realProcesses((requested) => requested.reserve(64));
    let kept: { store(value: number): void } | undefined;
    expect(() =>
      shmem.struct('late', { n: 'u32' }, ({ n }) => {
        kept = n;
        n.store(7);
        return fail();
      }),
    ).toThrow(message);
    expect(() => kept?.store(8)).toThrow(coded('ERR_WRONG_STATE'));
    const made = other.struct('late', { n: 'u32' }, ({ n }) => void n.add(1));
    expect(made.n.load()).toBe(1);
    expect(shmem.struct('late', { n: 'u32' }).n.load()).toBe(1);
  },
);

describe('refused', () => {
  test('more than was reserved, and another size', () => {
    const [{ shmem }, { shmem: other }] = realProcesses((requested) => requested.reserve(128));
    shmem.struct('one', { n: 'u32' });
    expect(() => shmem.struct('large', { text: { bytes: 8192 } })).toThrow(
      /shared struct "large": not enough shared memory .* shmem.reserve\(\)/,
    );
    expect(() => other.struct('one', { n: 'u64' })).toThrow(coded('ERR_SHMEM_ENTRY_SIZE_WRONG'));
    expect(() => other.lwlocks('locks', 200)).toThrow(coded('ERR_SHMEM_OUT_OF_SPACE'));
    expect(other.lwlock('lock').tryAcquire('exclusive')).not.toBeNull();
  });

  test.each(['lwlock:a', 'cv:a', 'barrier:a'])('a struct that is called "%s"', (name) => {
    const [{ shmem }] = realProcesses((requested) => requested.lwlock('a'));
    expect(() => shmem.struct(name, { n: 'u32' })).toThrow(/must not begin with/);
  });

  test('the 257th name, in init() and in main()', () => {
    const names = Array.from({ length: 255 }, (_, index) => `n${index}`);
    const [{ shmem }] = realProcesses((requested) => {
      for (const name of names) requested.struct(name, { n: 'u32' });
      requested.reserve(1 << 10);
    });
    shmem.lwlock('the last');
    expect(() => shmem.lwlock('one too many')).toThrow(coded('ERR_SHMEM_TOO_MANY_NAMES'));
    const requests = new SharedRequests(() => {});
    for (const name of [...names, 'the last']) requests.conditionVariable(name);
    expect(() => requests.lwlock('one too many')).toThrow(/the main area has 256 names at most/);
  });

  test('more bytes than a main area can have', () => {
    const requests = new SharedRequests(() => {});
    requests.reserve(3 * 2 ** 30 - 64);
    requests.lwlock('fits');
    expect(() => requests.lwlock('does not')).toThrow(coded('ERR_SHMEM_OUT_OF_SPACE'));
    expect(() => requests.reserve(1)).toThrow(/dynamic segments/);
  });
});
