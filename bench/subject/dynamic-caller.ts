// dynamic-caller.ts: a worker that registers workers, and measures how long until each has rung it.
//
// SIGUSR2 asks it for so many samples; they go to the benchmark as one line.

import { openSync, writeSync } from 'node:fs';
import type { BackgroundWorker, PreloadServer } from 'bgworker';
import { ANSWERS } from '../support/answers.ts';

export const SAMPLES = 20;

const JOB = new URL('./dynamic-job.js', import.meta.url);

const FUNCTION = 'ring';

export async function init(server: PreloadServer): Promise<void> {
  // It is in every child already: the job has nothing to load.
  await server.preloadModule(JOB);
  server.registerBackgroundWorker({
    name: 'caller',
    flags: ['SHMEM_ACCESS'],
    restartTime: 'never',
    main: call,
  });
}

async function call(worker: BackgroundWorker): Promise<void> {
  const answers = openSync(process.env[ANSWERS] ?? '/dev/null', 'w');
  const { signal } = worker;
  let asked = 0;
  worker.on('SIGUSR2', () => {
    asked++;
  });
  while (!signal.aborted) {
    worker.latch.reset();
    if (asked === 0) {
      await worker.latch.wait();
      continue;
    }
    asked--;
    const samples: number[] = [];
    for (let i = 0; i < SAMPLES; i++) samples.push(await measure(worker));
    writeSync(answers, `${JSON.stringify(samples)}\n`);
  }
}

/** From the call to the first line of the new worker's main, seen here; in milliseconds. */
async function measure(worker: BackgroundWorker): Promise<number> {
  worker.latch.reset();
  const calledAt = performance.now();
  const handle = await worker.registerDynamicBackgroundWorker({
    name: 'job',
    module: JOB,
    function: FUNCTION,
    flags: ['SHMEM_ACCESS'],
    restartTime: 'never',
    arg: { slot: worker.slot },
  });
  while (!worker.latch.isSet) await worker.latch.wait();
  const seenAt = performance.now();
  await handle.waitForShutdown();
  return seenAt - calledAt;
}
