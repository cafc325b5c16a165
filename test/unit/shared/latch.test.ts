// The latch between two processes, which here are objects of one thread, or two threads.

import { describe, expect, test } from 'vitest';
import { SharedLatch } from '../../../lib/shared/latch.ts';
import { ThisProcess } from '../../../lib/shared/this-process.ts';
import { SLOT_WORDS } from '../../../lib/shared/waits.ts';
import { MemoryPort, makeWorld } from './memory-port.ts';
import { inThread } from './threads.ts';

function twoProcesses() {
  const world = makeWorld(2);
  const ports = [new MemoryPort(world, 0), new MemoryPort(world, 1)] as const;
  const me = new ThisProcess(ports[0]);
  const other = new ThisProcess(ports[1]);
  return {
    ports,
    me,
    other,
    mine: SharedLatch.ofProcess(me),
    fromOther: SharedLatch.ofProcess(other, 0),
    asleep: () => Atomics.load(ports[0].processTable, 0),
  };
}

const SET = { latchSet: true, timeout: false, postmasterDeath: false };
const TIMEOUT = { latchSet: false, timeout: true, postmasterDeath: false };
const DEATH = { latchSet: false, timeout: false, postmasterDeath: true };

test('a set before the wait is not lost, and stays until the reset', async () => {
  const { mine, fromOther } = twoProcesses();
  fromOther.set();
  fromOther.set();
  expect(mine.isSet).toBe(true);
  expect(await mine.wait()).toEqual(SET);
  expect(await mine.wait({ timeoutMs: 0 })).toEqual(SET);
  mine.reset();
  expect(mine.isSet).toBe(false);
  expect(await mine.wait({ timeoutMs: 0 })).toEqual(TIMEOUT);
});

test('a set costs a ring only while the owner sleeps', async () => {
  const { mine, fromOther, ports, asleep } = twoProcesses();
  fromOther.set();
  expect(ports[1].rings).toBe(0);
  mine.reset();
  const waiting = mine.wait();
  expect(asleep()).toBe(1);
  fromOther.set();
  fromOther.set();
  expect(ports[1].rings).toBe(1);
  expect(await waiting).toEqual(SET);
  expect(asleep()).toBe(0);
  mine.reset();
  fromOther.set();
  expect(ports[1].rings).toBe(1);
});

test('its owner sets it without any ring', async () => {
  const { mine, ports } = twoProcesses();
  const waiting = mine.wait();
  mine.set();
  expect(await waiting).toEqual(SET);
  expect(ports[0].rings).toBe(0);
});

test('a wait ends by its timeout, and takes the mark back', async () => {
  const { mine, asleep } = twoProcesses();
  expect(await mine.wait({ timeoutMs: 5 })).toEqual(TIMEOUT);
  expect(asleep()).toBe(0);
});

test('a wait ends by its signal, with the reason', async () => {
  const { mine, asleep } = twoProcesses();
  const controller = new AbortController();
  const waiting = mine.wait({ signal: controller.signal });
  controller.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
  expect(asleep()).toBe(0);
  await expect(mine.wait({ signal: controller.signal })).rejects.toThrow('enough');
});

test('a wait ends by the death of the postmaster, and so do all after it', async () => {
  const { mine, me } = twoProcesses();
  expect(mine.orphan()).toBe(false);
  expect(await mine.wait()).toEqual(DEATH);
  const second = twoProcesses();
  const waiting = second.mine.wait();
  expect(second.mine.orphan()).toBe(true);
  expect(await waiting).toEqual(DEATH);
  expect(await second.mine.wait({ timeoutMs: 0 })).toEqual(DEATH);
  second.mine.set();
  expect(await second.mine.wait()).toEqual({ ...DEATH, latchSet: true });
  expect(me.waits.isOrphaned).toBe(true);
});

test('two waits of one latch both end', async () => {
  const { mine, fromOther } = twoProcesses();
  const waits = [mine.wait(), mine.wait({ timeoutMs: 60_000 })];
  fromOther.set();
  expect(await Promise.all(waits)).toEqual([SET, SET]);
});

test('after leave() every wait is refused', async () => {
  const { mine, me } = twoProcesses();
  const waiting = mine.wait();
  me.leave();
  await expect(waiting).rejects.toThrow(/has left the shared memory/);
  await expect(mine.wait()).rejects.toThrow(/has left the shared memory/);
});

describe('ownership', () => {
  test('only the owner waits', () => {
    const { fromOther } = twoProcesses();
    expect(() => fromOther.wait()).toThrow(/belongs to the process in slot 0/);
  });

  test('a latch of nobody takes the flag, is owned once, and disowned by its owner', async () => {
    const { me, other } = twoProcesses();
    const words = new Int32Array(new SharedArrayBuffer(64));
    const mine = new SharedLatch(me, words, 3);
    const theirs = new SharedLatch(other, words, 3);
    theirs.set();
    expect(() => mine.wait()).toThrow(/belongs to nobody/);
    mine.own();
    expect([mine.owner, mine.isSet]).toEqual([0, true]);
    expect(() => theirs.own()).toThrow(/owned by the process in slot 0/);
    expect(() => theirs.disown()).toThrow(/belongs to the process in slot 0/);
    mine.reset();
    const waiting = mine.wait();
    theirs.set();
    expect(await waiting).toEqual(SET);
    mine.disown();
    theirs.own();
    expect([theirs.owner, theirs.isSet]).toEqual([1, true]);
  });

  test('an owner that is no slot wakes nobody', () => {
    const { me } = twoProcesses();
    const words = Int32Array.of(12_345);
    new SharedLatch(me, words, 0).set();
    expect(words[0]).toBe((1 << 31) | 12_345);
  });

  test('there is a latch for each slot, and no other', () => {
    const { me, ports } = twoProcesses();
    SharedLatch.ofProcess(me, 1).set();
    expect(Atomics.load(ports[1].processTable, SLOT_WORDS + 1)).toBe((1 << 31) | 2);
    for (const slot of [-1, 2, 0.5]) {
      expect(() => SharedLatch.ofProcess(me, slot)).toThrow(/a slot must be a whole number/);
    }
  });
});

test.each([-1, NaN, 2_147_483_648, '5'])('timeoutMs %j is refused', (timeoutMs) => {
  const { mine } = twoProcesses();
  expect(() => mine.wait({ timeoutMs: timeoutMs as number })).toThrow(/timeoutMs must be/);
});

test('no wake-up is lost between two threads', async () => {
  const world = makeWorld(2);
  const memory = new SharedArrayBuffer(8);
  const turns = 20_000;
  const play = (slot: 0 | 1) => inThread('playPingPong', world, slot, memory, turns);
  expect(await Promise.all([play(0), play(1)])).toEqual([turns, turns]);
}, 60_000);
