// memory-initializer.ts: the child that runs the start-up hooks of shared memory.
//
// Its exit code 0 says that they have run; what went wrong it says on a socket of its own before it
// leaves. Nobody else is attached meanwhile.

import { closeSync } from 'node:fs';
import { BgworkerError } from '../errors.ts';
import * as messages from '../messages.ts';
import type { Event } from '../model/event.ts';
import type { ChildId } from '../model/standing.ts';
import { native } from '../native.ts';
import { INITIALIZER_SLOT } from '../travel/notes.ts';
import { type ChildEnd, causeOf } from './child-end.ts';
import type { LauncherProcess } from './launcher-process.ts';
import type { NodeChildren } from './node-children.ts';
import type { SharedMemory } from './shared-memory.ts';

export interface MemoryInitializerOptions {
  readonly nodes: NodeChildren;
  readonly memory: SharedMemory;
  /** The present one; null: there has been none yet. */
  launcher(): LauncherProcess | null;
  post(event: Event): void;
}

export class MemoryInitializer {
  readonly #child: ChildId;
  readonly #options: MemoryInitializerOptions;
  /** Our end of the socket on which the hooks say what went wrong; null: none run. */
  #answer: number | null = null;

  /** `child` is the number that the launcher knows it by, one after the other. */
  constructor(child: ChildId, options: MemoryInitializerOptions) {
    this.#child = child;
    this.#options = options;
  }

  start(): void {
    const launcher = this.#options.launcher();
    if (launcher === null) return;
    const [ours, theirs] = native.channelPair();
    this.#answer = ours;
    this.#options.nodes.start(launcher, this.#child, { kind: 'initialize' }, [theirs]);
    closeSync(theirs);
  }

  /** A hook that still runs: nobody waits for what it does. */
  kill(): void {
    this.#options.launcher()?.kill(this.#child, 'SIGKILL', 'group');
  }

  /** No child came of it. */
  failed(call: string, why: string): void {
    this.#fail(`${call}: ${why}`);
  }

  ended(end: ChildEnd): void {
    const { nodes, memory, post } = this.#options;
    nodes.forget(this.#child);
    // It went with the launcher, which is news enough.
    if (end.kind === 'lost') return this.close();
    const said = this.#takeAnswer();
    const isClean = !memory.takeDeadMan(INITIALIZER_SLOT);
    const cause = causeOf(end);
    if (cause.kind === 'code' && cause.code === 0 && isClean) return post({ kind: 'memory-ready' });
    this.#fail(said ?? messages.describeCause(cause));
  }

  /** Idempotent. */
  close(): void {
    if (this.#answer !== null) closeSync(this.#answer);
    this.#answer = null;
  }

  /** What the child said before it left; null: nothing. Whoever could say more is dead. */
  #takeAnswer(): string | null {
    if (this.#answer === null) return null;
    const note = native.receiveNote(this.#answer);
    this.close();
    return note?.toString() ?? null;
  }

  #fail(how: string): void {
    this.close();
    const error = new BgworkerError('ERR_SHARED_MEMORY', messages.startupHookFailed(how));
    this.#options.post({ kind: 'memory-failed', error });
  }
}
