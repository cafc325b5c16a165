// refusal.ts: what shared memory refuses, as the library's own error.
//
// The core says it in PostgreSQL's words and with a code of its own (native/core/shm/refusal.h);
// here it is told of what it speaks, and what to do. Everything in lib/shared/ that can be refused
// goes through.

import { BgworkerError, type RefusalCode } from '../errors.ts';
import { remedies } from './messages.ts';

/** Gives what `verb` gives. `subject`: what the sentence begins with, such as 'hash table "x"'. */
export function asked<Answer>(subject: string, verb: () => Answer): Answer {
  try {
    return verb();
  } catch (error) {
    if (isRefusal(error)) {
      const sentence = `${subject}: ${error.message}; ${remedies[error.code]}`;
      throw new BgworkerError(error.code, sentence, { cause: error });
    }
    if (isSystemError(error)) {
      throw new BgworkerError('ERR_SHARED_MEMORY', `${subject}: ${error.message}`, {
        cause: error,
      });
    }
    throw error;
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
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return code !== undefined && DAMAGE.has(code);
}

/** One of the core's own; a BgworkerError has its sentence already, and comes from a callback. */
function isRefusal(error: unknown): error is Error & { readonly code: RefusalCode } {
  if (!(error instanceof Error) || error instanceof BgworkerError) return false;
  return (error as NodeJS.ErrnoException).code?.startsWith('ERR_SHMEM_') === true;
}

/** A system call of the core's that failed; what a callback throws may look alike, and stays. */
function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error;
}
