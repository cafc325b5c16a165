// fields.ts: the accessors of a shared struct's fields.
//
// A field knows its place once it is bound to memory. Until then, and after it is unbound, each use
// throws: a closure of a preload module can carry a field into a worker that is not attached, where
// the memory is not mapped and a look at it would be the end of the process.
//
// Integers and floats are atomic and sequentially consistent, between threads, processes and C's
// std::atomic; what was written before a store is seen by who loads the stored value. Integers
// wrap around as in C. Bytes are plain memory: who shares them, locks or publishes through a field.

import { BgworkerError } from '../errors.ts';
import type { FieldPlace } from './layout.ts';
import { bytesOutside, notAttached } from './messages.ts';

type SmallView = Int8Array | Uint8Array | Int16Array | Uint16Array | Int32Array | Uint32Array;
type LargeView = BigInt64Array | BigUint64Array;
type ViewClass<View> = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => View;

/**
 * An integer of 1, 2 or 4 bytes (number) or 8 (bigint). What changes it gives the value before, as
 * Atomics do; a value out of range wraps around.
 *
 * @throws BgworkerError ERR_WRONG_STATE, each verb, where the memory is not mapped. The same holds for
 * the other kinds of fields.
 */
export interface IntegerField<Value extends number | bigint> {
  load(): Value;
  store(value: Value): void;
  add(value: Value): Value;
  sub(value: Value): Value;
  and(value: Value): Value;
  or(value: Value): Value;
  xor(value: Value): Value;
  exchange(value: Value): Value;
  /** Stores `replacement` if the field holds `expected`; it did if that is what is returned. */
  compareExchange(expected: Value, replacement: Value): Value;
}

/** A float of 4 or 8 bytes; atomic, and so never half of one value and half of another. */
export interface FloatField {
  load(): number;
  store(value: number): void;
}

/** Plain memory: who shares it, locks, or publishes it through another field. */
export interface BytesField {
  readonly byteLength: number;
  /** A copy. */
  read(): Uint8Array<ArrayBuffer>;
  /**
   * Copies `bytes` into the field, from byte `at` (0) on; the rest of the field stays as it is.
   *
   * @throws BgworkerError ERR_INVALID_OPTION if they are not all inside.
   */
  write(bytes: Uint8Array, at?: number): void;
  /** The memory itself. Not to be kept longer than the process is attached. */
  view(): Uint8Array;
}

/** The side of the wiring: it alone knows where memory is, and for how long. */
export interface Bindable {
  bind(buffer: ArrayBufferLike, byteOffset: number): void;
  unbind(): void;
}

/** A view of one element, there or not. */
abstract class Field<View> implements Bindable {
  #view: View | null = null;
  readonly #what: string;
  readonly #View: ViewClass<View>;
  readonly #length: number;

  constructor(what: string, View: ViewClass<View>, length: number) {
    this.#what = what;
    this.#View = View;
    this.#length = length;
  }

  bind(buffer: ArrayBufferLike, byteOffset: number): void {
    this.#view = new this.#View(buffer, byteOffset, this.#length);
  }

  unbind(): void {
    this.#view = null;
  }

