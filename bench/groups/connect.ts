// connect.ts: how long until a client is served by a process of its own.
//
// From connect() to the first byte from the backend, through a socket file, one client after the
// other, with a pause in which the last one's backend is gone and its successor ready; beside it, in turns and in the same way, PostgreSQL's own: a connection to the embedded
// server, until it is ready for a query. Then the same while a thousand workers wait to be started,
// which is what the original commit promises: connections do not wait for them.

import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { Postmaster } from 'bgworker';
import { type Conversation, greeting, postgres, timeConnection } from '../support/connections.ts';
import type { Context, Figure, Group } from '../support/figure.ts';
import { benchPostmaster } from '../support/postmaster.ts';
import { Scratch } from '../support/scratch.ts';
import { median, percentile } from '../support/statistics.ts';

/** Of each kind, in a round. */
const PER_ROUND = 20;
const WARM_UP = 10;
const SPARE = 4;

/** Between two clients: they come by themselves, and are no load to measure. */
const PAUSE_MS = 20;

const STORM_WORKERS = 1_000;

export const connect: Group = {
  name: 'connect',
  about: 'connect to first byte: a forked backend, a spare one, PostgreSQL; among 1,000 starts',
  run: async (context) => {
    const calm = await inTurns(context);
    return figuresOf(calm, await storm(context));
  },
};

interface Samples {
  readonly fork: number[];
  readonly spare: number[];
  readonly postgres: number[];
}

async function inTurns({ rounds, signal }: Context): Promise<Samples> {
  using scratch = new Scratch();
  await using forked = serving(scratch, 'forked', { postgres: { embedded: true } });
  await using spare = serving(scratch, 'spare', { spareBackends: SPARE });
  for (const postmaster of [forked, spare]) await postmaster.start({ signal });
  const servers: Record<keyof Samples, Conversation> = {
    fork: greeting(scratch.in('forked.sock')),
    spare: greeting(scratch.in('spare.sock')),
    postgres: embeddedServer(forked),
  };
  const samples: Samples = { fork: [], spare: [], postgres: [] };
  const kinds = Object.keys(servers) as (keyof Samples)[];
  for (const kind of kinds) {
    for (let i = 0; i < WARM_UP; i++) await oneClient(servers[kind], signal);
  }
  for (let round = 0; round < rounds; round++) {
    for (const kind of kinds) {
      for (let i = 0; i < PER_ROUND; i++) {
        samples[kind].push(await oneClient(servers[kind], signal));
      }
    }
  }
  return samples;
}

async function oneClient(to: Conversation, signal: AbortSignal): Promise<number> {
  const elapsedMs = await timeConnection(to, signal);
  await setTimeout(PAUSE_MS, undefined, { signal });
  return elapsedMs;
}

type Changes = Partial<ConstructorParameters<typeof Postmaster>[0]>;

function serving(scratch: Scratch, name: string, changes: Changes): Postmaster {
  const options = { preload: 'greet', workers: 1, name };
  const listen = [{ path: scratch.in(`${name}.sock`) }];
  return benchPostmaster(scratch, options, { listen, ...changes });
}

/** By its socket file, with `trust`: what its postmaster follows. */
function embeddedServer({ conninfo }: Postmaster): Conversation {
  const words = Object.fromEntries(
    [...(conninfo ?? '').matchAll(/(\w+)='?([^' ]*)'?/g)].map(([, word, value]) => [word, value]),
  );
  const { host = '', port = '5432', user = 'postgres', dbname = 'postgres' } = words;
  return postgres(join(host, `.s.PGSQL.${port}`), { user, database: dbname });
}

interface Storm {
  /** Without spare backends, and with. */
  readonly fork: readonly number[];
  readonly spare: readonly number[];
}

async function storm(context: Context): Promise<Storm> {
  return { fork: await oneStorm(0, context), spare: await oneStorm(SPARE, context) };
}

/** Clients, from the moment in which the workers may start until the last of them runs. */
async function oneStorm(spareBackends: number, { signal }: Context): Promise<number[]> {
  using scratch = new Scratch();
  process.env.BGWORKER_BENCH_WORKERS = 'many';
  const options = { preload: 'greet', workers: STORM_WORKERS, name: 'storm' };
  const path = scratch.in('storm.sock');
  await using postmaster = benchPostmaster(scratch, options, { listen: [{ path }], spareBackends });
  let running = 0;
  postmaster.on('start', () => running++);
  await postmaster.start({ signal });
  const times: number[] = [];
  while (running < STORM_WORKERS) {
    times.push(await oneClient(greeting(path), signal));
  }
  delete process.env.BGWORKER_BENCH_WORKERS;
  return times;
}

function figuresOf({ fork, spare, postgres }: Samples, among: Storm): Figure[] {
  const [byFork, byPostgres] = [median(fork), median(postgres)];
  const worst = percentile(fork, 99);
  return [
    {
      key: 'connect_p50_ms',
      value: byFork,
      what: 'a forked backend, p50',
      target: { atMost: byPostgres },
    },
    {
      key: 'connect_p99_ms',
      value: worst,
      what: 'a forked backend, p99',
      target: { atMost: 4 * byFork },
    },
    { key: 'connect_spare_p50_ms', value: median(spare), what: 'a spare backend, p50' },
    { key: 'connect_spare_p99_ms', value: percentile(spare, 99), what: 'a spare backend, p99' },
    { key: 'postgres_connect_p50_ms', value: byPostgres, what: 'PostgreSQL, p50' },
    {
      key: 'postgres_connect_p99_ms',
      value: percentile(postgres, 99),
      what: 'PostgreSQL, p99',
    },
    {
      key: 'connect_storm_p50_ms',
      value: median(among.fork),
      what: `a forked backend among ${STORM_WORKERS} starts, p50`,
    },
    {
      key: 'connect_storm_p99_ms',
      value: percentile(among.fork, 99),
      what: `a forked backend among ${STORM_WORKERS} starts, p99`,
      target: { atMost: 2 * worst },
    },
    {
      key: 'connect_storm_spare_p50_ms',
      value: median(among.spare),
      what: `a spare backend among ${STORM_WORKERS} starts, p50`,
    },
    {
      key: 'connect_storm_spare_p99_ms',
      value: percentile(among.spare, 99),
      what: `a spare backend among ${STORM_WORKERS} starts, p99`,
    },
  ];
}
