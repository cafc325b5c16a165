// exchange.ts: what the leader of a parallel run and its workers say to each other, and where their
// queues lie in the segment that they share.
//
//     queue 0: leader → worker 0 | queue 1: worker 0 → leader | queue 2: leader → worker 1 | …

import { pathToFileURL } from 'node:url';
import { packageFile } from '../../package-files.ts';
import type { SegmentQueueOptions } from '../../shared/segment.ts';

/** The module whose main() a parallel worker runs. */
export const PARALLEL_WORKER = pathToFileURL(packageFile('#parallel-worker')).href;

/** The argument of a parallel worker. */
export interface ParallelStart {
  /** The handle of the segment, which is gone when the leader is. */
  readonly segment: number;
  readonly index: number;
  readonly queueBytes: number;
  readonly module: string;
  readonly function: string;
  readonly arg: unknown;
}

/** leader → worker. */
export interface Assignment {
  readonly index: number;
  readonly input: unknown;
}

/** worker → leader. */
export type Report =
  /** First: the function is loaded. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly index: number; readonly value: unknown }
  /** Last. null: not while at work on an input. */
  | { readonly kind: 'failed'; readonly index: number | null; readonly error: Error };

/** On a cache line. */
const ALIGNMENT = 64;

export function segmentBytes(workers: number, queueBytes: number): number {
  return workers * 2 * aligned(queueBytes);
}

export function placeOf(
  index: number,
  direction: 'assignments' | 'reports',
  queueBytes: number,
): SegmentQueueOptions & { readonly values: true } {
  const number = 2 * index + (direction === 'assignments' ? 0 : 1);
  return { byteOffset: number * aligned(queueBytes), bytes: queueBytes, values: true };
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
