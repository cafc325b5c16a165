// plain-children.ts: child_process.fork, the way that Node itself offers, to compare with.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const SUBJECTS = new URL('../subject/', import.meta.url);

export class PlainChild implements AsyncDisposable {
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;

  /** `program`: a file of subject/, without its ending. */
  constructor(program: string, options: { readonly execArgv?: string[] } = {}) {
    const path = fileURLToPath(new URL(`${program}.js`, SUBJECTS));
    this.#process = fork(path, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], ...options });
    this.#exited = once(this.#process, 'exit');
  }

  /** Sends a message and gives the answer. */
  async ask(message: number, signal: AbortSignal): Promise<unknown> {
    const answered = once(this.#process, 'message', { signal });
    this.#process.send(message);
    const died = this.#exited.then(() => {
      throw new Error('it ended instead of answering');
    });
    const [answer] = await Promise.race([answered, died]);
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGTERM');
    await this.#exited;
  }
}
