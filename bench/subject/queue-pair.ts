// queue-pair.ts: two workers that send each other messages in every way that is measured, one after
// the other. The receiving one (for round trips: the asking one) takes the time, and writes all of
// it into the file that the environment names before it leaves.
//
// Each is pinned to a core of its own: else the scheduler's taste is what is measured (a wake-up
// takes 5 us on one core and 40 on two).

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type {
  BackgroundWorker,
  Barrier,
  PreloadServer,
  Receiver,
  Segment,
  Sender,
  Struct,
} from 'bgworker';
import { median } from '../support/statistics.ts';

/** The environment variable with the path of the file. */
export const RESULTS = 'BGWORKER_BENCH_RESULTS';

/** What the file has in it: medians, rates per second, microseconds, nanoseconds. */
export interface QueueResults {
  readonly small_per_s: number;
  readonly small_awaited_per_s: number;
  readonly large_bytes_per_s: number;
  readonly asleep_us: number;
  readonly spinning_us: number;
  readonly lwlock_pair_ns: number;
  readonly lwlock_shared_pair_ns: number;
  readonly atomic_add_ns: number;
}

const SMALL_BYTES = 64;
const LARGE_BYTES = 65_536;
const SMALL_RING = 64 * 1024;
const LARGE_RING = 1 << 20;
const REPEATS = 5;
const SPINS = 1_000_000;
/** Some microseconds: else it is chance how often the quicker one falls asleep, and rates differ by
 *  three from run to run. */
const SOME_SPINS = 1_000;

interface Ends {
  readonly out: Sender<Uint8Array>;
  readonly inbox: Receiver<Uint8Array>;
}

/** One measurement: what either side does; the second one's number is kept. */
interface Match {
  readonly count: number;
  readonly ringBytes: number;
  readonly spins: number;
  first(ends: Ends, count: number): Promise<void>;
  /** Gives the duration in milliseconds. */
  second(ends: Ends, count: number): Promise<number>;
}

async function sendMany({ out }: Ends, count: number, bytes: number): Promise<void> {
  const message = new Uint8Array(bytes).fill(1);
  const lazily = { flush: false };
  for (let i = 0; i < count; i++) {
    if (out.trySend(message, lazily) === 'WOULD_BLOCK') await out.send(message, lazily);
  }
  out.flush();
}

async function receiveMany({ inbox }: Ends, count: number): Promise<number> {
  await inbox.receive();
  const from = performance.now();
  for (let left = count - 1; left > 0; ) {
    const got = inbox.tryReceive();
    if (got.result === 'WOULD_BLOCK') await inbox.receive();
    left--;
  }
  return performance.now() - from;
}

const small: Match = {
  count: 2_000_000,
  ringBytes: SMALL_RING,
  spins: SOME_SPINS,
  first: (ends, count) => sendMany(ends, count, SMALL_BYTES),
  second: receiveMany,
};

/** As one would write it first: a promise for each message, at both ends. */
const awaited: Match = {
  count: 300_000,
  ringBytes: SMALL_RING,
  spins: 0,
  async first({ out }, count) {
    const message = new Uint8Array(SMALL_BYTES).fill(1);
    for (let i = 0; i < count; i++) await out.send(message);
  },
  async second({ inbox }, count) {
    await inbox.receive();
    const from = performance.now();
    let left = count - 1;
    for await (const _message of inbox) if (--left === 0) break;
    return performance.now() - from;
  },
};

/** So many messages that the first lap, of page faults, does not count. */
const large: Match = {
  count: 200_000,
  ringBytes: LARGE_RING,
  spins: SOME_SPINS,
  first: (ends, count) => sendMany(ends, count, LARGE_BYTES),
  second: receiveMany,
};

const roundTrips = (spins: number): Match => ({
  count: 10_000,
  ringBytes: SMALL_RING,
  spins,
  async first({ out, inbox }, count) {
    for (let i = 0; i < count; i++) {
      const got = await inbox.receive();
      if (got.result === 'SUCCESS') await out.send(got.message);
    }
  },
  async second({ out, inbox }, count) {
    const message = new Uint8Array(16);
    const from = performance.now();
    for (let i = 0; i < count; i++) {
      await out.send(message);
      await inbox.receive();
    }
    return performance.now() - from;
  },
});

