// start.ts: how long until a worker's main has begun, and how many can be started in a second.
//
// A start counts from the decision to have it (the Postmaster knows that the one before has ended,
// the caller calls child_process.fork()) to the moment when the supervisor has seen the first line
// of main. The variants take turns in one run, so that a busy machine is busy for all of them.

import type { Context, Figure, Group } from '../support/figure.ts';
import { FirstLines } from '../support/first-lines.ts';
import { internal } from '../support/internals.ts';
import { PlainChild } from '../support/plain-children.ts';
import { benchPostmaster, endWorker } from '../support/postmaster.ts';
import { Scratch } from '../support/scratch.ts';
import { median, percentile } from '../support/statistics.ts';

/** A start by fork is so short that a round has room for many. */
const FORKS_PER_ROUND = 20;

const MANY = 200;
const MANY_RUNS = 5;

export const start: Group = {
  name: 'start',
  about: 'start to first line of main: fork, exec, child_process.fork; starts per second',
  run: async (context) => [...(await single(context)), ...(await many(context))],
};

interface Samples {
  readonly fork: number[];
  readonly exec: number[];
  readonly childProcess: number[];
  readonly rawFork: number[];
}

type LauncherProgram = typeof import('../../lib/fork/launcher-program.ts');

async function single(context: Context): Promise<Figure[]> {
  const { LAUNCHER_FLAGS } = await internal<LauncherProgram>('fork/launcher-program');
  using scratch = new Scratch();
  using lines = new FirstLines(scratch.in('first-lines'), context.signal);
  await using raw = new PlainChild('raw-fork', { execArgv: LAUNCHER_FLAGS });
  await using postmaster = benchPostmaster(scratch, { preload: 'one-of-each', workers: 2 });
  await postmaster.start({ signal: context.signal });
  const pids = new Map((await lines.take(2)).map(({ name, pid }) => [name, pid]));

  const samples: Samples = { fork: [], exec: [], childProcess: [], rawFork: [] };
  const restart = async (name: string): Promise<number> => {
    const knownAt = await endWorker(postmaster, pids.get(name), context);
    const { pid, at } = await lines.next();
    pids.set(name, pid);
    return at - knownAt;
  };
  for (let round = 0; round < context.rounds; round++) {
    for (let i = 0; i < FORKS_PER_ROUND; i++) samples.fork.push(await restart('fork'));
    const rawNs = (await raw.ask(FORKS_PER_ROUND, context.signal)) as number[];
    samples.rawFork.push(...rawNs.map((ns) => ns / 1e6));
    samples.exec.push(await restart('exec'));
    samples.childProcess.push(await plainStart(lines));
  }
  return figuresOf(samples);
}

async function plainStart(lines: FirstLines): Promise<number> {
  const calledAt = performance.now();
  await using _child = new PlainChild('plain');
  return (await lines.next()).at - calledAt;
}

function figuresOf({ fork, exec, childProcess, rawFork }: Samples): Figure[] {
  const [byFork, byChildProcess, limit] = [median(fork), median(childProcess), median(rawFork)];
  return [
    { key: 'start_fork_p50_ms', value: byFork, what: 'fork, p50', target: { atMost: 2 } },
    { key: 'start_fork_p99_ms', value: percentile(fork, 99), what: 'fork, p99' },
    { key: 'start_exec_p50_ms', value: median(exec), what: 'exec of a fresh node, p50' },
    { key: 'start_exec_p99_ms', value: percentile(exec, 99), what: 'exec of a fresh node, p99' },
    { key: 'start_child_process_p50_ms', value: byChildProcess, what: 'child_process.fork, p50' },
    {
      key: 'start_child_process_p99_ms',
      value: percentile(childProcess, 99),
      what: 'child_process.fork, p99',
    },
    { key: 'raw_fork_p50_ms', value: limit, what: 'the limit: fork + _exit + wait, p50' },
    {
      key: 'start_child_process_to_fork_ratio',
      value: byChildProcess / byFork,
      what: 'child_process.fork takes, of a fork',
      target: { atLeast: 20 },
    },
    {
      key: 'start_fork_to_raw_fork_ratio',
      value: byFork / limit,
      what: 'a fork takes, of the limit',
      target: { atMost: 3.5 },
    },
  ];
}

async function many(context: Context): Promise<Figure[]> {
  const rates: number[] = [];
  for (let run = 0; run < MANY_RUNS; run++) {
    rates.push(MANY / ((await startMany(MANY, context)) / 1000));
  }
  const what = `starts per second, up to ${MANY} live workers`;
  return [{ key: `starts_${MANY}_per_s`, value: median(rates), what }];
}

/** From the phase that lets the workers start to the first line of the last of them. */
async function startMany(count: number, context: Context): Promise<number> {
  using scratch = new Scratch();
  using lines = new FirstLines(scratch.in('first-lines'), context.signal);
  await using postmaster = benchPostmaster(scratch, { preload: 'many', workers: count });
  await postmaster.start({ signal: context.signal });
  const readyAt = performance.now();
  const seen = await lines.take(count);
  // Signal 0 only asks whether the process is there; it throws if it is not.
  for (const { pid } of seen) process.kill(pid, 0);
  return Math.max(...seen.map(({ at }) => at)) - readyAt;
}
