// node-children.ts: the children that run this library: forks of the warm launcher, or fresh nodes.
//
// Which of the two is decided by what is known of this node and by the registration. Whoever asks
// for one sees no difference.

import { closeSync } from 'node:fs';
import { isAttached } from '../model/registration.ts';
import type { ChildId } from '../model/standing.ts';
import { native } from '../native.ts';
import { type Errand, encodeNote, type LauncherConfig } from '../travel/notes.ts';
import { BootingChildren } from './booting.ts';
import { nodeRequest } from './exec-requests.ts';
import type { LauncherProcess } from './launcher-process.ts';
import type { SharedMemory } from './shared-memory.ts';

export interface NodeChildrenOptions {
  /** How a fresh node comes up: as the launcher did. */
  readonly config: LauncherConfig;
  readonly memory: SharedMemory;
  /** The read end of the pipe whose write end only the postmaster holds. */
  readonly deathDescriptor: number;
}

export class NodeChildren {
  readonly #options: NodeChildrenOptions;
  readonly #booting = new BootingChildren();

  constructor(options: NodeChildrenOptions) {
    this.#options = options;
  }

  /** `descriptors`: what the child gets besides; they stay the caller's to close. */
  start(
    launcher: LauncherProcess,
    child: ChildId,
    errand: Errand,
    descriptors: readonly number[] = [],
  ): void {
    if (isForked(launcher, errand)) {
      launcher.fork(child, needsMemory(errand), errand, descriptors);
    } else this.#exec(launcher, child, errand, descriptors);
  }

  /**
   * The same, of a worker. `up`: called once, when it has come as far as its main(), or has died. Of a
   * fresh node, which takes its time, that is not waited for: at once.
   */
  startWorker(
    launcher: LauncherProcess,
    child: ChildId,
    errand: Errand,
    { descriptors, up }: { readonly descriptors: readonly number[]; up(): void },
  ): void {
    if (!isForked(launcher, errand)) {
      this.#exec(launcher, child, errand, descriptors);
      return up();
    }
    const [ours, theirs] = native.channelPair();
    launcher.fork(child, needsMemory(errand), errand, [theirs, ...descriptors]);
    closeSync(theirs);
    this.#booting.add(child, ours, [], up);
  }

  /** At once, or as soon as it is up; never, if it ends before. */
  whenUp(child: ChildId, tell: () => void): void {
    this.#booting.whenUp(child, tell);
  }

  /** It has ended. Idempotent. */
  forget(child: ChildId): void {
    this.#booting.forget(child);
  }

  /** A fresh node, with its configuration waiting in a socket of its own. */
  #exec(
    launcher: LauncherProcess,
    child: ChildId,
    errand: Errand,
    descriptors: readonly number[],
  ): void {
    const { config, memory, deathDescriptor } = this.#options;
    const [ours, theirs] = native.channelPair();
    native.sendNote(ours, encodeNote({ ...config, errand }));
    const area = needsMemory(errand) ? memory.area : null;
    const inherited = [theirs, deathDescriptor, ...(area === null ? [] : [area.descriptor])];
    launcher.exec(child, nodeRequest([...inherited, ...descriptors]));
    closeSync(theirs);
    this.#booting.add(child, ours, area === null ? [] : memory.doorbells);
  }
}

function isForked({ forkProblem }: LauncherProcess, errand: Errand): boolean {
  return forkProblem === null && !wantsExec(errand);
}

function wantsExec(errand: Errand): boolean {
  return errand.kind !== 'initialize' && errand.start.registration.launch === 'exec';
}

function needsMemory(errand: Errand): boolean {
  return errand.kind === 'initialize' || isAttached(errand.start.registration);
}
