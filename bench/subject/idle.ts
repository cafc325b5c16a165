// idle.ts: the subject: a worker that says that it is there and then waits for its end.
//
// It loads what a worker with a database loads, the client library.

import 'pg';
import type { BackgroundWorker } from 'bgworker';
import { sayFirstLine } from './say.ts';

export async function idle(worker: BackgroundWorker): Promise<void> {
  sayFirstLine(worker.name);
  const { signal } = worker;
  while (!signal.aborted) {
    worker.latch.reset();
    await worker.latch.wait();
  }
}