  protected get memory(): View {
    const view = this.#view;
    if (view === null) throw new BgworkerError('ERR_WRONG_STATE', notAttached(this.#what));
    return view;
  }

  protected get what(): string {
    return this.#what;
  }
}

class NumberField extends Field<SmallView> implements IntegerField<number> {
  load(): number {
    return Atomics.load(this.memory, 0);
  }
  store(value: number): void {
    Atomics.store(this.memory, 0, value);
  }
  add(value: number): number {
    return Atomics.add(this.memory, 0, value);
  }
  sub(value: number): number {
    return Atomics.sub(this.memory, 0, value);
  }
  and(value: number): number {
    return Atomics.and(this.memory, 0, value);
  }
  or(value: number): number {
    return Atomics.or(this.memory, 0, value);
  }
  xor(value: number): number {
    return Atomics.xor(this.memory, 0, value);
  }
  exchange(value: number): number {
    return Atomics.exchange(this.memory, 0, value);
  }
  compareExchange(expected: number, replacement: number): number {
    return Atomics.compareExchange(this.memory, 0, expected, replacement);
  }
}

class BigIntField extends Field<LargeView> implements IntegerField<bigint> {
  load(): bigint {
    return Atomics.load(this.memory, 0);
  }
  store(value: bigint): void {
    Atomics.store(this.memory, 0, value);
  }
  add(value: bigint): bigint {
    return Atomics.add(this.memory, 0, value);
  }
  sub(value: bigint): bigint {
    return Atomics.sub(this.memory, 0, value);
  }
  and(value: bigint): bigint {
    return Atomics.and(this.memory, 0, value);
  }
  or(value: bigint): bigint {
    return Atomics.or(this.memory, 0, value);
  }
  xor(value: bigint): bigint {
    return Atomics.xor(this.memory, 0, value);
  }
  exchange(value: bigint): bigint {
    return Atomics.exchange(this.memory, 0, value);
  }
  compareExchange(expected: bigint, replacement: bigint): bigint {
    return Atomics.compareExchange(this.memory, 0, expected, replacement);
  }
}

// There are no Atomics of floats: their bits travel as an integer, which a scratch word turns over.
const scratchFloat = new Float64Array(1);
const scratchBits = new BigInt64Array(scratchFloat.buffer);
const scratchSmallFloat = new Float32Array(1);
const scratchSmallBits = new Int32Array(scratchSmallFloat.buffer);

class Float64Field extends Field<BigInt64Array> implements FloatField {
  load(): number {
    scratchBits[0] = Atomics.load(this.memory, 0);
    return scratchFloat[0] as number;
  }
  store(value: number): void {
    scratchFloat[0] = value;
    Atomics.store(this.memory, 0, scratchBits[0] as bigint);
  }
}

class Float32Field extends Field<Int32Array> implements FloatField {
  load(): number {
    scratchSmallBits[0] = Atomics.load(this.memory, 0);
    return scratchSmallFloat[0] as number;
  }
  store(value: number): void {
    scratchSmallFloat[0] = value;
    Atomics.store(this.memory, 0, scratchSmallBits[0] as number);
  }
}

class PlainBytesField extends Field<Uint8Array> implements BytesField {
  readonly byteLength: number;

  constructor(what: string, byteLength: number) {
    super(what, Uint8Array, byteLength);
    this.byteLength = byteLength;
  }
  read(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.memory);
  }
  write(bytes: Uint8Array, at = 0): void {
    const memory = this.memory;
    if (!(Number.isInteger(at) && at >= 0 && at + bytes.length <= memory.length)) {
      const problem = bytesOutside(this.what, at, bytes.length, memory.length);
      throw new BgworkerError('ERR_INVALID_OPTION', problem);
    }
    memory.set(bytes, at);
  }
  view(): Uint8Array {
    return this.memory;
  }
}

export type AnyField = (NumberField | BigIntField | Float64Field | Float32Field | PlainBytesField) &
  Bindable;

export function makeField(structName: string, { name, type }: FieldPlace): AnyField {
  const what = `field "${name}" of shared struct "${structName}"`;
  switch (type) {
    case 'i8':
      return new NumberField(what, Int8Array, 1);
    case 'u8':
      return new NumberField(what, Uint8Array, 1);
    case 'i16':
      return new NumberField(what, Int16Array, 1);
    case 'u16':
      return new NumberField(what, Uint16Array, 1);
    case 'i32':
      return new NumberField(what, Int32Array, 1);
    case 'u32':
      return new NumberField(what, Uint32Array, 1);
    case 'i64':
      return new BigIntField(what, BigInt64Array, 1);
    case 'u64':
      return new BigIntField(what, BigUint64Array, 1);
    case 'f32':
      return new Float32Field(what, Int32Array, 1);
    case 'f64':
      return new Float64Field(what, BigInt64Array, 1);
    default:
      return new PlainBytesField(what, type.bytes);
  }
}
