// Inputs to whoever is free, results in order, backpressure in both directions, and the first failure
// ends it. Against sources of every kind, with workers that take as long as chance says.

import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { OrderedWork } from '../../../lib/run/parallel/ordered-work.ts';

async function* generate(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) {
    await null;
    yield i;
  }
}

/** Until there is no more: takes, waits as many turns as it is told, settles. */
async function workOn(work: OrderedWork<number, string>, turnsFor: (index: number) => number) {
  let done = 0;
  for (let next = await work.take(); next !== null; next = await work.take()) {
    for (let turn = turnsFor(next.index); turn > 0; turn--) await setImmediate();
    work.settle(next.index, `r${next.input}`);
    done++;
  }
  return done;
}

async function all(work: OrderedWork<unknown, string>): Promise<string[]> {
  const results: string[] = [];
  for (let next = await work.next(); !next.done; next = await work.next()) results.push(next.value);
  return results;
}

const wanted = (count: number) => Array.from({ length: count }, (_, i) => `r${i}`);

/** Different turns for every index, the same in every run. */
const uneven = (index: number) => (index * 7919) % 5;

describe('in order, whoever is how fast', () => {
  for (const workers of [1, 2, 5]) {
    for (const count of [0, 1, 4, 50]) {
      for (const ahead of [1, 3, 20]) {
        test(`${count} inputs, ${workers} workers, ${ahead} ahead`, async () => {
          const work = new OrderedWork<number, string>(generate(count), ahead);
          const lanes = Array.from({ length: workers }, () => workOn(work, uneven));
          expect(await all(work)).toEqual(wanted(count));
          const done = await Promise.all(lanes);
          expect(done.reduce((sum, one) => sum + one, 0)).toBe(count);
        });
      }
    }
  }
});

test.each([
  ['an array', [0, 1, 2]],
  ['a set', new Set([0, 1, 2])],
  ['a generator', [0, 1, 2].values()],
  ['an async generator', generate(3)],
])('%s', async (_what, inputs) => {
  const work = new OrderedWork<number, string>(inputs as Iterable<number>, 2);
  void workOn(work, () => 0);
  expect(await all(work)).toEqual(wanted(3));
});

test('who is free is given work, and nobody else', async () => {
  const work = new OrderedWork<number, string>([0, 1, 2, 3, 4], 100);
  const slow = await work.take();
  const quick = await workOn(work, () => 0);
  expect(slow?.index).toBe(0);
  expect(quick).toBe(4);
  work.settle(0, 'r0');
  expect(await all(work)).toEqual(wanted(5));
});

describe('backpressure', () => {
  test('the source is asked for no more than is ahead of the consumer', async () => {
    let asked = 0;
    const source = {
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: asked === 100, value: asked++ }) as IteratorResult<number>,
      }),
    };
    const work = new OrderedWork<number, string>(source, 3);
    const lane = workOn(work, () => 0);
    for (let turn = 0; turn < 10; turn++) await setImmediate();
    expect(asked).toBe(3);
    await work.next();
    for (let turn = 0; turn < 10; turn++) await setImmediate();
    expect(asked).toBe(4);
    expect(await all(work)).toEqual(wanted(100).slice(1));
    await lane;
  });

  test('it is asked for one at a time, however many want one', async () => {
    let underWay = 0;
    let most = 0;
    const source = {
      [Symbol.asyncIterator]: () => {
        let count = 0;
        return {
          next: async () => {
            most = Math.max(most, ++underWay);
            await setImmediate();
            underWay--;
            return { done: count === 20, value: count++ } as IteratorResult<number>;
          },
        };
      },
    };
    const work = new OrderedWork<number, string>(source, 100);
    const lanes = Array.from({ length: 6 }, () => workOn(work, uneven));
    expect(await all(work)).toEqual(wanted(20));
    await Promise.all(lanes);
    expect(most).toBe(1);
  });
});

describe('an end before the end', () => {
  /** Says when it is let go of. */
  function source() {
    const seen = { returned: false };
    const inputs = (function* () {
      try {
        for (let i = 0; ; i++) yield i;
      } finally {
        seen.returned = true;
      }
    })();
    return { seen, inputs };
  }

  test('a failure: whoever waits hears it, the first one counts, the source is let go of', async () => {
    const { seen, inputs } = source();
    const work = new OrderedWork<number, string>(inputs, 2);
    await work.take();
    await work.take();
    const waiting = work.take();
    const results = work.next();
    work.fail(new Error('first'));
    work.fail(new Error('second'));
    await expect(results).rejects.toThrow('first');
    await expect(work.next()).rejects.toThrow('first');
    expect(await waiting).toBeNull();
    expect(await work.take()).toBeNull();
    expect(seen.returned).toBe(true);
  });

  test('a failure is told before results that are there already', async () => {
    const work = new OrderedWork<number, string>([0, 1], 2);
    await work.take();
    work.settle(0, 'r0');
    work.fail(new Error('no'));
    await expect(work.next()).rejects.toThrow('no');
  });

  test('the consumer leaves', async () => {
    const { seen, inputs } = source();
    const work = new OrderedWork<number, string>(inputs, 5);
    const lane = workOn(work, () => 0);
    await work.next();
    work.leave();
    await lane;
    expect(seen.returned).toBe(true);
    expect(await work.next()).toEqual({ done: true, value: undefined });
  });

  test('the source throws: that is the failure', async () => {
    const inputs = (async function* () {
      yield 0;
      throw new Error('the source');
    })();
    const work = new OrderedWork<number, string>(inputs, 5);
    const lane = workOn(work, () => 0);
    await expect(all(work)).rejects.toThrow('the source');
    expect(await lane).toBe(1);
  });

  test('a source that never answers again holds nobody up', async () => {
    const inputs = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) };
    const work = new OrderedWork<number, string>(inputs, 5);
    void work.take();
    const results = work.next();
    work.fail(new Error('no'));
    await expect(results).rejects.toThrow('no');
  });

  test('at the end a leave is nothing, and what failed afterwards, too', async () => {
    const work = new OrderedWork<number, string>([], 1);
    expect(await work.take()).toBeNull();
    work.leave();
    work.fail(new Error('no'));
    expect(await work.next()).toEqual({ done: true, value: undefined });
  });
});
