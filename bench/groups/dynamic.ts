// dynamic.ts: how long until a dynamic worker has begun, beside PostgreSQL's own launch of a parallel
// worker.
//
// A start counts from the call of registerDynamicBackgroundWorker() in a worker to the first line of
// the new one's main, seen by the caller. PostgreSQL's is what a query takes longer when it is made
// to have one parallel worker. The two take turns.

import { Postmaster } from 'bgworker';
import { Answers } from '../support/answers.ts';
import type { Context, Figure, Group } from '../support/figure.ts';
import { Scratch } from '../support/scratch.ts';
import { median, percentile } from '../support/statistics.ts';

/** As many of a round's queries with a parallel worker, and without. */
const QUERIES_PER_ROUND = 20;

export const dynamic: Group = {
  name: 'dynamic',
  about: "dynamic workers: call to first line; PostgreSQL's parallel workers",
  run: starts,
};

interface Samples {
  readonly dynamic: number[];
  readonly withWorker: number[];
  readonly without: number[];
}

async function starts(context: Context): Promise<Figure[]> {
  using scratch = new Scratch();
  using answers = new Answers(scratch.in('answers'), context.signal);
  await using postmaster = new Postmaster({
    dataDirectory: scratch.in('dynamic'),
    preload: [new URL('../subject/dynamic-caller.js', import.meta.url)],
    postgres: { embedded: true },
    log: { level: 'warn' },
  });
  await postmaster.start({ signal: context.signal });
  const caller = await pidOfCaller(postmaster);
  const ask = async (): Promise<number[]> => {
    process.kill(caller, 'SIGUSR2');
    return (await answers.next()) as number[];
  };

  const db = await postmaster.connect();
  try {
    await db.query(`
      SET max_parallel_workers_per_gather = 1;
      SET parallel_setup_cost = 0;
      SET parallel_tuple_cost = 0`);
    await ask(); // The first is not like the others, on either side.
    const samples: Samples = { dynamic: [], withWorker: [], without: [] };
    for (let round = 0; round < context.rounds; round++) {
      context.signal.throwIfAborted();
      samples.dynamic.push(...(await ask()));
      for (const [into, parallel] of [
        [samples.withWorker, true],
        [samples.without, false],
      ] as const) {
        await db.query(`SET debug_parallel_query = ${parallel ? 'on' : 'off'}`);
        for (let i = 0; i < QUERIES_PER_ROUND; i++) into.push(await query(db));
      }
    }
    return figuresOf(samples);
  } finally {
    await db.end();
  }
}

type Client = Awaited<ReturnType<Postmaster['connect']>>;

/** How many milliseconds it takes. */
async function query(db: Client): Promise<number> {
  const askedAt = performance.now();
  await db.query('SELECT count(*) FROM generate_series(1, 10)');
  return performance.now() - askedAt;
}

async function pidOfCaller(postmaster: Postmaster): Promise<number> {
  const pid = () => postmaster.workers().find(({ name }) => name === 'caller')?.pid ?? null;
  const known = pid();
  if (known !== null) return known;
  return new Promise((resolve) => {
    postmaster.once('start', (worker) => resolve(worker.pid ?? 0));
  });
}

function figuresOf({ dynamic: samples, withWorker, without }: Samples): Figure[] {
  const ours = median(samples);
  const postgres = median(withWorker) - median(without);
  return [
    {
      key: 'dynamic_start_p50_ms',
      value: ours,
      what: 'registered in a worker, to the first line of main, p50',
      target: { atMost: 3 },
    },
    { key: 'dynamic_start_p99_ms', value: percentile(samples, 99), what: 'the same, p99' },
    {
      key: 'postgres_parallel_start_p50_ms',
      value: postgres,
      what: "PostgreSQL's launch, run and end of a parallel worker, p50",
    },
    {
      key: 'dynamic_to_postgres_parallel_ratio',
      value: ours / postgres,
      what: 'ours takes, of that',
      target: { atMost: 1 },
    },
  ];
}
