// first-lines.ts: where the subjects' first lines arrive: a FIFO, read by the event loop.
//
// The same one for every variant: whoever loads subject/say.ts finds it by its name in the
// environment, opens it while loading, and writes its pid and name as the first thing that its main
// does.

import { spawnSync } from 'node:child_process';
import { constants, openSync } from 'node:fs';
import { Socket } from 'node:net';

/** The environment variable with the path of the FIFO. */
export const FIRST_LINES = 'BGWORKER_BENCH_FIRST_LINES';

/** When a start is taken for lost, in milliseconds. */
const PATIENCE_MS = 30_000;

export interface FirstLine {
  readonly pid: number;
  readonly name: string;
  /** On the clock of performance.now(), when this process saw it. */
  readonly at: number;
}

export class FirstLines implements Disposable {
  readonly #socket: Socket;
  readonly #signal: AbortSignal;
  readonly #arrived: FirstLine[] = [];
  #rest = '';
  #wake: () => void = () => {};

  constructor(path: string, signal: AbortSignal) {
    const made = spawnSync('mkfifo', [path], { encoding: 'utf8' });
    if (made.error !== undefined) throw made.error;
    if (made.status !== 0) throw new Error(made.stderr);
    // Both ways, so that it has a writer at every moment and never ends.
    const descriptor = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
    process.env[FIRST_LINES] = path;
    this.#signal = signal;
    this.#socket = new Socket({ fd: descriptor, readable: true, writable: false });
    this.#socket.on('data', (chunk) => this.#take(chunk.toString(), performance.now()));
  }

  /** The next `count` lines. */
  async take(count: number): Promise<FirstLine[]> {
    const patience = setTimeout(() => this.#wake(), PATIENCE_MS);
    const deadline = performance.now() + PATIENCE_MS;
    const wake = () => this.#wake();
    this.#signal.addEventListener('abort', wake);
    try {
      while (this.#arrived.length < count) {
        this.#signal.throwIfAborted();
        if (performance.now() >= deadline) {
          const seconds = PATIENCE_MS / 1000;
          throw new Error(`${this.#arrived.length} of ${count} starts seen after ${seconds} s`);
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      return this.#arrived.splice(0, count);
    } finally {
      clearTimeout(patience);
      this.#signal.removeEventListener('abort', wake);
    }
  }

  async next(): Promise<FirstLine> {
    const [line] = await this.take(1);
    if (line === undefined) throw new Error('take(1) gives one line');
    return line;
  }

  #take(text: string, at: number): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const [pid, name] = line.split(' ');
      this.#arrived.push({ pid: Number(pid), name: name ?? '', at });
    }
    this.#wake();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
    delete process.env[FIRST_LINES];
  }
}
