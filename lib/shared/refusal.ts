// refusal.ts: what shared memory refuses, as the library's own error.
//
// The core says it in PostgreSQL's words and with a code of its own (native/core/shm/refusal.h);
// here it is told of what it speaks. Everything in lib/shared/ that can be refused goes through.

import { BgworkerError, type RefusalCode } from '../errors.ts';

/** Gives what `verb` gives. `subject`: what the sentence begins with, such as 'hash table "x"'. */
export function asked<Answer>(subject: string, verb: () => Answer): Answer {
  try {
    return verb();
  } catch (error) {
    if (!isRefusal(error)) throw error;
    throw new BgworkerError(error.code, `${subject}: ${error.message}`, { cause: error });
  }
}

/** No call of the user's is wrong then, and no other call will be right. */
const DAMAGE: ReadonlySet<string> = new Set<RefusalCode>([
  'ERR_SHMEM_CORRUPT',
  'ERR_SHMEM_FOREIGN',
  'ERR_SHMEM_LOCK_STUCK',
]);

/** Does this error say that shared memory cannot be believed any more? */
export function saysDamaged(error: unknown): boolean {
  return isRefusal(error) && DAMAGE.has(error.code);
}

function isRefusal(error: unknown): error is Error & { readonly code: RefusalCode } {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code?.startsWith('ERR_SHMEM_') === true;
}
