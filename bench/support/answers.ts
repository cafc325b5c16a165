// answers.ts: what a worker has measured, sent to the benchmark as lines of JSON through a FIFO.
//
// The subject finds it by its name in the environment, as it does FirstLines.

import { spawnSync } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** The environment variable with the path of the FIFO. */
export const ANSWERS = 'BGWORKER_BENCH_ANSWERS';

export class Answers implements Disposable {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  constructor(path: string, signal: AbortSignal) {
    const made = spawnSync('mkfifo', [path], { encoding: 'utf8' });
    if (made.error !== undefined) throw made.error;
    if (made.status !== 0) throw new Error(made.stderr);
    // Both ways, so that it has a writer at every moment and never ends.
    const descriptor = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    process.env[ANSWERS] = path;
    this.#socket = new Socket({ fd: descriptor, readable: true, writable: false });
    signal.addEventListener('abort', () => this.#socket.destroy(), { once: true });
    this.#lines = createInterface({ input: this.#socket })[Symbol.asyncIterator]();
  }

  async next(): Promise<unknown> {
    const { done, value } = await this.#lines.next();
    if (done) throw new Error('the benchmark was ended while a worker measured');
    return JSON.parse(value) as unknown;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
    delete process.env[ANSWERS];
  }
}
