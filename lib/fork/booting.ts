// booting.ts: exec'ed workers that cannot be told anything yet.
//
// A node that boots takes back every signal mask and disposition that it inherited, so a SIGTERM or
// SIGHUP in that time would simply end it, which looks like a crash. It closes its control socket
// once it holds signals for main(); until then what it is to be told waits here.

import { closeSync } from 'node:fs';
import type { ChildId } from '../model/standing.ts';
import { type DescriptorWatcher, native } from '../native.ts';

interface Boot {
  readonly descriptor: number;
  readonly watcher: DescriptorWatcher;
  readonly waiting: (() => void)[];
}

export class BootingChildren {
  readonly #boots = new Map<ChildId, Boot>();

  /** `descriptor`: our end of its control socket, ours to close from here on. */
  add(child: ChildId, descriptor: number): void {
    const watcher = new native.DescriptorWatcher(descriptor, () => {
      for (const tell of this.forget(child)) tell();
    });
    this.#boots.set(child, { descriptor, watcher, waiting: [] });
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
