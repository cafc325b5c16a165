// parallel-run.ts: a parallel run, from the leader's side: what test_shm_mq shows by hand.
//
//     for await (const result of worker.runParallel(task, inputs, { workers: 4 })) …
//     const results = await worker.runParallel(task, inputs, { workers: 4 });
//
// A segment with two queues for each worker; the workers, of which there may be fewer than were
// asked for, as in a parallel query; and when all are ready, inputs to whoever is free, results in
// the order of the inputs. The first thing that goes wrong ends all of it, and is what it rejects
// with. It is over when its workers have ended, and nothing of it is left then.

import type { BackgroundWorkerHandle, WaitOptions } from '../../dynamic/handle.ts';
import { BgworkerError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { NAME_MAX_BYTES } from '../../model/registration.ts';
import type { DynamicSharedMemory } from '../../shared/dynamic-shared-memory.ts';
import type { Segment } from '../../shared/segment.ts';
import { PARALLEL_WORKER, type ParallelStart, segmentBytes } from './exchange.ts';
import { Lane } from './lane.ts';
import * as messages from './messages.ts';
import { OrderedWork } from './ordered-work.ts';
import type { CheckedParallel, ParallelTask } from './parallel-options.ts';

/** The worker that runs it. */
export interface Leader {
  readonly name: string;
  readonly database: string | null;
  readonly user: string | null;
  readonly dsm: DynamicSharedMemory;
  /** Made when it is first asked for. */
  log(): Logger;
  /** Has every wait in shared memory look again. */
  look(): void;
  register(options: object, waitOptions: WaitOptions): Promise<BackgroundWorkerHandle>;
}

export interface ParallelRequest<Input> {
  readonly leader: Leader;
  readonly task: ParallelTask;
  readonly inputs: Iterable<Input> | AsyncIterable<Input>;
  readonly checked: CheckedParallel;
  readonly signal: AbortSignal | undefined;
}

/** SIGKILL_CHILDREN_AFTER_SECS: when who does not listen to SIGTERM is waited for no longer. */
const ENDING_MS = 5_000;
/** How many times what the workers hold at once may be between the source and the consumer. */
const AHEAD = 4;

export class ParallelRun<Result> implements AsyncIterable<Result>, PromiseLike<Result[]> {
  readonly #begin: () => AsyncGenerator<Result, void>;
  #isUsed = false;
  #launched: number | null = null;

  /** For BackgroundWorker.runParallel(). Nothing happens before somebody wants results. */
  constructor(request: ParallelRequest<unknown>) {
    this.#begin = () =>
      run<Result>(request, (launched) => {
        this.#launched = launched;
      });
  }

  /** How many workers there are; null: it has not come so far yet. */
  get launched(): number | null {
    return this.#launched;
  }

  /** The results in the order of the inputs. Who leaves the loop ends the run. */
  [Symbol.asyncIterator](): AsyncGenerator<Result, void> {
    if (this.#isUsed) throw new BgworkerError('ERR_WRONG_STATE', messages.usedTwice);
    this.#isUsed = true;
    return this.#begin();
  }

  /** All results, in the order of the inputs. */
  // biome-ignore lint/suspicious/noThenProperty: it is a promise for who wants all at once.
  then<Fulfilled = Result[], Rejected = never>(
    fulfilled?: ((results: Result[]) => Fulfilled | PromiseLike<Fulfilled>) | null,
    rejected?: ((reason: unknown) => Rejected | PromiseLike<Rejected>) | null,
  ): Promise<Fulfilled | Rejected> {
    return this.#collect().then(fulfilled, rejected);
  }

  async #collect(): Promise<Result[]> {
    const results: Result[] = [];
    for await (const result of this) results.push(result);
    return results;
  }
}

async function* run<Result>(
  request: ParallelRequest<unknown>,
  launched: (count: number) => void,
): AsyncGenerator<Result, void> {
  const { leader, inputs, checked, signal } = request;
  signal?.throwIfAborted();
  const over = new AbortController();
  const aborted = () => over.abort(signal?.reason);
  signal?.addEventListener('abort', aborted, { once: true });
  const lanes: Lane[] = [];
  using segment = leader.dsm.create(segmentBytes(checked.workers, checked.queueBytes));
  let isDone = false;
  try {
    await launch(request, segment, lanes, over.signal);
    launched(lanes.length);
    const ahead = AHEAD * lanes.length * (1 + checked.prefetch);
    const work = new OrderedWork<unknown, Result>(inputs, ahead);
    for (const lane of lanes) lane.work(work, checked.prefetch).catch((error) => work.fail(error));
    try {
      for (let next = await work.next(); !next.done; next = await work.next()) yield next.value;
      isDone = true;
    } finally {
      work.leave();
    }
  } finally {
    signal?.removeEventListener('abort', aborted);
    await end(leader, lanes, isDone);
    over.abort(new Error('the parallel run is over'));
  }
}

/** All that there is room for, and ready. */
async function launch(
  request: ParallelRequest<unknown>,
  segment: Segment,
  lanes: Lane[],
  signal: AbortSignal,
): Promise<void> {
  const { leader, checked } = request;
  const { workers, queueBytes } = checked;
  const look = () => leader.look();
  while (lanes.length < workers) {
    const index = lanes.length;
    const register = () => leader.register(registrationOf(request, segment, index), { signal });
    try {
      lanes.push(await Lane.launch(segment, { index, queueBytes, signal, look, register }));
    } catch (error) {
      const isFull = error instanceof BgworkerError && error.code === 'ERR_TOO_MANY_WORKERS';
      if (!isFull || lanes.length === 0) throw error;
      leader.log().debug(messages.runsWithFewer(lanes.length, workers));
      break;
    }
  }
  await Promise.all(lanes.map((lane) => lane.untilReady()));
}

function registrationOf(
  { leader, task, checked }: ParallelRequest<unknown>,
  segment: Segment,
  index: number,
): object {
  const arg: ParallelStart = {
    segment: segment.handle,
    index,
    queueBytes: checked.queueBytes,
    module: checked.module,
    function: checked.function,
    arg: task.arg,
  };
  const database = task.database ?? leader.database;
  const user = task.user ?? leader.user;
  return {
    name: shortened(`parallel worker ${index} of ${leader.name}`),
    type: 'parallel worker',
    flags: ['SHMEM_ACCESS', 'CLASS_PARALLEL', ...(task.flags ?? [])],
    startTime: 'ConsistentState',
    restartTime: 'never',
    module: PARALLEL_WORKER,
    arg,
    ...(database !== null && { database }),
    ...(user !== null && { user }),
    ...(task.launch && { launch: task.launch }),
  };
}

/** When this resolves, they have ended; or will not, and it is said. */
async function end(leader: Leader, lanes: readonly Lane[], isDone: boolean): Promise<void> {
  for (const lane of lanes) lane.detach();
  if (!isDone) await Promise.all(lanes.map((lane) => lane.terminate().catch(() => {})));
  const patience = AbortSignal.timeout(ENDING_MS);
  const gone = await Promise.allSettled(lanes.map((lane) => lane.untilGone(patience)));
  const left = lanes.filter((_, index) => gone[index]?.status === 'rejected');
  if (left.length === 0) return;
  const names = left.map(({ name }) => name);
  leader.log().warn(messages.doesNotEnd(names, ENDING_MS / 1000));
}

/** As long as a name may be. */
function shortened(name: string): string {
  let short = name;
  while (Buffer.byteLength(short) > NAME_MAX_BYTES) short = [...short].slice(0, -1).join('');
  return short;
}
