// queue.ts: messages and locks between two workers, and what the same takes otherwise.
//
// Between two forked workers, each on a core of its own; against process.send() to a child, against
// the same ring driven from C++, and against what the kernel takes for a wake-up without us.

import { readFileSync } from 'node:fs';
import { Postmaster } from 'bgworker';
import { type QueueResults, RESULTS } from '../subject/queue-pair.ts';
import { coreFigures } from '../support/core-bench.ts';
import type { Context, Figure, Group } from '../support/figure.ts';
import { processSendRate } from '../support/message-child.ts';
import { Scratch } from '../support/scratch.ts';
import { median } from '../support/statistics.ts';

const SENDS = 200_000;
const SEND_RUNS = 3;

/** Both groups are one run of the same two workers. */
let pair: Promise<QueueResults> | null = null;

export const queue: Group = {
  name: 'queue',
  about: 'messages between two workers: rate and round trip, against process.send and C',
  run: measureQueue,
};

export const locks: Group = {
  name: 'locks',
  about: 'an uncontended LWLock, an atomic add on a field of a struct',
  run: measureLocks,
};

async function measureQueue(context: Context): Promise<Figure[]> {
  const js = await pairResults(context);
  const sends: number[] = [];
  for (let run = 0; run < SEND_RUNS; run++) {
    sends.push(await processSendRate(SENDS, context.signal));
  }
  const send = median(sends);
  const core = coreFigures();
  const inC = core('queue, 64 bytes, lazy, spinning') * 1e6;
  const eventfd = core('round trip, bare eventfd');
  const memcpy = core('memcpy, 64 KB') * 1e9;
  return [
    { key: 'queue_64b_per_s', value: js.small_per_s, what: '64-byte messages, a short spin' },
    {
      key: 'queue_64b_awaited_per_s',
      value: js.small_awaited_per_s,
      what: 'the same, a promise for each at both ends',
    },
    { key: 'process_send_64b_per_s', value: send, what: '64-byte messages, process.send' },
    { key: 'queue_c_64b_per_s', value: inC, what: '64-byte messages, the same from C++' },
    {
      key: 'queue_to_process_send_ratio',
      value: js.small_per_s / send,
      what: 'the queue carries, of process.send',
      target: { atLeast: 20 },
    },
    {
      key: 'queue_to_c_ratio',
      value: js.small_per_s / inC,
      what: 'JavaScript carries, of C++',
      target: { atLeast: 1 / 3 },
    },
    {
      key: 'queue_64kb_mb_per_s',
      value: js.large_bytes_per_s / 1e6,
      what: '64 KB messages, one copy each, a short spin',
    },
    { key: 'memcpy_64kb_mb_per_s', value: memcpy / 1e6, what: 'memcpy of 64 KB, in the cache' },
    {
      key: 'queue_64kb_to_memcpy_ratio',
      value: js.large_bytes_per_s / memcpy,
      what: 'a 64 KB message goes, of memcpy',
      target: { atLeast: 0.5 },
    },
    { key: 'rtt_asleep_us', value: js.asleep_us, what: 'round trip, both asleep' },
    { key: 'rtt_eventfd_c_us', value: eventfd, what: 'round trip, bare eventfd in C' },
    {
      key: 'rtt_asleep_to_eventfd_ratio',
      value: js.asleep_us / eventfd,
      what: 'a round trip takes, of the eventfd',
      target: { atMost: 1.5 },
    },
    {
      key: 'rtt_spin_us',
      value: js.spinning_us,
      what: 'round trip, spinning',
      target: { atMost: 5 },
    },
  ];
}

async function measureLocks(context: Context): Promise<Figure[]> {
  const js = await pairResults(context);
  return [
    {
      key: 'lwlock_pair_ns',
      value: js.lwlock_pair_ns,
      what: 'acquire + release, exclusive',
      target: { atMost: 300 },
    },
    {
      key: 'lwlock_shared_pair_ns',
      value: js.lwlock_shared_pair_ns,
      what: 'acquire + release, shared',
    },
    {
      key: 'atomic_add_ns',
      value: js.atomic_add_ns,
      what: 'atomic add on a u64 field',
      target: { atMost: 100 },
    },
  ];
}

function pairResults(context: Context): Promise<QueueResults> {
  pair ??= runPair(context);
  return pair;
}

async function runPair({ signal }: Context): Promise<QueueResults> {
  using scratch = new Scratch();
  const file = scratch.in('results.json');
  process.env[RESULTS] = file;
  await using postmaster = new Postmaster({
    dataDirectory: scratch.in('queue-pair'),
    preload: [new URL('../subject/queue-pair.js', import.meta.url)],
    log: { level: 'warn' },
  });
  const left = new Promise<void>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    postmaster.on('exit', ({ name }, exit) => {
      if (exit.cause.kind !== 'code' || exit.cause.code !== 0) reject(new Error(`${name} failed`));
      else if (name === 'second') resolve();
    });
  });
  await postmaster.start({ signal });
  await left;
  return JSON.parse(readFileSync(file, 'utf8')) as QueueResults;
}
