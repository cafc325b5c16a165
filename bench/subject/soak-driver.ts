// soak-driver.ts: a worker that registers short workers, one after the other in each of its lanes,
// until there have been as many as the environment says.

import type { BackgroundWorker, PreloadServer } from 'bgworker';

/** The environment variable with the number of workers. */
export const SOAK = 'BGWORKER_BENCH_SOAK';
/** One slot each; the driver has one of its own. */
export const LANES = 8;

const JOB = new URL('./dynamic-job.js', import.meta.url);

export async function init(server: PreloadServer): Promise<void> {
  await server.preloadModule(JOB);
  server.registerBackgroundWorker({ name: 'driver', restartTime: 'never', main: drive });
}

async function drive(worker: BackgroundWorker): Promise<void> {
  let left = Number(process.env[SOAK]);
  const lane = async () => {
    while (left-- > 0) {
      const handle = await worker.registerDynamicBackgroundWorker({
        name: 'short',
        module: JOB,
        function: 'nothing',
        restartTime: 'never',
        arg: { left },
      });
      const { status } = await handle.waitForShutdown();
      const exit = handle.lastExit;
      if (status !== 'STOPPED' || exit?.kind !== 'code' || exit.code !== 0) {
        throw new Error(`a short worker came to ${JSON.stringify({ status, exit })}`);
      }
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}
