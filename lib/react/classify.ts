// classify.ts: what an exit means for its worker (CleanupBackend), as one total function.

import type { Exit, Verdict } from '../model/exit.ts';
import { isAttached, type Registration } from '../model/registration.ts';

/**
 * Exit 0 is final, exit 1 is a failure to be tried again, everything else is a crash. A crash
 * puts shared memory in doubt only if the worker was attached to it; without, it is a failure.
 * An attached worker that left without its exit cleanup has crashed whatever its code says.
 */
export function classify(exit: Exit, registration: Registration): Verdict {
  const failure = registration.restartTime === 'never' ? 'retire' : 'restart';
  const { cause } = exit;
  if (isAttached(registration) && !(isOrderly(exit) && exit.cleanDetach)) return 'crash';
  if (cause.kind === 'code' && cause.code === 0)
    return registration.restartOnExit0 ? 'restart-at-once' : 'retire';
  return failure;
}

/** It left by itself, done or failed. */
export function isOrderly({ cause }: Exit): boolean {
  return cause.kind === 'code' && (cause.code === 0 || cause.code === 1);
}
