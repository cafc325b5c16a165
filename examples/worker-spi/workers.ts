// workers.ts: the preload module of the sample, after PostgreSQL's contrib module worker_spi.
//
// Each worker has a schema and in it a table `counted (type, value)`. Whoever likes inserts rows
// of type 'delta'; once per naptime the worker folds them into the one row of type 'total'.

import type { BackgroundWorker, PreloadServer } from 'bgworker';
import { type Place, places, readSettings } from './settings.ts';

interface Arg extends Place {
  /** The file with the naptime. */
  readonly settings: string;
}

/** Called once, in the launcher, before anything runs (_PG_init). */
export function init(server: PreloadServer): void {
  const settings = process.env.WORKER_SPI_SETTINGS ?? 'worker_spi.json';
  for (const place of places()) {
    const arg: Arg = { ...place, settings };
    server.registerBackgroundWorker({
      name: place.worker,
      type: 'worker_spi',
      flags: ['SHMEM_ACCESS', 'BACKEND_DATABASE_CONNECTION'],
      startTime: 'RecoveryFinished',
      restartTime: 1, // second; short, so that a restart can be watched
      database: 'postgres',
      main: foldDeltas,
      arg,
    });
  }
}

/**
 * Runs in a process of its own. Its return is exit 0, which is final; a throw is exit 1. Static
 * workers have it as a closure; a dynamic one (launch.ts) finds it here by its name.
 */
export async function foldDeltas(worker: BackgroundWorker, arg: Arg): Promise<void> {
  // Signals are blocked until the first `await`, so a handler installed here misses none.
  let { naptime } = readSettings(arg.settings);
  worker.on('SIGHUP', () => {
    try {
      ({ naptime } = readSettings(arg.settings));
      worker.log.info(`naptime is now ${naptime} s`);
    } catch (error) {
      worker.log.warn(`naptime stays ${naptime} s: ${(error as Error).message}`);
    }
  });
  const { signal } = worker; // from here on SIGTERM is a request, and no longer the end

  // Nobody listens for this connection's 'error': a worker that loses it fails, and is started
  // again with a new one.
  const db = await worker.connect();
  const schema = db.escapeIdentifier(arg.schema);
  const table = `${schema}.${db.escapeIdentifier(arg.table)}`;
  await db.query(`
    BEGIN;
    CREATE SCHEMA IF NOT EXISTS ${schema};
    CREATE TABLE IF NOT EXISTS ${table} (
      type text NOT NULL CHECK (type IN ('total', 'delta')),
      value int4 NOT NULL
    );
    CREATE UNIQUE INDEX IF NOT EXISTS one_total ON ${table} (type) WHERE type = 'total';
    INSERT INTO ${table} VALUES ('total', 0) ON CONFLICT DO NOTHING;
    COMMIT`);

  while (!signal.aborted) {
    // Reset, look, sleep, in this order: a ring in between is seen by the sleep, which then is none.
    worker.latch.reset();
    // One statement is one transaction: a delta is folded and gone, or it is still there.
    const { rows } = await db.query<{ value: number }>(`
      WITH folded AS (DELETE FROM ${table} WHERE type = 'delta' RETURNING value)
      UPDATE ${table} SET value = value + (SELECT sum(value) FROM folded)
      WHERE type = 'total' AND EXISTS (SELECT FROM folded)
      RETURNING value`);
    for (const { value } of rows) worker.log.info(`total in ${table} is now ${value}`);

    const { postmasterDeath } = await worker.latch.wait({ timeoutMs: naptime * 1000 });
    if (postmasterDeath) return;
  }
  await db.end();
}
