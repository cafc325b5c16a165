// messages.ts: the sentences of parallel runs.

import { describeCause, quote, sentenceOf } from '../../messages.ts';
import type { ExitCause } from '../../model/exit.ts';

const SUBJECT = 'runParallel()';

export function badNumber(name: string, least: number, most: number, got: unknown): string {
  return `${SUBJECT}: ${name} must be a whole number from ${least} to ${most}, got ${quote(got)}`;
}

export function badInputs(got: unknown): string {
  return `${SUBJECT}: inputs must be iterable, or async iterable, got ${quote(got)}`;
}

export function badTask(got: unknown): string {
  return `${SUBJECT}: the task must have module and, unless it is 'main', function, got ${quote(got)}`;
}

export const usedTwice =
  'runParallel(): its results are waited for once, or iterated over once; call it again for another run';

export function inputCannotTravel(index: number, error: unknown): string {
  return `${SUBJECT}: input ${index} must be structured-cloneable: ${sentenceOf(error)}`;
}

export function failedOn(name: string, index: number | null, error: unknown): string {
  const where = index === null ? '' : ` on input ${index}`;
  return `${name} failed${where}: ${sentenceOf(error)}`;
}

/** It said nothing, and is gone. null: nobody knows how; it may never have been started. */
export function diedEarly(name: string, exit: ExitCause | null): string {
  return `${name} ${exit === null ? 'was gone' : describeCause(exit)} before its work was done`;
}

export function doesNotEnd(names: readonly string[], seconds: number): string {
  return `${SUBJECT}: ${names.join(', ')} did not end within ${seconds} s of SIGTERM, and is left alone`;
}

export function runsWithFewer(launched: number, wanted: number): string {
  return `${SUBJECT}: ${launched} of ${wanted} workers; there is no room for more`;
}
