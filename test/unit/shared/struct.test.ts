// Where fields lie, what their accessors do, and which layouts are none.

import { describe, expect, test } from 'vitest';
import { BgworkerError } from '../../../lib/errors.ts';
import { placeFields, type StructLayout } from '../../../lib/shared/layout.ts';
import { defineStruct } from '../../../lib/shared/struct.ts';
import { inThread } from './threads.ts';

describe('sizes, alignment and offsets are those of C', () => {
  const table: [StructLayout, bytes: number, alignment: number, offsets: number[]][] = [
    [{ a: 'u8' }, 1, 1, [0]],
    [{ a: 'u8', b: 'u16' }, 4, 2, [0, 2]],
    [{ a: 'u16', b: 'u8' }, 4, 2, [0, 2]],
    [{ a: 'i8', b: 'i64', c: 'i8' }, 24, 8, [0, 8, 16]],
    [{ a: 'i64', b: 'i8', c: 'i8' }, 16, 8, [0, 8, 9]],
    [{ a: 'f32', b: 'f64' }, 16, 8, [0, 8]],
    [{ a: { bytes: 3 } }, 3, 1, [0]],
    [{ a: { bytes: 3 }, b: 'u32' }, 8, 4, [0, 4]],
    [{ a: 'u32', b: { bytes: 5 }, c: 'u16' }, 12, 4, [0, 4, 10]],
    [{ count: 'u64', last: 'f64', flag: 'i32', note: { bytes: 64 } }, 88, 8, [0, 8, 16, 20]],
  ];
  test.each(table)('%j', (layout, bytes, alignment, offsets) => {
    const placed = placeFields('s', layout);
    expect(placed.byteLength).toBe(bytes);
    expect(placed.alignment).toBe(alignment);
    expect(placed.fields.map((field) => field.byteOffset)).toEqual(offsets);
  });
});

describe('refused, with the field and the rule', () => {
  const table: [name: unknown, layout: unknown, sentence: RegExp][] = [
    ['', { a: 'u8' }, /name must be a string that is not empty/],
    ['s', {}, /shared struct "s": layout must have a field at least/],
    ['s', [], /layout must be an object such as/],
    ['s', null, /layout must be an object such as/],
    ['s', { a: 'u65' }, /field "a" must be i8, u8, .*, got 'u65'/],
    ['s', { a: 'toString' }, /field "a" must be i8/],
    ['s', { a: { bytes: 0 } }, /a whole number from 1/],
    ['s', { a: { bytes: 1.5 } }, /a whole number from 1/],
    ['s', { a: { bytes: 2 ** 31 } }, /a whole number from 1/],
    ['s', { a: { bytes: 8, align: 4 } }, /field "a" must be/],
    ['s', { a: { bytes: 2 ** 30 }, b: 'u8' }, /field "b" must end within/],
    ['s', { '0': 'u8' }, /field "0" must have a name as in C/],
    ['s', { 'a-b': 'u8' }, /must have a name as in C/],
  ];
  test.each(table)('%j %j', (name, layout, sentence) => {
    const define = () => defineStruct(name as string, layout as StructLayout);
    expect(define).toThrow(BgworkerError);
    expect(define).toThrow(sentence);
  });
});

