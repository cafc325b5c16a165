// leave.ts: the only way out of a forked child.
//
// node's normal exit joins helper threads that a fork does not have, and waits for them for ever.
// So every way that ends in it (process.exit(), an uncaught error, a rejected promise, a drained
// event loop) is cut off at its last step that is still JavaScript, and leaves by _exit(2).

import { native } from '../native.ts';

type Cleanup = () => void;

/**
 * Child only, once. `cleanup` runs last, after every 'exit' listener: it disarms the dead-man
 * switch, so what comes before it must have run for the exit to count as clean.
 */
export function leaveByExitNow(cleanup: Cleanup): void {
  const leave = (code: number): never => {
    cleanup();
    return native.exitNow(code);
  };
  // process.exit() emits 'exit' and then calls this; the other ways end after the 'exit' event.
  process.reallyExit = (code?: number) => leave(code ?? currentCode(0));
  process.prependListener('exit', function first(code: number) {
    // This listener came first; the rest of the list is run from here, so that nothing is left of
    // the event when it leaves. A listener that was added later still sees its turn.
    const rest = process.rawListeners('exit').filter((listener) => listener !== first);
    for (const listener of rest) {
      try {
        listener.call(process, currentCode(code));
      } catch (error) {
        process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
        leave(1);
      }
    }
    leave(currentCode(code));
  });
}

/** A listener may have set process.exitCode; undefined stands for what the event said. */
function currentCode(code: number): number {
  const set = process.exitCode;
  return typeof set === 'number' ? set : set === undefined ? code : Number.parseInt(String(set), 10);
}

declare global {
  namespace NodeJS {
    interface Process {
      /** What process.exit() calls last. Undocumented, and the same in every Node from 0.8 on. */
      reallyExit(code?: number): never;
    }
  }
}
