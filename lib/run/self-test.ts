// self-test.ts: does a fork of this node work, here and now?
//
// The launcher's first child is none of the user's: it does in small what a worker does (a timer,
// the thread pool, garbage, a promise) and leaves with 0. If it does anything else, or hangs, the
// postmaster launches by exec instead and says so.

import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { native } from '../native.ts';

/** In the child. Does not return to the event loop's natural end. */
export function runSelfTest(): void {
  exercise().then(
    () => native.exitNow(0),
    () => native.exitNow(1),
  );
}

async function exercise(): Promise<void> {
  await setTimeout(1);
  await stat('/');
  const garbage: string[] = [];
  for (let i = 0; i < 10_000; i++) garbage[i % 100] = `${i} ${randomUUID()}`;
}
