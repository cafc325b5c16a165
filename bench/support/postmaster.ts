// postmaster.ts: a real Postmaster whose workers are the subjects.

import { Postmaster } from 'bgworker';
import type { Context } from './figure.ts';
import type { Scratch } from './scratch.ts';

const SUBJECTS = new URL('../subject/', import.meta.url);

export interface BenchPostmasterOptions {
  /** A file of subject/, without its ending. */
  readonly preload: string;
  readonly workers: number;
  /** Default: 'warn'. */
  readonly logLevel?: 'warn' | 'error';
}

/** The caller starts it, so that what it listens to first is its own business. */
export function benchPostmaster(scratch: Scratch, options: BenchPostmasterOptions): Postmaster {
  return new Postmaster({
    dataDirectory: scratch.in(options.preload),
    preload: [new URL(`${options.preload}.js`, SUBJECTS)],
    maxWorkerProcesses: options.workers,
    log: { level: options.logLevel ?? 'warn' },
  });
}

/** Ends a worker with exit 0; it is started again at once. Resolves when its exit is known. */
export async function endWorker(
  postmaster: Postmaster,
  pid: number | undefined,
  { signal }: Context,
): Promise<number> {
  // kill(2) would take 0 for the whole group of this process.
  if (pid === undefined || pid <= 0) throw new Error('there is no such worker');
  const knownAt = new Promise<number>((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    signal.addEventListener('abort', aborted, { once: true });
    postmaster.on('exit', function heard(_worker, exit, exited) {
      if (exited !== pid) return;
      const at = performance.now();
      postmaster.off('exit', heard);
      signal.removeEventListener('abort', aborted);
      if (exit.cause.kind === 'code' && exit.cause.code === 0) resolve(at);
      else reject(new Error(`worker ${pid} did not leave with exit code 0`));
    });
  });
  process.kill(pid, 'SIGTERM');
  return knownAt;
}