const MATCHES = {
  small,
  awaited,
  large,
  asleep: roundTrips(0),
  spinning: roundTrips(SPINS),
} as const;

type Durations = Readonly<Record<keyof typeof MATCHES, number>>;

export function init(server: PreloadServer): void {
  const shared = server.shmem.struct('handle', { handle: 'u32' });
  const together = server.shmem.barrier('together', { participants: 2 });
  const counter = server.shmem.struct('counter', { count: 'u64' });
  const lock = server.shmem.lwlock('counter');
  for (const side of ['first', 'second'] as const) {
    server.registerBackgroundWorker({
      name: side,
      flags: ['SHMEM_ACCESS'],
      restartTime: 'never',
      main: async (worker: BackgroundWorker) => {
        pin(side === 'first' ? 0 : 1);
        const durations: Partial<Record<keyof typeof MATCHES, number>> = {};
        for (const [name, match] of Object.entries(MATCHES)) {
          const all: number[] = [];
          for (let repeat = 0; repeat < REPEATS; repeat++) {
            all.push(await play(worker, side, match, { shared, together }));
          }
          durations[name as keyof typeof MATCHES] = median(all) / match.count;
        }
        if (side === 'first') return;
        const results = resultsOf(durations as Durations, {
          lwlock_pair_ns: perTurnNs(() => lock.acquireSync('exclusive').release()),
          lwlock_shared_pair_ns: perTurnNs(() => lock.acquireSync('shared').release()),
          atomic_add_ns: perTurnNs(() => counter.count.add(1n)),
        });
        writeFileSync(process.env[RESULTS] ?? '', JSON.stringify(results));
      },
    });
  }
}

/** Both sides on fresh queues in a fresh segment. */
async function play(
  worker: BackgroundWorker,
  side: 'first' | 'second',
  { count, ringBytes, spins, first, second }: Match,
  { shared, together }: { shared: Struct<{ handle: 'u32' }>; together: Barrier },
): Promise<number> {
  const queueBytes = ringBytes + 192;
  const there = { bytes: queueBytes, spins };
  const back = { ...there, byteOffset: Math.ceil(queueBytes / 64) * 64 };
  if (side === 'first') {
    using segment = worker.dsm.create(back.byteOffset + queueBytes);
    const queues = [segment.messageQueue(there), segment.messageQueue(back)] as const;
    const ends = { out: queues[0].sender, inbox: queues[1].receiver };
    shared.handle.store(segment.handle);
    await together.arriveAndWait();
    await first(ends, count);
    await together.arriveAndWait();
    return 0;
  }
  await together.arriveAndWait();
  using segment: Segment = worker.dsm.attach(shared.handle.load());
  const queues = [segment.messageQueue(there), segment.messageQueue(back)] as const;
  const duration = await second({ out: queues[1].sender, inbox: queues[0].receiver }, count);
  await together.arriveAndWait();
  return duration;
}

function resultsOf(
  ms: Durations,
  locks: Pick<QueueResults, 'lwlock_pair_ns' | 'lwlock_shared_pair_ns' | 'atomic_add_ns'>,
): QueueResults {
  return {
    small_per_s: 1000 / ms.small,
    small_awaited_per_s: 1000 / ms.awaited,
    large_bytes_per_s: (LARGE_BYTES * 1000) / ms.large,
    asleep_us: ms.asleep * 1000,
    spinning_us: ms.spinning * 1000,
    ...locks,
  };
}

const TURNS = 1_000_000;

function perTurnNs(act: () => unknown): number {
  const all = Array.from({ length: REPEATS }, () => {
    const from = performance.now();
    for (let i = 0; i < TURNS; i++) act();
    return ((performance.now() - from) * 1e6) / TURNS;
  });
  return median(all);
}

function pin(side: number): void {
  const core = String(side % availableParallelism());
  execFileSync('taskset', ['-pc', core, String(process.pid)], { stdio: 'ignore' });
}
