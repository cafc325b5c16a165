// A condition variable between processes that are objects of one thread: whom a wake reaches.

import { describe, expect, test } from 'vitest';
import { realProcesses } from './real.ts';

const three = () => realProcesses((shmem) => shmem.conditionVariable('changed'));
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** A condition that says how often it was asked. */
function asked(answer: () => boolean) {
  const condition = () => {
    condition.times++;
    return answer();
  };
  condition.times = 0;
  return condition;
}

test('a signal wakes the oldest, a broadcast all, once', async () => {
  const [{ face: a }, { face: b }, { face: c }] = three();
  let answer = false;
  const first = asked(() => answer);
  const second = asked(() => answer);
  const waits = [a.wait(first), b.wait(second)];
  c.signal();
  await nextTurn();
  expect([first.times, second.times]).toEqual([2, 1]);
  // It is the youngest now.
  c.signal();
  await nextTurn();
  expect([first.times, second.times]).toEqual([2, 2]);
  c.broadcast();
  await nextTurn();
  expect([first.times, second.times]).toEqual([3, 3]);
  answer = true;
  c.broadcast();
  expect(await Promise.all(waits)).toEqual([true, true]);
});

test('a condition may be asynchronous, and a signal meanwhile is not lost', async () => {
  const [{ face: a }, { face: b }] = three();
  let answer = false;
  const waiting = a.wait(async () => {
    const seen = answer;
    await nextTurn();
    return seen;
  });
  answer = true;
  b.signal();
  expect(await waiting).toBe(true);
});

describe('a wake that its waiter cannot use is passed on', () => {
  test('after an abort', async () => {
    const [{ face: a }, { face: b }, { face: c }] = three();
    const controller = new AbortController();
    const given = a.wait(() => false, { signal: controller.signal });
    let answer = false;
    const waiting = b.wait(() => answer);
    answer = true;
    c.signal();
    controller.abort(new Error('enough'));
    await expect(given).rejects.toThrow('enough');
    expect(await waiting).toBe(true);
  });

  test('after a condition that throws', async () => {
    const [{ face: a }, { face: b }, { face: c }] = three();
    let isLate = false;
    const second = asked(() => second.times > 1);
    let waiting: Promise<boolean> | undefined;
    const failing = a.wait(() => {
      if (!isLate) return false;
      // Another wake comes while it looks, and it is the oldest.
      waiting = b.wait(second);
      c.signal();
      throw new Error('no');
    });
    isLate = true;
    c.signal();
    await expect(failing).rejects.toThrow('no');
    expect(await waiting).toBe(true);
  });

  test('after the exit', async () => {
    const [first, { face: b }, { face: c }] = three();
    const given = first.face.wait(() => false);
    let answer = false;
    const waiting = b.wait(() => answer);
    answer = true;
    c.signal();
    first.attached.leave();
    await expect(given).rejects.toThrow(/has left the shared memory/);
    expect(await waiting).toBe(true);
  });
});

test('a time that is over gives false, in both forms, after a last look', async () => {
  const [{ face: a }] = three();
  expect(await a.wait(() => false, { timeoutMs: 5 })).toBe(false);
  expect(await a.wait(() => false, { timeoutMs: 0 })).toBe(false);
  expect(await a.wait(() => true, { timeoutMs: 0 })).toBe(true);
  expect(a.waitSync(() => false, { timeoutMs: 5 })).toBe(false);
  expect(a.waitSync(() => false, { timeoutMs: 0 })).toBe(false);
  expect(a.waitSync(() => true, { timeoutMs: 0 })).toBe(true);
  const late = asked(() => late.times > 2);
  expect(a.waitSync(late, { timeoutMs: 1 })).toBe(true);
});

test('a wait that found no place in the list has one once another wait is over', async () => {
  const [{ face: a }, { face: b }] = three();
  const over = Array.from({ length: 60 }, () => a.wait(() => false, { timeoutMs: 5 }));
  let answer = false;
  const waiting = a.wait(() => answer);
  await Promise.all(over);
  answer = true;
  b.signal();
  expect(await waiting).toBe(true);
});

test('the postmaster may die meanwhile', async () => {
  const [{ face, attached }] = three();
  const waiting = face.wait(() => false);
  attached.process.waits.orphan();
  await expect(waiting).rejects.toThrow(/the postmaster is dead/);
});
