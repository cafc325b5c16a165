// threads.ts: runs functions of bodies.ts in threads of their own, at the same time.

import { Worker } from 'node:worker_threads';
import type * as bodies from './bodies.ts';

type Bodies = typeof bodies;

/** Starts the thread; resolves with what the function returns, rejects with what it throws. */
export function inThread<Name extends keyof Bodies>(
  body: Name,
  ...args: Parameters<Bodies[Name]>
): Promise<Awaited<ReturnType<Bodies[Name]>>> {
  const worker = new Worker(new URL('./thread.mjs', import.meta.url), {
    workerData: { body, args },
  });
  return new Promise<Awaited<ReturnType<Bodies[Name]>>>((resolve, reject) => {
    worker.on('message', ({ result }) => resolve(result));
    worker.on('error', reject);
    worker.on('exit', (code) => reject(new Error(`the thread left with ${code}, and no result`)));
  }).finally(() => worker.terminate());
}
