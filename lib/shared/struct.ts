// struct.ts: a named struct in shared memory, with an accessor for each field.
//
//     const hits = defineStruct('hits', { count: 'u64', last: 'f64', note: { bytes: 64 } });
//     hits.bind(buffer, byteOffset);            // the wiring, in an attached process
//     hits.fields.count.add(1n);                // the user, who gets `fields` only
//
// It is defined once, where shared memory is requested, and bound in each process, again after each
// crash cycle, whose memory is new. The numbers of the layout are C's (layout.ts).

import { BgworkerError } from '../errors.ts';
import {
  type AnyField,
  type BytesField,
  type FloatField,
  type IntegerField,
  makeField,
} from './fields.ts';
import { type FieldType, type PlacedLayout, placeFields, type StructLayout } from './layout.ts';
import { doesNotFit, misplaced, structSubject } from './messages.ts';

/** The accessor of a field of this type. */
export type FieldOf<Type extends FieldType> = Type extends 'i64' | 'u64'
  ? IntegerField<bigint>
  : Type extends 'f32' | 'f64'
    ? FloatField
    : Type extends { readonly bytes: number }
      ? BytesField
      : IntegerField<number>;

/** What the user has of a struct: `{ count: 'u64' }` gives `{ readonly count: IntegerField<bigint> }`. */
export type Struct<Layout extends StructLayout> = {
  readonly [Name in keyof Layout]: FieldOf<Layout[Name]>;
};

export class SharedStruct<Layout extends StructLayout> {
  readonly name: string;
  readonly layout: PlacedLayout;
  readonly fields: Struct<Layout>;
  readonly #fields: readonly { readonly field: AnyField; readonly byteOffset: number }[];

  constructor(name: string, layout: Layout) {
    this.name = name;
    this.layout = placeFields(name, layout);
    this.#fields = this.layout.fields.map((place) => ({
      field: makeField(name, place),
      byteOffset: place.byteOffset,
    }));
    const entries = this.layout.fields.map((place, index) => [
      place.name,
      this.#fields[index]?.field,
    ]);
    this.fields = Object.freeze(Object.fromEntries(entries)) as Struct<Layout>;
  }

  /** `byteOffset`: of the struct in the buffer, whose own start is on a page. */
  bind(buffer: ArrayBufferLike, byteOffset: number): void {
    const { alignment, byteLength } = this.layout;
    const refuse = (problem: string) => {
      throw new BgworkerError('ERR_INVALID_OPTION', problem);
    };
    if (!Number.isInteger(byteOffset) || byteOffset < 0 || byteOffset % alignment !== 0) {
      refuse(misplaced(structSubject(this.name), alignment, byteOffset));
    }
    const room = Math.max(0, buffer.byteLength - byteOffset);
    if (byteLength > room) refuse(doesNotFit(structSubject(this.name), byteLength, room));
    for (const { field, byteOffset: inside } of this.#fields) {
      field.bind(buffer, byteOffset + inside);
    }
  }

  /** Before the memory is unmapped, and in a process that is not attached. */
  unbind(): void {
    for (const { field } of this.#fields) field.unbind();
  }
}

export function defineStruct<const Layout extends StructLayout>(
  name: string,
  layout: Layout,
): SharedStruct<Layout> {
  return new SharedStruct(name, layout);
}
