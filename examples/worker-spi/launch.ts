// launch.ts: a worker that nobody registered before the start, as PostgreSQL's function
// worker_spi_launch() has one: registered while everything runs, by whoever likes.

import type { Postmaster } from 'bgworker';
import type { Place } from './settings.ts';
import { foldDeltas } from './workers.ts';

export const DYNAMIC_PLACE: Place = {
  worker: 'worker_spi dynamic 1',
  schema: 'schema_dynamic',
  table: 'counted',
};

/** Gives its pid. @throws BgworkerError ERR_TOO_MANY_WORKERS, and if it could not be started */
export async function launchWorker(
  postmaster: Postmaster,
  place: Place,
  settings: string,
): Promise<number> {
  const handle = await postmaster.registerDynamicBackgroundWorker({
    name: place.worker,
    type: 'worker_spi dynamic',
    flags: ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'],
    restartTime: 1,
    database: 'postgres',
    // A closure cannot travel to a process that runs already; a name can.
    module: new URL('./workers.js', import.meta.url),
    function: foldDeltas.name,
    arg: { ...place, settings },
  });
  const status = await handle.waitForStartup();
  if (status.status === 'STARTED') return status.pid;
  throw new Error(`${place.worker} could not be started (${status.status})`);
}
