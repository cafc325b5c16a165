// booting.ts: children that are not up yet, each with a socket that it closes when it is.
//
// What a child is to be told waits here until then. A node that is exec'ed takes back every signal
// mask and disposition that it inherited, so a SIGTERM or SIGHUP in that time would simply end it,
// which looks like a crash; it is up once it holds signals for main(). A fork holds them anyway, and is
// up when its main() is next.

import { closeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { ChildId } from '../model/standing.ts';
import { type DescriptorWatcher, native } from '../native.ts';

/** What one message carries: a few less than the kernel's 253, and than the core's 64. */
const BATCH = 60;
/** How soon a full socket is tried again; the worker empties it once it has booted. */
const RETRY_MS = 1;

interface Boot {
  readonly descriptor: number;
  readonly watcher: DescriptorWatcher;
  readonly waiting: (() => void)[];
}

export class BootingChildren {
  readonly #boots = new Map<ChildId, Boot>();

  /**
   * `descriptor`: our end of its socket, ours to close from here on. `doorbells`: what it is sent over
   * that socket if it is exec'ed and attached. `up`: called when it is up, or as it dies.
   */
  add(child: ChildId, descriptor: number, doorbells: readonly number[], up = () => {}): void {
    const watcher = new native.DescriptorWatcher(descriptor, () => {
      for (const tell of this.forget(child)) tell();
    });
    const boot = { descriptor, watcher, waiting: [up] };
    this.#boots.set(child, boot);
    void this.#send(child, boot, doorbells);
  }

  /** Never blocks: a worker that does not read must not hold up the postmaster. */
  async #send(child: ChildId, boot: Boot, doorbells: readonly number[]): Promise<void> {
    for (let first = 0; first < doorbells.length; first += BATCH) {
      const batch = doorbells.slice(first, first + BATCH);
      // After each wait: the number may be closed, and somebody else's.
      while (this.#boots.get(child) === boot && !trySend(boot.descriptor, batch)) {
        await setTimeout(RETRY_MS);
      }
    }
  }

  /** At once, or as soon as it is up; never, if it ends before. */
  whenUp(child: ChildId, tell: () => void): void {
    const boot = this.#boots.get(child);
    if (boot === undefined) tell();
    else boot.waiting.push(tell);
  }

  /** It is up, or it is gone: gives what it was to be told. Idempotent. */
  forget(child: ChildId): readonly (() => void)[] {
    const boot = this.#boots.get(child);
    if (boot === undefined) return [];
    this.#boots.delete(child);
    boot.watcher.close();
    closeSync(boot.descriptor);
    return boot.waiting;
  }
}

/** true: it is sent, or there is nobody to send it to, which its exit will say. */
function trySend(descriptor: number, batch: readonly number[]): boolean {
  try {
    return native.sendDescriptors(descriptor, batch);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EPIPE') return true;
    throw error;
  }
}
