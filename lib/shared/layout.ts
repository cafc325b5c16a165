// layout.ts: where the fields of a shared struct lie. The rules are C's, on every machine we run on:
// a field begins at a multiple of its own size (bytes: anywhere), fields keep their order, and the
// whole is padded to a multiple of its largest alignment. So
//
//     { count: 'u64', last: 'f64', flag: 'i32', note: { bytes: 64 } }
//
// is  struct { uint64_t count; double last; int32_t flag; uint8_t note[64]; }
//
// with offsets 0, 8, 16, 20, alignment 8 and 88 bytes. Names are C's, too, so that a program in C
// can say the same; this also keeps JavaScript from reordering them (it would, for '0' and '1').

import { BgworkerError } from '../errors.ts';
import { invalidOption } from '../messages.ts';
import { structSubject } from './messages.ts';

const BYTES_OF = {
  i8: 1,
  u8: 1,
  i16: 2,
  u16: 2,
  i32: 4,
  u32: 4,
  i64: 8,
  u64: 8,
  f32: 4,
  f64: 8,
} as const;

export type ScalarType = keyof typeof BYTES_OF;
export type FieldType = ScalarType | { readonly bytes: number };
export type StructLayout = { readonly [name: string]: FieldType };

export interface FieldPlace {
  readonly name: string;
  readonly type: FieldType;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** A layout with its numbers, as sizeof, alignof and offsetof give them in C. */
export interface PlacedLayout {
  readonly byteLength: number;
  readonly alignment: number;
  readonly fields: readonly FieldPlace[];
}

/** A struct ends before the offsets of a 32-bit index do. */
export const STRUCT_MAX_BYTES = 2 ** 30;

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Throws for a layout that is none, and names the field and the rule. */
export function placeFields(structName: string, layout: StructLayout): PlacedLayout {
  const refuse = (path: string, rule: string, got: unknown): never => {
    throw new BgworkerError(
      'ERR_INVALID_OPTION',
      invalidOption(structSubject(structName), path, rule, got),
    );
  };
  if (typeof structName !== 'string' || structName === '') {
    refuse('name', 'must be a string that is not empty', structName);
  }
  if (typeof layout !== 'object' || layout === null || Array.isArray(layout)) {
    refuse('layout', "must be an object such as { count: 'u64', note: { bytes: 64 } }", layout);
  }
  const fields: FieldPlace[] = [];
  let byteOffset = 0;
  let alignment = 1;
  for (const [name, type] of Object.entries(layout)) {
    if (!IDENTIFIER.test(name)) {
      refuse(`field "${name}"`, 'must have a name as in C: letters, digits and _', name);
    }
    const { byteLength, align } = measure(type) ?? refuse(`field "${name}"`, TYPE_RULE, type);
    byteOffset = roundUp(byteOffset, align);
    fields.push({ name, type, byteOffset, byteLength });
    byteOffset += byteLength;
    alignment = Math.max(alignment, align);
    if (byteOffset > STRUCT_MAX_BYTES) {
      refuse(`field "${name}"`, `must end within ${STRUCT_MAX_BYTES} bytes`, byteOffset);
    }
  }
  if (fields.length === 0) refuse('layout', 'must have a field at least', layout);
  return { byteLength: roundUp(byteOffset, alignment), alignment, fields };
}

const TYPE_RULE = `must be ${Object.keys(BYTES_OF).join(', ')}, or { bytes: a whole number from 1 to ${STRUCT_MAX_BYTES} }`;

function measure(type: FieldType): { byteLength: number; align: number } | null {
  if (typeof type === 'string') {
    if (!Object.hasOwn(BYTES_OF, type)) return null;
    return { byteLength: BYTES_OF[type], align: BYTES_OF[type] };
  }
  if (typeof type !== 'object' || type === null || Object.keys(type).join() !== 'bytes')
    return null;
  const { bytes } = type;
  const isCount = Number.isInteger(bytes) && bytes >= 1 && bytes <= STRUCT_MAX_BYTES;
  return isCount ? { byteLength: bytes, align: 1 } : null;
}

function roundUp(bytes: number, alignment: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}