describe('integers', () => {
  const table: [type: 'i8' | 'u8' | 'i16' | 'u16' | 'i32' | 'u32', bits: number][] = [
    ['i8', 8],
    ['u8', 8],
    ['i16', 16],
    ['u16', 16],
    ['i32', 32],
    ['u32', 32],
  ];
  test.each(table)('%s does each operation, and wraps as in C', (type, bits) => {
    const struct = defineStruct('s', { before: 'u8', n: type, after: 'u8' });
    struct.bind(new ArrayBuffer(64), 8);
    const { n, before, after } = struct.fields;
    n.store(5);
    expect([n.add(3), n.load()]).toEqual([5, 8]);
    expect([n.sub(2), n.load()]).toEqual([8, 6]);
    expect([n.and(12), n.load()]).toEqual([6, 4]);
    expect([n.or(3), n.load()]).toEqual([4, 7]);
    expect([n.xor(2), n.load()]).toEqual([7, 5]);
    expect([n.exchange(9), n.load()]).toEqual([5, 9]);
    expect([n.compareExchange(1, 2), n.load()]).toEqual([9, 9]);
    expect([n.compareExchange(9, 2), n.load()]).toEqual([9, 2]);
    n.store(-1);
    expect(n.load()).toBe(type.startsWith('u') ? 2 ** bits - 1 : -1);
    n.add(1);
    expect([n.load(), before.load(), after.load()]).toEqual([0, 0, 0]);
  });

  test.each(['i64', 'u64'] as const)('%s is a bigint', (type) => {
    const struct = defineStruct('s', { n: type });
    struct.bind(new SharedArrayBuffer(8), 0);
    const { n } = struct.fields;
    n.store(5n);
    expect([n.add(3n), n.sub(2n), n.and(12n), n.or(3n), n.xor(2n)]).toEqual([5n, 8n, 6n, 4n, 7n]);
    expect([n.exchange(9n), n.compareExchange(1n, 2n), n.compareExchange(9n, 2n)]).toEqual([
      5n,
      9n,
      9n,
    ]);
    n.store(-1n);
    expect(n.load()).toBe(type === 'u64' ? 2n ** 64n - 1n : -1n);
    expect(() => n.store(1 as never)).toThrow(TypeError);
  });

  test('four threads lose no add', async () => {
    const memory = new SharedArrayBuffer(8);
    const turns = 50_000;
    await Promise.all([0, 1, 2, 3].map(() => inThread('countAtomically', memory, turns)));
    expect(new BigUint64Array(memory)[0]).toBe(BigInt(4 * turns));
  });
});

test('floats are what C reads there', () => {
  const buffer = new ArrayBuffer(16);
  const struct = defineStruct('s', { small: 'f32', large: 'f64' });
  struct.bind(buffer, 0);
  const { small, large } = struct.fields;
  for (const value of [0, -0, 1.5, -Math.PI, Infinity, NaN, Number.MIN_VALUE, Number.MAX_VALUE]) {
    large.store(value);
    small.store(value);
    expect(large.load()).toBe(value);
    expect(new Float64Array(buffer)[1]).toBe(value);
    expect(small.load()).toBe(Math.fround(value));
    expect(new Float32Array(buffer)[0]).toBe(Math.fround(value));
  }
});

test('bytes are copied in and out, and stay in their field', () => {
  const buffer = new ArrayBuffer(16);
  const struct = defineStruct('s', { a: 'u32', note: { bytes: 4 }, b: 'u32' });
  struct.bind(buffer, 0);
  const { note } = struct.fields;
  note.write(Uint8Array.of(1, 2, 3));
  note.write(Uint8Array.of(9), 3);
  const copy = note.read();
  note.view()[0] = 7;
  expect([...copy]).toEqual([1, 2, 3, 9]);
  expect([...note.read()]).toEqual([7, 2, 3, 9]);
  for (const [length, at] of [
    [5, 0],
    [1, 4],
    [1, -1],
    [1, 0.5],
  ] as const) {
    expect(() => note.write(new Uint8Array(length), at)).toThrow(/has 4 bytes/);
  }
  expect([...new Uint32Array(buffer)].filter((_, index) => index !== 1)).toEqual([0, 0, 0]);
});

test('a struct that is not bound says so, and what to do', () => {
  const struct = defineStruct('hits', { count: 'u64', note: { bytes: 4 } });
  const sentence = /field "count" of shared struct "hits" lies in shared memory.*SHMEM_ACCESS/;
  expect(() => struct.fields.count.load()).toThrow(sentence);
  struct.bind(new ArrayBuffer(16), 0);
  struct.fields.count.add(1n);
  struct.unbind();
  expect(() => struct.fields.count.add(1n)).toThrow(sentence);
  expect(() => struct.fields.note.read()).toThrow(/field "note"/);
});

test('a place that is too small or not aligned is refused', () => {
  const struct = defineStruct('hits', { count: 'u64' });
  const table: [number, RegExp][] = [
    [4, /must start at a multiple of 8 bytes, got 4/],
    [-8, /must start at a multiple of 8/],
    [16, /needs 8 bytes, and there are 0/],
    [1024, /needs 8 bytes, and there are 0/],
  ];
  for (const [byteOffset, sentence] of table) {
    expect(() => struct.bind(new ArrayBuffer(16), byteOffset)).toThrow(sentence);
  }
});
