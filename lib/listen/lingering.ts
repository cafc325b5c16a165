// lingering.ts: the last moments of connections that are not served.
//
// The words are said and our side has ended. The client's side is read and forgotten until it ends
// as well, so that a client that has already sent something can still read why it is not served:
// closed at once, TCP would answer with a reset. Bounded in time and number, because a client that
// never leaves must not cost us anything.

import { closeSync } from 'node:fs';
import { type DescriptorWatcher, native } from '../native.ts';

const LINGER_MS = 2_000;
/** One more, and the one that has lingered for the longest is closed. */
const LINGERING_MAX = 100;

interface Lingering {
  readonly watcher: DescriptorWatcher;
  readonly timer: NodeJS.Timeout;
}

export class LingeringConnections {
  /** By descriptor, the oldest first. */
  readonly #lingering = new Map<number, Lingering>();

  /** The descriptor is ours from here on. */
  add(descriptor: number, words: Uint8Array): void {
    native.sayLast(descriptor, words);
    const watcher = new native.DescriptorWatcher(descriptor, () => {
      if (!native.drain(descriptor)) this.#close(descriptor);
    });
    const timer = setTimeout(() => this.#close(descriptor), LINGER_MS);
    timer.unref();
    this.#lingering.set(descriptor, { watcher, timer });
    if (this.#lingering.size > LINGERING_MAX) {
      const [oldest] = this.#lingering.keys();
      if (oldest !== undefined) this.#close(oldest);
    }
  }

  closeAll(): void {
    for (const descriptor of [...this.#lingering.keys()]) this.#close(descriptor);
  }

  #close(descriptor: number): void {
    const { watcher, timer } = this.#lingering.get(descriptor) ?? {};
    this.#lingering.delete(descriptor);
    clearTimeout(timer);
    watcher?.close();
    closeSync(descriptor);
  }
}
