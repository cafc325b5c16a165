// dynamic-workers.ts: the dynamic workers of one process: registers them, and passes on to each
// handle what is heard of it. One per process that has any: a worker, a backend, the postmaster's own
// program, the command line.

import { serialize } from 'node:v8';
import { BgworkerError } from '../errors.ts';
import { argCannotTravel, registrationSubject, sentenceOf } from '../messages.ts';
import type { HandleId, HandleStatus } from '../model/handle.ts';
import { checkRegistration } from '../register/check.ts';
import { type News, type TravellingId, travelling } from '../travel/control.ts';
import { BODY_MAX_BYTES } from '../travel/frames.ts';
import { BackgroundWorkerHandle, type WaitOptions } from './handle.ts';
import * as messages from './messages.ts';
import type { ControlPort } from './port.ts';

export class DynamicWorkers {
  readonly #port: ControlPort;
  /** Of whom there is still something to be heard. */
  readonly #handles = new Map<string, BackgroundWorkerHandle>();

  constructor(port: ControlPort) {
    this.#port = port;
    port.listen({
      news: (news) => this.#hear(news),
      ended: (why) => this.#end(why),
    });
  }

  /**
   * Checked here, so that a mistake is the caller's own, and once more by the postmaster. If the
   * signal is aborted before the answer has come, the worker is terminated when it does.
   *
   * @throws BgworkerError ERR_INVALID_REGISTRATION, ERR_TOO_MANY_WORKERS, ERR_POSTMASTER_DIED,
   * ERR_WRONG_STATE, ERR_CONTROL_SOCKET; the signal's reason
   */
  async register(options: object, { signal }: WaitOptions = {}): Promise<BackgroundWorkerHandle> {
    signal?.throwIfAborted();
    const { name } = checkRegistration(options, { kind: 'dynamic' });
    const { arg, ...rest } = options as { arg?: unknown };
    const body = arg === undefined ? null : serialized(name, arg);
    const asked = this.#port.ask({ do: 'register', options: rest }, body, (id) =>
      this.#add(name, id, { status: 'NOT_YET_STARTED' }),
    );
    return signal === undefined ? asked : unlessAborted(asked, signal);
  }

  /**
   * A handle of a worker that somebody else has registered.
   *
   * @throws BgworkerError ERR_POSTMASTER_DIED, ERR_CONTROL_SOCKET
   */
  watch(name: string, id: HandleId): Promise<BackgroundWorkerHandle> {
    return this.#port.ask({ do: 'watch', ...travelling(id) }, null, (status) =>
      this.#add(name, travelling(id), status),
    );
  }

  /** The postmaster is dead, as this process has just seen. true: somebody was waiting to hear it. */
  orphan(): boolean {
    return this.#end(null);
  }

  #add(name: string, travelled: TravellingId, seen: HandleStatus): BackgroundWorkerHandle {
    const { slot, generation } = travelled;
    const id = { slot, generation: BigInt(generation) };
    const handle = new BackgroundWorkerHandle(this.#port, name, id, seen);
    this.#handles.set(keyOf(travelled), handle);
    return handle;
  }

  #hear(news: News): void {
    this.#handles.get(keyOf(news))?.heard(news);
    if (news.isLast) this.#handles.delete(keyOf(news));
  }

  #end(why: BgworkerError | null): boolean {
    let wasWaiting = false;
    for (const handle of this.#handles.values()) wasWaiting = handle.ended(why) || wasWaiting;
    this.#handles.clear();
    return wasWaiting;
  }
}

function keyOf({ slot, generation }: TravellingId): string {
  return `${slot}/${generation}`;
}

function serialized(name: string, arg: unknown): Uint8Array {
  const refuse = (problem: string, cause?: unknown): never => {
    const sentence = `${registrationSubject(name)}: arg ${problem}`;
    throw new BgworkerError('ERR_INVALID_REGISTRATION', sentence, { cause });
  };
  try {
    const bytes = serialize(arg);
    return bytes.length <= BODY_MAX_BYTES
      ? bytes
      : refuse(messages.argumentTooLong(bytes.length, BODY_MAX_BYTES));
  } catch (error) {
    if (error instanceof BgworkerError) throw error;
    return refuse(argCannotTravel(sentenceOf(error)), error);
  }
}

function unlessAborted(
  asked: Promise<BackgroundWorkerHandle>,
  signal: AbortSignal,
): Promise<BackgroundWorkerHandle> {
  return new Promise((resolve, reject) => {
    const aborted = () => {
      reject(signal.reason);
      // Nobody has the handle, so nobody else would end the worker. If it was refused, all is well.
      asked.then((handle) => handle.terminate()).catch(() => {});
    };
    signal.addEventListener('abort', aborted, { once: true });
    asked
      .finally(() => signal.removeEventListener('abort', aborted))
      .then((handle) => (signal.aborted ? undefined : resolve(handle)), reject);
  });
}
