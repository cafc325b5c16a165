// parallel-options.ts: what runParallel() takes, checked, with every default filled in.

import { BgworkerError } from '../../errors.ts';
import { PARALLEL_WORKERS_MAX, type WorkerFlag } from '../../model/registration.ts';
import { MessageQueue } from '../../shared/message-queue.ts';
import type { BackgroundWorker } from '../background-worker.ts';
import * as messages from './messages.ts';

/** What each parallel worker runs, for each input that it is given. */
// biome-ignore lint/suspicious/noExplicitAny: they have the types that the function declares.
export type ParallelFunction = (input: any, worker: BackgroundWorker, arg: any) => unknown;

export interface ParallelTask {
  /** Loaded in each worker: a file: URL, an absolute path or a package name. */
  readonly module: string | URL;
  /** A ParallelFunction of the module. Default: 'main'. */
  readonly function?: string;
  /** Given to the function with each input; copied once. */
  readonly arg?: unknown;
  /** Besides SHMEM_ACCESS and CLASS_PARALLEL: BACKEND_DATABASE_CONNECTION. */
  readonly flags?: readonly WorkerFlag[];
  /** The default database of `worker.connect()`. Default: the leader's. */
  readonly database?: string;
  readonly user?: string;
  /** 'exec': fresh nodes instead of forks. */
  readonly launch?: 'fork' | 'exec';
}

export interface ParallelOptions {
  /** How many workers there shall be. Where there is room for fewer, there are fewer, but one. */
  readonly workers: number;
  /** Its abort ends the workers, and the run rejects with its reason. */
  readonly signal?: AbortSignal;
  /**
   * How many inputs wait at each worker while it is at work on another one. 0: a worker that is done
   * waits for its next input, and none waits behind a slow one. More is for short work. Default: 0.
   */
  readonly prefetch?: number;
  /** The size of each of the two queues of a worker; a longer value streams. Default: 65 536. */
  readonly queueBytes?: number;
}

export interface CheckedParallel {
  readonly module: string;
  readonly function: string;
  readonly workers: number;
  readonly prefetch: number;
  readonly queueBytes: number;
}

const PREFETCH_MAX = 1024;
const QUEUE_BYTES = 65_536;
const QUEUE_BYTES_MAX = 1 << 30;

/** Whether the module and the flags make sense is the registration's to say. */
export function checkParallel(
  task: ParallelTask,
  inputs: unknown,
  { workers, prefetch = 0, queueBytes = QUEUE_BYTES }: ParallelOptions,
): CheckedParallel {
  const refuse = (sentence: string): never => {
    throw new BgworkerError('ERR_INVALID_OPTION', sentence);
  };
  const inRange = (name: string, value: number, least: number, most: number): number =>
    Number.isInteger(value) && value >= least && value <= most
      ? value
      : refuse(messages.badNumber(name, least, most, value));

  if (typeof task !== 'object' || task === null || task.module === undefined) {
    return refuse(messages.badTask(task));
  }
  if (!isIterable(inputs)) return refuse(messages.badInputs(inputs));
  return {
    module: String(task.module),
    function: task.function ?? 'main',
    workers: inRange('workers', workers, 1, PARALLEL_WORKERS_MAX),
    prefetch: inRange('prefetch', prefetch, 0, PREFETCH_MAX),
    queueBytes: inRange('queueBytes', queueBytes, MessageQueue.minimumBytes, QUEUE_BYTES_MAX),
  };
}

function isIterable(value: unknown): boolean {
  const object = Object(value) as object;
  return Symbol.asyncIterator in object || Symbol.iterator in object;
}
