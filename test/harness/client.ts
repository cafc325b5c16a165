// client.ts: a client of a postmaster under test: what it said, what it heard, how it ended.

import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import type { ListenAddress } from '../../lib/index.ts';
import { PATIENCE_MS } from './program.ts';

export class TestClient {
  readonly socket: Socket;
  /** All that was heard, and how it ended. */
  readonly ended: Promise<{ readonly text: string; readonly error: string | null }>;
  #text = '';
  #wake = new Set<() => void>();

  constructor(address: ListenAddress, options: { readonly allowHalfOpen?: boolean } = {}) {
    this.socket = connect({ ...address, ...options });
    let error: string | null = null;
    this.socket.on('data', (bytes) => {
      this.#text += bytes.toString('latin1');
      for (const wake of this.#wake) wake();
    });
    this.socket.on('error', (cause: NodeJS.ErrnoException) => {
      error = cause.code ?? cause.message;
    });
    this.ended = new Promise((resolve) => {
      this.socket.on('close', () => {
        for (const wake of this.#wake) wake();
        resolve({ text: this.#text, error });
      });
    });
    onTestFinished(() => {
      this.socket.destroy();
    });
  }

  get text(): string {
    return this.#text;
  }

  say(text: string | Uint8Array): this {
    this.socket.write(text);
    return this;
  }

  /** Resolves with all that was heard, once that is in it. */
  async hears(part: string | RegExp): Promise<string> {
    const isThere = () =>
      typeof part === 'string' ? this.#text.includes(part) : part.test(this.#text);
    const deadline = AbortSignal.timeout(PATIENCE_MS);
    while (!isThere()) {
      if (this.socket.closed) throw new Error(`the end before ${part}, after "${this.#text}"`);
      await new Promise<void>((resolve, reject) => {
        const wake = () => {
          this.#wake.delete(wake);
          resolve();
        };
        this.#wake.add(wake);
        deadline.onabort = () => reject(new Error(`no ${part}, only "${this.#text}"`));
      });
    }
    return this.#text;
  }

  /** Its end, in order. */
  async leaves(): Promise<string> {
    this.socket.end();
    return (await this.ended).text;
  }

  /** Its end without a word: a reset. */
  vanishes(): void {
    this.socket.resetAndDestroy();
  }
}
