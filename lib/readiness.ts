// readiness.ts: what start() waits for, and why it was not to be had.

import { BgworkerError } from './errors.ts';
import * as messages from './messages.ts';
import type { Event } from './model/event.ts';
import type { Phase } from './model/phase.ts';
import type { State } from './model/state.ts';

/** The postmaster that is waited for. */
export interface Awaited {
  readonly finished: Promise<unknown>;
  /** Where it stands now; `isStopped`: it is told to end, or has ended. */
  where(): { readonly phase: Phase; readonly isStopped: boolean };
  /** Resolves when everything is ended. */
  stop(): Promise<void>;
}

export class Readiness {
  readonly #timeoutSeconds: number;
  #resolve: () => void = () => {};
  /** Why it cannot go on; the first cause. */
  #failure: Error | null = null;
  /** What the followed database last said against us, for the error of a start that took too long. */
  #databaseTrouble: string | null = null;

  constructor(timeoutSeconds: number) {
    this.#timeoutSeconds = timeoutSeconds;
  }

  /** After each event: what may be the reason in the end. */
  learn(event: Event, after: State): void {
    if (event.kind === 'database') this.#databaseTrouble = event.detail;
    if (after.failure.kind === 'failed') this.#failure = after.failure.error;
  }

  entered(phase: Phase): void {
    if (phase === 'RUN' || phase === 'HOT_STANDBY') this.#resolve();
  }

  /** Resolves when workers with a database may run; else rejects when everything is ended. */
  async wait(postmaster: Awaited, signal: AbortSignal | undefined): Promise<void> {
    const patience = AbortSignal.timeout(this.#timeoutSeconds * 1000);
    const giveUp = AbortSignal.any(signal === undefined ? [patience] : [patience, signal]);
    const isReady = await new Promise<boolean>((resolve) => {
      this.#resolve = () => resolve(true);
      void postmaster.finished.then(() => resolve(false));
      giveUp.addEventListener('abort', () => resolve(false), { once: true });
    });
    if (isReady) return;
    const { phase, isStopped } = postmaster.where();
    await postmaster.stop();
    if (this.#failure !== null) throw this.#failure;
    if (signal?.aborted) throw signal.reason;
    throw isStopped
      ? new BgworkerError('ERR_WRONG_STATE', messages.stoppedBeforeReady)
      : new BgworkerError('ERR_START_TIMEOUT', this.#tookTooLong(phase));
  }

  #tookTooLong(phase: Phase): string {
    return messages.startTimedOut(this.#timeoutSeconds, phase, this.#databaseTrouble);
  }
}
