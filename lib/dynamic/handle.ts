// handle.ts: a dynamic worker, as who registered it has it in his hands (BackgroundWorkerHandle).
//
// A slot and its generation, and what was last heard of it. It is plain memory: to let go of it
// changes nothing, and the worker outlives who registered it. Waiting is for news that the
// postmaster sends, in order and each once, so no exit is missed, however short; and it ends with
// the postmaster, so it never lasts for ever.

import { BgworkerError } from '../errors.ts';
import type { ExitCause } from '../model/exit.ts';
import type { HandleId, HandleStatus } from '../model/handle.ts';
import { type News, travelling } from '../travel/control.ts';
import type { ControlPort } from './port.ts';

export type WorkerStatus = HandleStatus | { readonly status: 'POSTMASTER_DIED' };

export interface WaitOptions {
  /** Its abort rejects with the signal's reason; the worker is left alone. */
  readonly signal?: AbortSignal;
}

interface Wait {
  holds(status: WorkerStatus): boolean;
  resolve(status: WorkerStatus): void;
  reject(error: unknown): void;
}

const POSTMASTER_DIED: WorkerStatus = { status: 'POSTMASTER_DIED' };

export class BackgroundWorkerHandle {
  readonly slot: number;
  readonly generation: bigint;
  readonly name: string;

  readonly #port: ControlPort;
  readonly #waits = new Set<Wait>();
  #seen: WorkerStatus;
  #lastExit: ExitCause | null = null;
  /** Why there will be no more news, if it is not the postmaster's death. */
  #failure: BgworkerError | null = null;

  /** For the wiring: of a worker with this status. */
  constructor(port: ControlPort, name: string, { slot, generation }: HandleId, seen: HandleStatus) {
    this.#port = port;
    this.name = name;
    this.slot = slot;
    this.generation = generation;
    this.#seen = seen;
  }

  /** How its process last ended, as far as that was heard here; null: it was not, or it has not. */
  get lastExit(): ExitCause | null {
    return this.#lastExit;
  }

  /**
   * Asks the postmaster (GetBackgroundWorkerPid). A snapshot. STOPPED: it is done, or waits to be
   * started again, or its slot is somebody else's by now.
   *
   * @throws BgworkerError ERR_CONTROL_SOCKET
   */
  async status(): Promise<WorkerStatus> {
    try {
      return await this.#port.ask({ do: 'status', ...travelling(this) }, null, (answer) => answer);
    } catch (error) {
      if (error instanceof BgworkerError && error.code === 'ERR_POSTMASTER_DIED') {
        return POSTMASTER_DIED;
      }
      throw error;
    }
  }

  /**
   * Until it is no longer NOT_YET_STARTED (WaitForBackgroundWorkerStartup). STARTED: it has a
   * process, which may not have come to its main() yet.
   *
   * @throws the signal's reason; BgworkerError ERR_CONTROL_SOCKET
   */
  waitForStartup(options: WaitOptions = {}): Promise<WorkerStatus> {
    return this.#wait(({ status }) => status !== 'NOT_YET_STARTED', options);
  }

  /**
   * Until it is STOPPED (WaitForBackgroundWorkerShutdown). A worker that will be started again has
   * stopped as well: it resolves at the first exit.
   *
   * @throws the signal's reason; BgworkerError ERR_CONTROL_SOCKET
   */
  waitForShutdown(options: WaitOptions = {}): Promise<WorkerStatus> {
    const isOver = ({ status }: WorkerStatus) =>
      status === 'STOPPED' || status === 'POSTMASTER_DIED';
    return this.#wait(isOver, options);
  }

  /**
   * SIGTERM, if it runs, and never another start (TerminateBackgroundWorker). Does not wait for the
   * end. Does nothing, and is no mistake, if it is gone already, or the postmaster is.
   *
   * @throws BgworkerError ERR_CONTROL_SOCKET
   */
  async terminate(): Promise<void> {
    try {
      await this.#port.ask({ do: 'terminate', ...travelling(this) }, null, () => {});
    } catch (error) {
      if (!(error instanceof BgworkerError) || error.code !== 'ERR_POSTMASTER_DIED') throw error;
    }
  }

  /** For the wiring. */
  heard(news: News): void {
    const { status, exit } = news;
    this.#lastExit = exit ?? this.#lastExit;
    this.#look(status === 'STARTED' ? { status, pid: news.pid } : { status });
  }

  /** For the wiring: nothing more will be heard. true: somebody was waiting. */
  ended(why: BgworkerError | null): boolean {
    const wasWaiting = this.#waits.size > 0;
    this.#failure = why;
    if (why === null) this.#look(POSTMASTER_DIED);
    for (const wait of [...this.#waits]) wait.reject(why);
    return wasWaiting;
  }

  #look(status: WorkerStatus): void {
    this.#seen = status;
    for (const wait of [...this.#waits]) if (wait.holds(status)) wait.resolve(status);
  }

  #wait(holds: Wait['holds'], { signal }: WaitOptions): Promise<WorkerStatus> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      if (holds(this.#seen)) return resolve(this.#seen);
      if (this.#failure !== null) return reject(this.#failure);
      const end = () => {
        if (!this.#waits.delete(wait)) return;
        this.#port.release();
        signal?.removeEventListener('abort', aborted);
      };
      const wait: Wait = {
        holds,
        resolve: (status) => {
          end();
          resolve(status);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      const aborted = () => wait.reject(signal?.reason);
      signal?.addEventListener('abort', aborted, { once: true });
      this.#waits.add(wait);
      this.#port.hold();
      return undefined;
    });
  }
}
