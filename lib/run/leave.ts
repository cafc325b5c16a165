// leave.ts: the only way out of a forked child.
//
// node's normal exit joins helper threads that a fork does not have, and waits for them for ever.
// So every way that ends in it (process.exit(), an uncaught error, a rejected promise, a drained
// event loop) is cut off at its last step that is still JavaScript, and leaves by _exit(2).
//
// That step is process.emit(), not a listener: a worker may remove all listeners there are.

import { native } from '../native.ts';

export interface Leaving {
  /**
   * Runs last, after every 'exit' listener: it disarms the dead-man switch, so what comes before
   * it must have run for the exit to count as clean.
   */
  cleanup(): void;
  /** An error that no listener of the worker's own took. Ends in process.exit(). */
  failed(error: unknown): void;
}

/** What node's own exit codes say: an error in 'exit' listeners, and in the handler of errors. */
const FAILED = 1;
const FAILED_IN_HANDLER = 7;

/** Child only, once. Gives what undoes it, for the rehearsal. */
export function leaveByExitNow({ cleanup, failed }: Leaving): () => void {
  const { emit: original, reallyExit } = process;
  process.reallyExit = (code = 0) => {
    cleanup();
    return native.exitNow(code & 0xff); // What the kernel keeps of it: exit(-1) is 255.
  };
  const emit = (...args: unknown[]): boolean => Reflect.apply(original, process, args);
  const attempt = (code: number, event: string, args: unknown[]): boolean => {
    try {
      return emit(event, ...args);
    } catch (error) {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      return process.reallyExit(code);
    }
  };
  const lastWord = (event: string | symbol, ...args: unknown[]): boolean => {
    switch (event) {
      case 'exit':
        attempt(FAILED, event, args);
        // By its name: libraries that have put their own in front of it want to be asked, too.
        return process.reallyExit(currentCode(Number(args[0])));
      case 'uncaughtException':
        // A handler of the worker's own has the last word.
        if (!attempt(FAILED_IN_HANDLER, event, args)) failed(args[0]);
        return true;
      default:
        return emit(event, ...args);
    }
  };
  process.emit = lastWord as typeof process.emit;
  return () => Object.assign(process, { emit: original, reallyExit });
}

/** A listener may have set process.exitCode; undefined stands for what the event said. */
function currentCode(code: number): number {
  return Number(process.exitCode ?? code);
}

declare global {
  namespace NodeJS {
    interface Process {
      /** What process.exit() calls last. Undocumented, and the same in every Node from 0.8 on. */
      reallyExit(code?: number): never;
    }
  }
}
