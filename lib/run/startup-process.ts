// startup-process.ts: the process whose progress moves the phases: what its main() gets, its life.
//
// A worker in all but this: it has a slot beside the workers', it says how far it is, and why it
// fails is told to the postmaster, for which it is the end.

import { closeSync, writeSync } from 'node:fs';
import { sentenceOf } from '../messages.ts';
import { STARTUP_CONSISTENT, STARTUP_WORDS_MAX_BYTES, type WorkerStart } from '../travel/notes.ts';
import { BackgroundWorker, type WorkerSurroundings } from './background-worker.ts';
import { runWorker, type WorkerEnvironment } from './run-worker.ts';
import type { RegisteredStartup } from './startup-options.ts';

/** The startup process, seen from inside. */
export class StartupProcess extends BackgroundWorker {
  #say: ((text: string) => void) | null;

  /** For the worker's wiring. */
  constructor(start: WorkerStart, surroundings: WorkerSurroundings, say: (text: string) => void) {
    super(start, surroundings);
    this.#say = say;
  }

  /**
   * What it has restored so far may be looked at: the phase becomes HOT_STANDBY, in which workers
   * of startTime 'ConsistentState' are started. A second call has no effect.
   */
  reachedConsistency(): void {
    this.#say?.(STARTUP_CONSISTENT);
    this.#say = null;
  }
}

export interface StartupEnvironment
  extends Omit<WorkerEnvironment, 'registry' | 'bootDescriptor' | 'argumentDescriptor'> {
  readonly registry: WorkerEnvironment['registry'] & { readonly startup: RegisteredStartup | null };
  /** A pipe to the postmaster. */
  readonly answerDescriptor: number;
}

/** Returns when main()'s synchronous part is over; the process leaves by itself later. */
export function runStartup({ answerDescriptor, ...environment }: StartupEnvironment): void {
  const { startup, shared } = environment.registry;
  const say = (words: string | Uint8Array) => {
    writeSync(answerDescriptor, Buffer.from(words));
  };
  runWorker({
    ...environment,
    bootDescriptor: null,
    argumentDescriptor: null,
    registry: {
      shared,
      mainOf() {
        if (startup === null) throw new Error('no startup process is registered in this process');
        // What make() below makes is what it is called with.
        return (worker) => startup.main(worker as StartupProcess);
      },
      argOf: () => undefined,
    },
    make: (start, surroundings) => new StartupProcess(start, surroundings, say),
    failed(error) {
      say(Buffer.from(sentenceOf(error)).subarray(0, STARTUP_WORDS_MAX_BYTES));
      closeSync(answerDescriptor);
    },
  });
}
