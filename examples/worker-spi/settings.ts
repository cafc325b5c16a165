// settings.ts: what can be set about the sample, and where.
//
// How many workers there are is fixed at the start, so it is a variable of the environment. How
// long they nap may change while they run, so it stands in a file that they read again on SIGHUP.

import { readFileSync, writeFileSync } from 'node:fs';

/** One worker and the table that is its own. */
export interface Place {
  readonly worker: string;
  readonly schema: string;
  readonly table: string;
}

export interface Settings {
  /** Seconds between two rounds of a worker. */
  readonly naptime: number;
}

const TOTAL_WORKERS_MAX = 1_000;
const NAPTIME_MAX_S = 86_400;

/** As many as WORKER_SPI_TOTAL_WORKERS says. @throws Error with the rule and the value */
export function places(env: NodeJS.ProcessEnv = process.env): Place[] {
  const given = env.WORKER_SPI_TOTAL_WORKERS ?? '2';
  const count = Number(given);
  if (!/^\d+$/.test(given) || count < 1 || count > TOTAL_WORKERS_MAX) {
    const rule = `must be a whole number from 1 to ${TOTAL_WORKERS_MAX}`;
    throw new Error(`WORKER_SPI_TOTAL_WORKERS ${rule}, got "${given}"`);
  }
  return Array.from({ length: count }, (_, index) => ({
    worker: `worker_spi ${index + 1}`,
    schema: `schema${index + 1}`,
    table: 'counted',
  }));
}

/** @throws Error that names the file and what is wrong with it */
export function readSettings(file: string): Settings {
  try {
    const { naptime } = JSON.parse(readFileSync(file, 'utf8'));
    if (naptime > 0 && naptime <= NAPTIME_MAX_S) return { naptime };
    throw new Error(`naptime must be a number of seconds up to ${NAPTIME_MAX_S}, got ${naptime}`);
  } catch (cause) {
    throw new Error(`${file}: ${(cause as Error).message}`, { cause });
  }
}

export function writeSettings(file: string, settings: Settings): void {
  writeFileSync(file, `${JSON.stringify(settings)}\n`);
}
