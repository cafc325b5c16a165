// parallel-worker.ts: the main() of a parallel worker: attaches to its leader's segment, loads the
// function, says that it is ready, and calls it for one input after the other.
//
// It lives for its leader. When that one is done, or gone, its end of the queues is detached, and
// whatever this worker waits for returns DETACHED: it leaves.

import { BgworkerError } from '../../errors.ts';
import type { Receiver, Sender } from '../../shared/message-queue.ts';
import type { BackgroundWorker } from '../background-worker.ts';
import { loadFunction } from '../load-function.ts';
import { type Assignment, type ParallelStart, placeOf, type Report } from './exchange.ts';
import type { ParallelFunction } from './parallel-options.ts';

const FAILED = 1;

export async function main(worker: BackgroundWorker, start: ParallelStart): Promise<void> {
  process.on('SIGTERM', function quietly() {
    // The leader has said why, and who wants to be told by worker.signal is.
    if (process.listenerCount('SIGTERM') === 1) process.exit(FAILED);
  });
  const queues = openQueues(worker, start);
  if (queues === null) return;
  const { assignments, reports } = queues;
  let index: number | null = null;
  try {
    const work = (await loadFunction(start.module, start.function)) as ParallelFunction;
    if ((await reports.send({ kind: 'ready' })) === 'DETACHED') return;
    for await (const assignment of assignments) {
      ({ index } = assignment);
      const value = await work(assignment.input, worker, start.arg);
      if ((await reports.send({ kind: 'result', index, value })) === 'DETACHED') return;
      index = null;
    }
  } catch (error) {
    await tell(reports, index, error);
    process.exitCode = FAILED;
  }
}

/** null: the leader has gone, and its segment with it. */
function openQueues(
  worker: BackgroundWorker,
  { segment: handle, index, queueBytes }: ParallelStart,
): { assignments: Receiver<Assignment>; reports: Sender<Report> } | null {
  try {
    const segment = worker.dsm.attach(handle);
    const reports = segment.messageQueue<Report>(placeOf(index, 'reports', queueBytes));
    const assignments = segment.messageQueue<Assignment>(placeOf(index, 'assignments', queueBytes));
    return { assignments: assignments.receiver, reports: reports.sender };
  } catch (error) {
    if (error instanceof BgworkerError && error.code === 'ERR_SHMEM_SEGMENT_GONE') return null;
    throw error;
  }
}

/** An error that cannot be cloned, or is none, goes as its sentence. */
async function tell(reports: Sender<Report>, index: number | null, thrown: unknown): Promise<void> {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  try {
    await reports.send({ kind: 'failed', index, error });
  } catch {
    const plain = new Error(error.message);
    plain.stack = error.stack ?? error.message;
    await reports.send({ kind: 'failed', index, error: plain });
  }
}
