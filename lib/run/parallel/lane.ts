// lane.ts: one worker of a parallel run, as the leader has it: its handle, and both of its queues.
//
// From when it has attached, its end is heard in the queues: what it sent before comes first. Until
// then only its handle tells of it, so news of that one make the queues look again (shm_mq_attach
// with a worker handle).

import type { BackgroundWorkerHandle } from '../../dynamic/handle.ts';
import { BgworkerError } from '../../errors.ts';
import type { Receiver, Sender } from '../../shared/message-queue.ts';
import type { Segment } from '../../shared/segment.ts';
import { type Assignment, placeOf, type Report } from './exchange.ts';
import * as messages from './messages.ts';
import type { OrderedWork, Work } from './ordered-work.ts';

export interface LaneOptions {
  readonly index: number;
  readonly queueBytes: number;
  /** Aborted when the run is over, however. */
  readonly signal: AbortSignal;
  /** Has every wait in shared memory look again. */
  look(): void;
  /** Of the worker that finds its queues in the segment. */
  register(): Promise<BackgroundWorkerHandle>;
}

/** How long a worker that has left its queues may take to end before it is called a dead one. */
const LEAVING_MS = 5_000;

export class Lane {
  readonly #handle: BackgroundWorkerHandle;
  readonly #assignments: Sender<Assignment>;
  readonly #reports: Receiver<Report>;
  readonly #signal: AbortSignal;
  /** What it is at work on, and what waits for it. */
  #outstanding = 0;
  /** It was told that there is no more. */
  #isDry = false;
  #wakeSender = () => {};

  /** @throws BgworkerError as registerDynamicBackgroundWorker() */
  static async launch(segment: Segment, options: LaneOptions): Promise<Lane> {
    const { index, queueBytes, signal, look } = options;
    let isGone = false;
    const made = { isPeerGone: () => isGone };
    // Made before there is somebody who opens them.
    const queues = {
      assignments: segment.messageQueue<Assignment>({
        ...placeOf(index, 'assignments', queueBytes),
        ...made,
      }).sender,
      reports: segment.messageQueue<Report>({ ...placeOf(index, 'reports', queueBytes), ...made })
        .receiver,
    };
    const handle = await options.register();
    handle.waitForShutdown({ signal }).then(
      () => {
        isGone = true;
        look();
      },
      () => {}, // The run is over.
    );
    return new Lane(handle, queues, signal);
  }

  private constructor(
    handle: BackgroundWorkerHandle,
    queues: { assignments: Sender<Assignment>; reports: Receiver<Report> },
    signal: AbortSignal,
  ) {
    this.#handle = handle;
    this.#assignments = queues.assignments;
    this.#reports = queues.reports;
    this.#signal = signal;
  }

  get name(): string {
    return this.#handle.name;
  }

  /** @throws BgworkerError ERR_PARALLEL_FAILED: what kept it from being ready */
  async untilReady(): Promise<void> {
    const first = await this.#reports.receive({ signal: this.#signal });
    if (first.result === 'DETACHED') throw await this.#death();
    if (first.message.kind === 'failed') throw this.#failure(first.message);
  }

  /** Both directions, until there is no more work. Rejects when the worker fails or dies. */
  async work<Input, Result>(work: OrderedWork<Input, Result>, prefetch: number): Promise<void> {
    await Promise.all([this.#send(work, 1 + prefetch), this.#receive(work)]);
  }

  /** Its queues end here: a worker that waits at them leaves. */
  detach(): void {
    this.#isDry = true;
    this.#assignments.detach();
    this.#reports.detach();
    this.#wakeSender();
  }

  terminate(): Promise<void> {
    return this.#handle.terminate();
  }

  /** @throws the signal's reason */
  async untilGone(signal: AbortSignal): Promise<void> {
    await this.#handle.waitForShutdown({ signal });
  }

  async #send<Input, Result>(work: OrderedWork<Input, Result>, most: number): Promise<void> {
    for (;;) {
      while (this.#outstanding >= most && !this.#isDry) await this.#change();
      const next = this.#isDry ? null : await work.take();
      if (next === null) break;
      this.#outstanding++;
      await this.#assign(next);
    }
    this.#isDry = true;
    this.#assignments.detach();
  }

  /** DETACHED: who receives hears why. */
  async #assign(assignment: Work<unknown>): Promise<void> {
    try {
      await this.#assignments.send(assignment, { signal: this.#signal });
    } catch (error) {
      if (error instanceof BgworkerError || this.#signal.aborted) throw error;
      const sentence = messages.inputCannotTravel(assignment.index, error);
      throw new BgworkerError('ERR_INVALID_OPTION', sentence, { cause: error });
    }
  }

  async #receive<Input, Result>(work: OrderedWork<Input, Result>): Promise<void> {
    for (;;) {
      const received = await this.#reports.receive({ signal: this.#signal });
      if (received.result === 'DETACHED') {
        if (this.#isDry && this.#outstanding === 0) return;
        throw await this.#death();
      }
      const report = received.message;
      if (report.kind === 'failed') throw this.#failure(report);
      if (report.kind !== 'result') continue;
      this.#outstanding--;
      work.settle(report.index, report.value as Result);
      this.#wakeSender();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeSender = resolve;
    });
  }

  #failure({ index, error }: Extract<Report, { kind: 'failed' }>): BgworkerError {
    const sentence = messages.failedOn(this.name, index, error);
    return new BgworkerError('ERR_PARALLEL_FAILED', sentence, { cause: error });
  }

  /** It said nothing. How it ended is known when it has. */
  async #death(): Promise<BgworkerError> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(LEAVING_MS)]);
    // If it has not ended by then, it has left all the same.
    await this.#handle.waitForShutdown({ signal }).catch(() => {});
    const sentence = messages.diedEarly(this.name, this.#handle.lastExit);
    return new BgworkerError('ERR_PARALLEL_FAILED', sentence);
  }
}
