// A barrier between processes that are objects of one thread: what each verb does to the others, and
// what is refused.

import { describe, expect, test } from 'vitest';
import type { Barrier } from '../../../lib/shared/barrier.ts';
import { realProcesses } from './real.ts';

const dynamic = () => realProcesses((shmem) => shmem.barrier('meeting'));
const staticOf = (participants: number) =>
  realProcesses((shmem) => shmem.barrier('meeting', { participants }));
const enough = () => {
  const controller = new AbortController();
  return { signal: controller.signal, call: () => controller.abort(new Error('enough')) };
};

test('all arrive, and the last is the elected one', async () => {
  const [{ face: a }, { face: b }, { face: c }] = staticOf(3);
  for (let phase = 0; phase < 3; phase++) {
    expect(a.phase).toBe(phase);
    const waits = [a.arriveAndWait(), b.arriveAndWait()];
    expect(c.arriveAndWaitSync()).toBe(true);
    expect(await Promise.all(waits)).toEqual([false, false]);
  }
});

test('one process arrives once: a second arrival would stand for somebody else', async () => {
  const [{ face: a }, { face: b }] = staticOf(2);
  const waiting = a.arriveAndWait();
  await expect(a.arriveAndWait()).rejects.toThrow(/waits there already/);
  expect(() => a.arriveAndWaitSync()).toThrow(/waits there already/);
  expect(b.phase).toBe(0);
  expect(await b.arriveAndWait()).toBe(true);
  expect(await waiting).toBe(false);
});

test('who gave up to wait has arrived all the same, once in a phase', async () => {
  const [{ face: a }, { face: b }] = staticOf(2);
  const { signal, call } = enough();
  const waiting = a.arriveAndWait({ signal });
  call();
  await expect(waiting).rejects.toThrow('enough');
  await expect(a.arriveAndWait()).rejects.toThrow(/has arrived in this phase already/);
  expect(await b.arriveAndWait()).toBe(true);
  const next = a.arriveAndWait();
  expect(await b.arriveAndWait()).toBe(true);
  expect(await next).toBe(false);
});

test('a signal that is aborted before keeps it from arriving', async () => {
  const [{ face: a }, { face: b }] = staticOf(2);
  await expect(a.arriveAndWait({ signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow(
    'no',
  );
  const waiting = b.arriveAndWait();
  expect(b.phase).toBe(0);
  expect(await a.arriveAndWait()).toBe(true);
  expect(await waiting).toBe(false);
});

describe('who gave up to wait and leaves takes its arrival along', () => {
  const verbs = ['detach', 'arriveAndDetach', 'arriveAndDetachExceptLast'] as const;
  test.each(verbs)('%s', async (verb) => {
    const [{ face: a }, { face: b }] = dynamic();
    for (const one of [a, b]) expect(one.attach()).toBe(0);
    const { signal, call } = enough();
    const waiting = a.arriveAndWait({ signal });
    expect(() => a[verb]()).toThrow(/waits there already/);
    call();
    await expect(waiting).rejects.toThrow('enough');
    expect(a[verb]()).toBe(false);
    // Else b would have been counted as arrived.
    expect([b.phase, b.participants]).toEqual([0, 1]);
    expect(await b.arriveAndWait()).toBe(true);
    expect(b.phase).toBe(1);
  });
});

test('the verbs of who is alone do to the phase what they say', () => {
  const [{ face: a }] = dynamic();
  expect([a.attach(), a.detach(), a.phase]).toEqual([0, true, 0]);
  expect([a.attach(), a.arriveAndDetach(), a.phase]).toEqual([0, true, 1]);
  expect([a.attach(), a.arriveAndDetachExceptLast(), a.phase]).toEqual([1, true, 2]);
  // It is still attached.
  expect([a.participants, a.detach(), a.participants]).toEqual([1, true, 0]);
});

test('a detach releases those who wait, and one of them is elected', async () => {
  const processes = dynamic();
  const [a, b, c] = processes.map(({ face }) => face) as [Barrier, Barrier, Barrier];
  for (const one of [a, b, c]) one.attach();
  const waits = [a.arriveAndWait(), b.arriveAndWait()];
  expect(c.detach()).toBe(false);
  expect((await Promise.all(waits)).sort()).toEqual([false, true]);
  expect(c.attach()).toBe(1);
});

describe('refused', () => {
  test('to attach twice, and to do anything unattached', async () => {
    const [{ face: a }] = dynamic();
    for (const verb of ['detach', 'arriveAndDetach', 'arriveAndDetachExceptLast'] as const) {
      expect(() => a[verb]()).toThrow(/does not take part; attach\(\) first/);
    }
    expect(() => a.arriveAndWaitSync()).toThrow(/attach\(\) first/);
    await expect(a.arriveAndWait()).rejects.toThrow(/attach\(\) first/);
    a.attach();
    expect(() => a.attach()).toThrow(/attaches once/);
  });

  test('to attach to a static one, and to detach from it', () => {
    const [{ face: a }] = staticOf(2);
    const verbs = ['attach', 'detach', 'arriveAndDetach', 'arriveAndDetachExceptLast'] as const;
    for (const verb of verbs) expect(() => a[verb]()).toThrow(new RegExp(`static.*${verb}\\(\\)`));
  });

  test.each([
    [2, 3, /is static, of 2 participants, and was asked for as static, of 3/],
    [2, 0, /is static, of 2 participants, and was asked for as dynamic/],
    [0, 2, /is dynamic, and was asked for as static, of 2/],
  ])('another number of participants than it has: %d, %d', (first, second, sentence) => {
    const ask =
      (participants: number) => (shmem: Parameters<Parameters<typeof realProcesses>[0]>[0]) =>
        shmem.barrier('meeting', { participants });
    expect(() => realProcesses(ask(first), [ask(first), ask(second)])).toThrow(sentence);
  });
});

test('more waits than there are places to wait in all end', async () => {
  const names = Array.from({ length: 80 }, (_, index) => `meeting ${index}`);
  const [a, b] = realProcesses((shmem) =>
    names.map((name) => shmem.barrier(name, { participants: 2 })),
  );
  const waits = a.face.map((barrier) => barrier.arriveAndWait());
  const others = b.face.map((barrier) => barrier.arriveAndWait());
  const [here, there] = [await Promise.all(waits), await Promise.all(others)];
  expect(here.map((elected, index) => Number(elected) + Number(there[index]))).toEqual(
    Array(80).fill(1),
  );
});

test('asked for again in a running process, it is the same object', () => {
  const [{ face, shmem }] = staticOf(2);
  expect(shmem.barrier('meeting', { participants: 2 })).toBe(face);
  expect(() => shmem.barrier('meeting', { participants: 3 })).toThrow(/in another shape/);
});
