// crash.ts: how long a crash cycle takes: from the SIGKILL of one worker with shared memory among
// twenty until all twenty have said their first line again.
//
// Compared with PostgreSQL itself, in the same run: from the SIGKILL of one backend of the embedded
// server until the server accepts connections again. The two take turns.

import { once } from 'node:events';
import { Postmaster } from 'bgworker';
import type { Context, Figure, Group } from '../support/figure.ts';
import { FirstLines } from '../support/first-lines.ts';
import { benchPostmaster } from '../support/postmaster.ts';
import { Scratch } from '../support/scratch.ts';
import { median, percentile } from '../support/statistics.ts';

const WORKERS = 20;
/** When a server is taken for lost, in milliseconds. */
const PATIENCE_MS = 30_000;

export const crash: Group = {
  name: 'crash',
  about: 'a crash of one of 20 workers until all run again; of a backend until PostgreSQL is ready',
  run: measure,
};

async function measure(context: Context): Promise<Figure[]> {
  const { signal } = context;
  using scratch = new Scratch();
  using lines = new FirstLines(scratch.in('first-lines'), signal);
  await using postmaster = benchPostmaster(scratch, {
    preload: 'attached',
    workers: WORKERS,
    logLevel: 'error', // Each crash is a warning.
  });
  await postmaster.start({ signal });
  let pids = (await lines.take(WORKERS)).map(({ pid }) => pid);
  await using server = new Postmaster({
    dataDirectory: scratch.in('postgres'),
    postgres: { embedded: true },
    log: { level: 'fatal' },
  });
  await server.start({ signal });

  const ours: number[] = [];
  const postgres: number[] = [];
  for (let round = 0; round < context.rounds; round++) {
    const killedAt = performance.now();
    process.kill(pids[round % WORKERS] ?? 0, 'SIGKILL');
    const seen = await lines.take(WORKERS);
    ours.push(Math.max(...seen.map(({ at }) => at)) - killedAt);
    pids = seen.map(({ pid }) => pid);
    postgres.push(await crashOfBackend(server, signal));
  }
  return figuresOf(ours, postgres);
}

/** Of a session of our own; another one of the same process sees the server's return. */
async function crashOfBackend(server: Postmaster, signal: AbortSignal): Promise<number> {
  const victim = await server.connect({ signal });
  const { rows } = await victim.query('SELECT pg_backend_pid() AS pid');
  const lost = once(victim, 'error');
  const killedAt = performance.now();
  process.kill((rows as { pid: number }[])[0]?.pid ?? 0, 'SIGKILL');
  await lost;
  for (;;) {
    try {
      const client = await server.connect({ signal });
      const readyAt = performance.now();
      await client.end();
      return readyAt - killedAt;
    } catch (error) {
      // It refuses, or is not there, until it is: asked again at once.
      if (signal.aborted || performance.now() - killedAt > PATIENCE_MS) throw error;
    }
  }
}

function figuresOf(ours: readonly number[], postgres: readonly number[]): Figure[] {
  const [own, theirs] = [median(ours), median(postgres)];
  return [
    {
      key: `crash_to_running_${WORKERS}_ms`,
      value: own,
      what: `SIGKILL of one of ${WORKERS} to all ${WORKERS} running, p50`,
      target: { atMost: 50 },
    },
    {
      key: `crash_to_running_${WORKERS}_p90_ms`,
      value: percentile(ours, 90),
      what: 'the same, p90',
    },
    {
      key: 'postgres_crash_to_ready_ms',
      value: theirs,
      what: 'SIGKILL of a backend to PostgreSQL ready, p50',
    },
    {
      key: 'postgres_crash_to_own_ratio',
      value: theirs / own,
      what: 'PostgreSQL takes, of ours',
      target: { atLeast: 1 },
    },
  ];
}
