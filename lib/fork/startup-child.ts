// startup-child.ts: the startup process, as the postmaster sees it: a child like a worker, with a
// slot of its own and a pipe on which it says how far it is.
//
// What it says is believed as far as it goes: a word out of two, or a bounded text for the log.

import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { Event } from '../model/event.ts';
import type { ChildId, EndingSignal, Pid } from '../model/standing.ts';
import { type DescriptorWatcher, native } from '../native.ts';
import { STARTUP_CONSISTENT, STARTUP_WORDS_MAX_BYTES, type WorkerStart } from '../travel/notes.ts';
import { type ChildEnd, causeOf } from './child-end.ts';
import type { LauncherProcess } from './launcher-process.ts';
import type { NodeChildren } from './node-children.ts';
import type { SharedMemory } from './shared-memory.ts';

export interface StartupChildOptions {
  readonly nodes: NodeChildren;
  readonly memory: SharedMemory;
  /** The present one; null: there has been none yet. */
  launcher(): LauncherProcess | null;
  post(event: Event): void;
}

/** To the process it is a worker like any other. */
function startOf(name: string, slot: number): WorkerStart {
  return {
    slot,
    registration: {
      name,
      type: 'startup',
      flags: ['SHMEM_ACCESS'],
      startTime: 'PostmasterStart',
      restartTime: 'never',
      restartOnExit0: false,
      launch: null,
      database: null,
      user: null,
      body: { kind: 'closure' },
    },
    staticIndex: null,
    database: null,
    argument: null,
  };
}

export class StartupChild {
  readonly #child: ChildId;
  readonly #options: StartupChildOptions;
  #words: Words | null = null;

  /** `child` is the number that the launcher knows it by, one after the other. */
  constructor(child: ChildId, options: StartupChildOptions) {
    this.#child = child;
    this.#options = options;
  }

  start(name: string): void {
    const launcher = this.#options.launcher();
    if (launcher === null) return;
    const [ours, theirs] = native.pipe();
    const start = startOf(name, this.#options.memory.startupSlot);
    this.#words = new Words(ours, () => this.#options.post({ kind: 'startup-consistent' }));
    this.#options.nodes.start(launcher, this.#child, { kind: 'startup', start }, [theirs]);
    closeSync(theirs);
  }

  end(signal: EndingSignal): void {
    const tell = () => this.#options.launcher()?.kill(this.#child, signal, 'group');
    if (signal === 'SIGTERM') this.#options.nodes.whenUp(this.#child, tell);
    else tell();
  }

  /** SIGHUP. Nothing happens if there is none. */
  reload(): void {
    if (this.#words === null) return;
    const { nodes, launcher } = this.#options;
    nodes.whenUp(this.#child, () => launcher()?.kill(this.#child, 'SIGHUP', 'process'));
  }

  forked(pid: Pid): void {
    this.#options.post({ kind: 'startup-started', pid });
  }

  /** No child came of it. */
  failed(call: string, why: string): void {
    this.#forget();
    this.#options.post({ kind: 'startup-not-started', call, why });
  }

  ended(end: ChildEnd): void {
    const { memory } = this.#options;
    const slot = memory.startupSlot;
    const said = this.#forget();
    memory.takeActivity(slot);
    const exit = {
      cause: causeOf(end),
      cleanDetach: !memory.takeDeadMan(slot),
      usage: end.kind === 'reaped' ? end.usage : null,
    };
    this.#options.post({ kind: 'startup-exited', exit, said });
  }

  /** Idempotent. */
  close(): void {
    this.#words?.close();
    this.#words = null;
  }

  /** Its last words, if it had any. */
  #forget(): string | null {
    this.#options.nodes.forget(this.#child);
    this.#words?.listen();
    const said = this.#words?.said ?? null;
    this.close();
    return said;
  }
}

/** The read end of its pipe: first, perhaps, that it is consistent; then, perhaps, why it failed. */
class Words {
  readonly #descriptor: number;
  readonly #watcher: DescriptorWatcher;
  readonly #onConsistent: () => void;
  #isConsistent = false;
  #isClosed = false;
  #heard = '';

  /** `descriptor` is ours to close from here on. */
  constructor(descriptor: number, onConsistent: () => void) {
    this.#onConsistent = onConsistent;
    // Opened anew, for reads that never block, whoever else may hold the other end.
    const flags = constants.O_RDONLY | constants.O_NONBLOCK;
    this.#descriptor = openSync(`/proc/self/fd/${descriptor}`, flags);
    closeSync(descriptor);
    this.#watcher = new native.DescriptorWatcher(this.#descriptor, () => this.listen());
  }

  get said(): string | null {
    return this.#heard === '' ? null : this.#heard;
  }

  /** Hears what there is to hear. */
  listen(): void {
    if (this.#isClosed) return;
    const text = this.#read();
    if (text === null) return;
    // It has closed its end; or it talks without end, and nobody may be kept waiting by that.
    if (text === '' || this.#heard.length > STARTUP_WORDS_MAX_BYTES) return this.close();
    this.#heard += text;
    if (this.#isConsistent || !this.#heard.startsWith(STARTUP_CONSISTENT)) return;
    this.#isConsistent = true;
    this.#heard = this.#heard.slice(STARTUP_CONSISTENT.length);
    this.#onConsistent();
  }

  /** Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#watcher.close();
    closeSync(this.#descriptor);
  }

  /** '': the end. null: nothing now. */
  #read(): string | null {
    const buffer = Buffer.alloc(STARTUP_WORDS_MAX_BYTES);
    try {
      return buffer.toString('utf8', 0, readSync(this.#descriptor, buffer));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return null;
      throw error;
    }
  }
}
