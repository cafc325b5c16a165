// The addon's Attachment: it touches no memory but its own, whatever it is asked for.

import { describe, expect, test } from 'vitest';
import { realProcesses } from './real.ts';

function attachment() {
  const [{ attached }] = realProcesses(() => null);
  return { attached, memory: attached.attachment };
}

const coded = (code: string) => expect.objectContaining({ code });

test.each([
  ['unaligned', (segment: ArrayBuffer) => [segment, 65] as const],
  ['half outside', (segment: ArrayBuffer) => [segment, 8188] as const],
  ['outside', (segment: ArrayBuffer) => [segment, 1 << 30] as const],
  ['of another buffer', () => [new ArrayBuffer(64), 0] as const],
  ['of an empty buffer', () => [new ArrayBuffer(0), 0] as const],
])('a place that is none: %s', (_what, placed) => {
  const { memory } = attachment();
  const [buffer, offset] = placed(memory.createSegment(8192).buffer);
  const verbs: (() => unknown)[] = [
    () => memory.tryLock(buffer, offset, 'shared'),
    () => memory.beginLock(buffer, offset, 'exclusive'),
    () => memory.acquireLock(buffer, offset, 'exclusive'),
    () => memory.releaseLock(buffer, offset, 'exclusive'),
    () => memory.beginCondition(buffer, offset),
    () => memory.signalCondition(buffer, offset),
    () => memory.broadcastCondition(buffer, offset),
    () => memory.sleepOnCondition(buffer, offset),
    () => memory.initBarrier(buffer, offset, 1),
    () => memory.attachBarrier(buffer, offset),
    () => memory.detachBarrier(buffer, offset),
    () => memory.arriveAndDetach(buffer, offset),
    () => memory.arriveAndDetachExceptLast(buffer, offset),
    () => memory.barrierState(buffer, offset),
    () => memory.beginArrival(buffer, offset),
    () => memory.arriveAndWait(buffer, offset),
  ];
  for (const verb of verbs) expect(verb, String(verb)).toThrow(coded('ERR_SHMEM_BAD_PLACE'));
});

test('a segment is one buffer, which is empty once it is detached', () => {
  const { memory } = attachment();
  const { handle, buffer } = memory.createSegment(8192);
  expect(memory.findSegment(handle)?.buffer).toBe(buffer);
  memory.detachSegment(handle);
  expect([buffer.byteLength, memory.findSegment(handle)]).toEqual([0, null]);
  expect(() => memory.tryLock(buffer, 64, 'shared')).toThrow(coded('ERR_SHMEM_BAD_PLACE'));
});

describe('numbers that name nothing', () => {
  test.each([
    ['a wait for a lock', (memory) => memory.isGranted(0)],
    ['one that is given up', (memory) => memory.cancelLock(7)],
    ['a wait for a wake', (memory) => memory.takeWake(0)],
    ['one that is given up', (memory) => memory.cancelCondition(2 ** 31)],
    ['an arrival', (memory) => memory.arrivalState(0)],
    ['a claim of a name', (memory) => memory.publishStruct(0)],
    ['a claim of a segment', (memory) => memory.publishNamed(0)],
    ['a hash table', (memory) => memory.hashFind(0, new Uint8Array(1))],
    ['a slot', (memory) => memory.ring(3, 1)],
    ['a negative one', (memory) => memory.isGranted(-1)],
  ] satisfies [string, (memory: ReturnType<typeof attachment>['memory']) => unknown][])(
    '%s',
    (_what, verb) => {
      expect(() => verb(attachment().memory)).toThrow(TypeError);
    },
  );
});

test('after its end every verb says so, and the end is there once', () => {
  const { attached, memory } = attachment();
  const { buffer } = memory.createSegment(4096);
  const { fixed } = memory;
  // A wait under way, a claim and a sleep are ended with it.
  expect(memory.beginCondition(buffer, 0)).toBe(0);
  memory.sleepOnCondition(buffer, 64, 1);
  memory.claimNamed('cache', 64);
  attached.leave();
  memory.end();
  for (const verb of [
    () => memory.slot,
    () => memory.tryLock(fixed, 0, 'shared'),
    () => memory.createSegment(64),
    () => memory.listNamed(),
    () => memory.ring(0, 1),
    () => memory.endSleep(),
  ]) {
    expect(verb, String(verb)).toThrow(coded('ERR_SHMEM_LEFT'));
  }
  expect(buffer.byteLength).toBe(0);
});
