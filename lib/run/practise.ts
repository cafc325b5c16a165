// practise.ts: what nearly every main() does, for the launcher's rehearsal: as a closure, and as the
// function of a module that is loaded by its name.

import type { BackgroundWorker } from './background-worker.ts';

export async function practise(worker: BackgroundWorker): Promise<void> {
  const ignore = () => {};
  process.on('SIGTERM', ignore).off('SIGTERM', ignore);
  worker.latch.reset();
  const enough = new AbortController();
  const waiting = worker.latch.wait({ signal: enough.signal });
  enough.abort();
  await waiting.catch(ignore);
}
