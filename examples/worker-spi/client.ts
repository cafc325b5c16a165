// client.ts: an ordinary client of the database, which gives the workers something to do.
//
// Each call is a connection of its own, so a server that went away and came back is no trouble.

import type { Postmaster } from 'bgworker';
import type { Client } from 'pg';
import type { Place } from './settings.ts';

/** What the database says of one worker's table. */
export interface Counted extends Place {
  readonly total: number;
  /** The sum of the deltas that are not folded yet. */
  readonly waiting: number;
}

/** Only those whose worker has made its table already. */
export function readTotals(postmaster: Postmaster, places: readonly Place[]): Promise<Counted[]> {
  return withClient(postmaster, async (db) => {
    const counted: Counted[] = [];
    for (const place of await existing(db, places)) {
      const { rows } = await db.query<{ total: number; waiting: number }>(`
        SELECT coalesce(sum(value) FILTER (WHERE type = 'total'), 0)::int4 AS total,
               coalesce(sum(value) FILTER (WHERE type = 'delta'), 0)::int4 AS waiting
        FROM ${place.schema}.${place.table}`);
      for (const row of rows) counted.push({ ...place, ...row });
    }
    return counted;
  });
}

export function insertDelta(postmaster: Postmaster, place: Place, value: number): Promise<void> {
  return withClient(postmaster, async (db) => {
    await db.query(`INSERT INTO ${place.schema}.${place.table} VALUES ('delta', $1)`, [value]);
  });
}

/** The worker loses its connection, and fails. */
export function terminateSession(postmaster: Postmaster, { worker }: Place): Promise<void> {
  return withClient(postmaster, async (db) => {
    await db.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1',
      [worker],
    );
  });
}

async function existing(db: Client, places: readonly Place[]): Promise<Place[]> {
  const names = places.map(({ schema, table }) => `${schema}.${table}`);
  const { rows } = await db.query<{ exists: boolean }>(
    'SELECT to_regclass(name) IS NOT NULL AS exists FROM unnest($1::text[]) WITH ORDINALITY AS t (name, n) ORDER BY n',
    [names],
  );
  return places.filter((_, index) => rows[index]?.exists);
}

async function withClient<T>(postmaster: Postmaster, act: (db: Client) => Promise<T>): Promise<T> {
  const db = await postmaster.connect();
  db.on('error', () => {}); // Whoever waits for an answer is told anyway.
  try {
    return await act(db);
  } finally {
    await db.end();
  }
}
