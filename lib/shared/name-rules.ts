// name-rules.ts: which names shared memory takes. What the C core would refuse as well is said here
// with the verb that was called.

import { BgworkerError } from '../errors.ts';
import * as messages from './messages.ts';

/** In the main area, in bytes of UTF-8: the directory's 63, and room for the longest prefix. */
export const SHARED_NAME_MAX_BYTES = 48;

/** In the directory, of the names of all that is no struct. */
const PREFIXES = ['lwlock:', 'cv:', 'barrier:'];

export function checkName(verb: string, name: unknown): void {
  const bytes = typeof name === 'string' ? Buffer.byteLength(name) : 0;
  if (bytes >= 1 && bytes <= SHARED_NAME_MAX_BYTES && !(name as string).includes('\0')) return;
  throw new BgworkerError(
    'ERR_INVALID_OPTION',
    messages.sharedName(verb, SHARED_NAME_MAX_BYTES, name),
  );
}

/** Of a segment or a hash table: a text; the core says the rest. */
export function checkDynamicName(verb: string, name: unknown): void {
  if (typeof name === 'string') return;
  throw new BgworkerError('ERR_INVALID_OPTION', messages.dynamicName(verb, name));
}

export function checkStructName(name: unknown): void {
  checkName('struct', name);
  const prefix = PREFIXES.find((one) => (name as string).startsWith(one));
  if (prefix === undefined) return;
  throw new BgworkerError('ERR_INVALID_OPTION', messages.reservedName(name as string, prefix));
}
