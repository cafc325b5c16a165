// LWLocks: the quick path on the very bits of lwlock.h, the waits through the port, the limits.

import { describe, expect, test } from 'vitest';
import { Lwlock } from '../../../lib/shared/lwlock.ts';
import { ThisProcess } from '../../../lib/shared/this-process.ts';
import { MemoryPort, makeWorld } from './memory-port.ts';
import { inThread } from './threads.ts';

function twoProcesses() {
  const world = makeWorld(2);
  const memory = new SharedArrayBuffer(128);
  const processes = [0, 1].map((slot) => new ThisProcess(new MemoryPort(world, slot)));
  const locks = processes.map((process) => {
    const lock = new Lwlock('hits');
    lock.bind(process, memory, 64);
    return lock;
  });
  return {
    processes: processes as [ThisProcess, ThisProcess],
    locks: locks as [Lwlock, Lwlock],
    words: new Int32Array(memory, 64, 6),
    memory,
  };
}

describe('who gets it, by what is held', () => {
  const table: [held: ('shared' | 'exclusive')[], wanted: 'shared' | 'exclusive', got: boolean][] =
    [
      [[], 'shared', true],
      [[], 'exclusive', true],
      [['shared'], 'shared', true],
      [['shared'], 'exclusive', false],
      [['shared', 'shared'], 'shared', true],
      [['exclusive'], 'shared', false],
      [['exclusive'], 'exclusive', false],
    ];
  test.each(table)('held %j, wanted %s: %s', (held, wanted, got) => {
    const { locks, words } = twoProcesses();
    const holds = held.map((mode) => locks[0].tryAcquire(mode));
    const before = words[0];
    const mine = locks[1].tryAcquire(wanted);
    expect(mine !== null).toBe(got);
    if (mine === null) expect(words[0]).toBe(before);
    mine?.release();
    for (const hold of holds) hold?.release();
    expect(words[0]).toBe(0);
  });
});

test('the bits are those of lwlock.h', () => {
  const { locks, words } = twoProcesses();
  const exclusive = locks[0].tryAcquire('exclusive');
  expect(words[0]).toBe(1 << 24);
  exclusive?.release();
  locks[0].tryAcquire('shared');
  locks[1].tryAcquire('shared');
  expect(words[0]).toBe(2);
});

test('with() gives what the function gives, and releases whatever comes of it', async () => {
  const { locks, words } = twoProcesses();
  expect(await locks[0].with('exclusive', async () => words[0])).toBe(1 << 24);
  expect(await locks[0].with('shared', () => 'x')).toBe('x');
  const failing = locks[0].with('exclusive', () => {
    throw new Error('half changed');
  });
  await expect(failing).rejects.toThrow('half changed');
  expect(words[0]).toBe(0);
});

test('who waits gets it in a turn of the event loop', async () => {
  const { locks, words } = twoProcesses();
  const first = await locks[0].acquire('exclusive');
  const order: string[] = [];
  const waits = ['b', 'c'].map(async (name) => {
    const held = await locks[1].acquire('shared');
    order.push(name);
    return held;
  });
  order.push('a');
  first.release();
  for (const held of await Promise.all(waits)) held.release();
  expect(order).toEqual(['a', 'b', 'c']);
  expect(words[0]).toBe(0);
});

test('more waits than there are nodes all end', async () => {
  const { locks, words, processes } = twoProcesses();
  const first = locks[0].tryAcquire('exclusive');
  let most = 0;
  const waits = Array.from({ length: 20 }, () =>
    locks[1].with('exclusive', async () => {
      await null;
      most = Math.max(most, processes[1].locks.count);
    }),
  );
  first?.release();
  await Promise.all(waits);
  expect([most, words[0]]).toEqual([1, 0]);
});

test('a wait that found no node has one as soon as another wait is given up', async () => {
  const { locks, processes, memory } = twoProcesses();
  const free = new Lwlock('free');
  free.bind(processes[1], memory, 0);
  const theirs = new Lwlock('free');
  theirs.bind(processes[0], memory, 0);
  const holds = [locks[0].tryAcquire('exclusive'), theirs.tryAcquire('exclusive')];
  const controller = new AbortController();
  const { signal } = controller;
  const givenUp = Array.from({ length: 4 }, () => locks[1].acquire('shared', { signal }));
  const waiting = free.acquire('exclusive');
  // It stands in no queue yet, so this rings nobody.
  holds[1]?.release();
  controller.abort(new Error('enough'));
  expect((await Promise.allSettled(givenUp)).map(({ status }) => status)).toEqual(
    Array(4).fill('rejected'),
  );
  expect((await waiting).isHeld).toBe(true);
});

