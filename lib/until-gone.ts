// until-gone.ts: waits for the end of one worker's process, as the postmaster tells it.

import type { Exit } from './model/exit.ts';
import type { Pid } from './model/standing.ts';
import type { WorkerInfo } from './worker-info.ts';

type Listener = (worker: WorkerInfo, exit: Exit, pid: Pid) => void;

/** The part of the postmaster that says so. */
export interface ExitSource {
  on(event: 'exit', listener: Listener): unknown;
  off(event: 'exit', listener: Listener): unknown;
}

/** The process is there now. Rejects with the signal's reason if that comes first. */
export function untilGone(
  postmaster: ExitSource,
  pid: Pid | null,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => {
      postmaster.off('exit', exited);
      signal?.removeEventListener('abort', aborted);
      act();
    };
    const exited: Listener = (_worker, _exit, which) => {
      if (which === pid) settle(resolve);
    };
    const aborted = () => settle(() => reject(signal?.reason));
    postmaster.on('exit', exited);
    signal?.addEventListener('abort', aborted, { once: true });
  });
}
