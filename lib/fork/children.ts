// children.ts: the book of the launcher's children: who there is, and by which pidfd.
//
// A child stands in it from the report that it exists until its end is known. It is spoken to by
// its pidfd only, because its number may be somebody else's by then.

import { closeSync } from 'node:fs';
import { constants } from 'node:os';
import type { ChildId, Pid } from '../model/standing.ts';
import { type DescriptorWatcher, native } from '../native.ts';

interface Child {
  readonly pid: Pid;
  readonly pidfd: number;
  /** Only once the launcher is dead: who else would say that the child is gone? */
  watcher: DescriptorWatcher | null;
}

export class Children {
  readonly #children = new Map<ChildId, Child>();

  /** `pidfd` is ours to close from here on. */
  add(child: ChildId, { pid, pidfd }: { readonly pid: Pid; readonly pidfd: number }): void {
    this.#children.set(child, { pid, pidfd, watcher: null });
  }

  /** false: it is gone already, and its end is on the way. */
  kill(child: ChildId, signal: NodeJS.Signals, to: 'process' | 'group'): boolean {
    const known = this.#children.get(child);
    return known !== undefined && native.sendSignal(known.pidfd, constants.signals[signal], to);
  }

  /** Its end is known. Idempotent. */
  forget(child: ChildId): void {
    const known = this.#children.get(child);
    if (known === undefined) return;
    this.#children.delete(child);
    known.watcher?.close();
    closeSync(known.pidfd);
  }

  forgetAll(): void {
    for (const child of this.#children.keys()) this.forget(child);
  }

  /**
   * The launcher is dead. The kernel ends its children (PR_SET_PDEATHSIG), and nobody but us can
   * say when they are gone: `gone` is called once for each.
   */
  mourn(gone: (child: ChildId, pid: Pid) => void): void {
    for (const [child, known] of this.#children) {
      known.watcher = new native.DescriptorWatcher(known.pidfd, () => {
        // What it started itself is in its process group and has lost its parent, too.
        native.sendSignal(known.pidfd, constants.signals.SIGKILL, 'group');
        this.forget(child);
        gone(child, known.pid);
      });
    }
  }
}