test('a disposal releases, once', async () => {
  const { locks, words } = twoProcesses();
  {
    using held = locks[0].acquireSync('shared');
    expect(held.isHeld).toBe(true);
    held.release();
  }
  {
    await using held = await locks[0].acquire('exclusive');
    expect(held.mode).toBe('exclusive');
  }
  expect(words[0]).toBe(0);
});

test('an abort gives up the wait, and nothing is held', async () => {
  const { locks, words, processes } = twoProcesses();
  const first = locks[0].tryAcquire('exclusive');
  const controller = new AbortController();
  const waiting = locks[1].acquire('exclusive', { signal: controller.signal });
  controller.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  await expect(locks[1].acquire('shared', { signal: controller.signal })).rejects.toThrow('enough');
  first?.release();
  expect([words[0], processes[1].locks.count]).toEqual([0, 0]);
});

test('the postmaster may die meanwhile: a wait for a lock goes on', async () => {
  const { locks, processes } = twoProcesses();
  const first = locks[0].tryAcquire('exclusive');
  const waiting = locks[1].acquire('exclusive');
  expect(processes[1].waits.orphan()).toBe(false);
  first?.release();
  expect((await waiting).isHeld).toBe(true);
});

describe('mistakes', () => {
  test('a release of one that is not held', () => {
    const { locks } = twoProcesses();
    expect(() => locks[0].release()).toThrow(/lock "hits" is not held by this process/);
    const held = locks[0].acquireSync('shared');
    expect(() => locks[1].release()).toThrow(/not held/);
    locks[0].release();
    expect(() => held.release()).toThrow(/not held/);
    held[Symbol.dispose]();
  });

  test('a lock too many, counting those that are waited for', async () => {
    const { locks, words } = twoProcesses();
    const held = Array.from({ length: 199 }, () => locks[0].acquireSync('shared'));
    const waiting = locks[0].acquire('exclusive');
    expect(() => locks[0].tryAcquire('shared')).toThrow(/too many LWLocks taken/);
    await expect(locks[0].acquire('shared')).rejects.toThrow(/too many LWLocks taken/);
    for (const hold of held) hold.release();
    (await waiting).release();
    expect(words[0]).toBe(0);
  });

  test('a blocking acquire of what this process holds, or waits for', async () => {
    const { locks } = twoProcesses();
    const held = locks[0].acquireSync('exclusive');
    expect(() => locks[0].acquireSync('shared')).toThrow(/would wait for ever/);
    const waiting = locks[1].acquire('exclusive');
    expect(() => locks[1].acquireSync('shared')).toThrow(/would wait for ever/);
    held.release();
    (await waiting).release();
  });

  test('a lock that is not bound, a mode that is none, a place that is none', () => {
    const { locks, processes, memory } = twoProcesses();
    expect(() => new Lwlock('x').tryAcquire('shared')).toThrow(/lock "x" lies in shared memory/);
    expect(() => locks[0].tryAcquire('update' as never)).toThrow(/'shared' or 'exclusive'/);
    expect(() => locks[0].bind(processes[0], memory, 2)).toThrow(/multiple of 4/);
    expect(() => locks[0].bind(processes[0], memory, 120)).toThrow(/needs 24 bytes/);
  });
});

test('leave() releases what is held and gives up what is waited for, at once', async () => {
  const { locks, words, processes } = twoProcesses();
  const held = locks[0].acquireSync('shared');
  locks[1].acquireSync('shared');
  const waiting = locks[1].acquire('exclusive');
  processes[1].leave();
  expect(words[0]).toBe(1);
  await expect(waiting).rejects.toThrow(/has left/);
  expect(() => locks[1].tryAcquire('shared')).toThrow(/has left/);
  held.release();
  expect(words[0]).toBe(0);
});

test.each(['async', 'sync'] as const)(
  'four threads count under one lock (%s)',
  async (how) => {
    const world = makeWorld(4);
    const memory = new SharedArrayBuffer(128);
    const turns = 5_000;
    const count = (slot: number) => inThread('countUnderLock', world, slot, memory, turns, how);
    expect(await Promise.all([0, 1, 2, 3].map(count))).toEqual([turns, turns, turns, turns]);
    expect(new Float64Array(memory, 64)[0]).toBe(4 * turns);
    expect(new Int32Array(memory)[0]).toBe(0);
  },
  60_000,
);
