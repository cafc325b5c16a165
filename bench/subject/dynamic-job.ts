// dynamic-job.ts: dynamic workers: one that rings its registrant as the first thing, one that is
// done at once.

import type { BackgroundWorker } from 'bgworker';

export function ring(worker: BackgroundWorker, { slot }: { slot: number }): void {
  worker.latchOf(slot).set();
}

export function nothing(): void {}
