// quiet.ts: is the launcher quiet enough to fork? (a fork copies memory, not threads)
//
// What a fork loses or doubles must not be there when it happens: a helper thread is simply absent
// in the child, and waiting for it hangs; a request on the thread pool never answers; a timer or a
// server would be at work in every child. The launcher watches while the preload modules load, and
// asks after each one, so that who left something behind is named, with the line that made it.

import { type AsyncHook, createHook } from 'node:async_hooks';
import { readdirSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { collector } from './garbage.ts';

/** How many turns of the loop what is merely finishing (a closing handle) gets to be gone. */
const SETTLING_TURNS = 10;

/** In node's words: handles (a socket, a server, a child process, a watcher) and pending requests. */
const LOST_OR_DOUBLED =
  /^(Timeout|WORKER|.*WRAP|.*REQ|.*REQUEST|.*REQCALLBACK|.*REQPROMISE|.*JOB)$/;

/** A signal handler is copied, and means the same in a child. */
const HARMLESS = new Set(['SIGNALWRAP']);

/** From begin() to end(), in the launcher, once. */
export class QuietWatch {
  readonly #threads: ReadonlySet<string>;
  /** By async id: what it is and where it was made. */
  readonly #resources = new Map<number, string>();
  readonly #hook: AsyncHook;

  /**
   * With everything in place that modules may bring into being and that does no harm: libuv's
   * thread pool, which starts all of its threads at the first request and is made anew in a child,
   * and the handles of standard output and error, which children share.
   */
  static async begin(): Promise<QuietWatch> {
    void process.stdout;
    void process.stderr;
    await stat('/');
    return new QuietWatch();
  }

  private constructor() {
    this.#threads = new Set(threads().map((thread) => thread.id));
    this.#hook = createHook({
      init: (id, type) => {
        if (LOST_OR_DOUBLED.test(type) && !HARMLESS.has(type)) {
          this.#resources.set(id, `${type}${placeOfCall()}`);
        }
      },
      destroy: (id) => this.#resources.delete(id),
    }).enable();
  }

  /** What is there now that a fork would lose, in words; empty: it may be forked. */
  async findUnquiet(): Promise<string[]> {
    const found = await this.#settle();
    if (found.length === 0) return found;
    // A request that was answered synchronously (pbkdf2Sync, randomFillSync) is told from a pending
    // one only by being garbage.
    collector()();
    return this.#settle();
  }

  async #settle(): Promise<string[]> {
    let found = this.#look();
    for (let turn = 0; turn < SETTLING_TURNS && found.length > 0; turn++) {
      await setImmediate();
      found = this.#look();
    }
    return found;
  }

  end(): void {
    this.#hook.disable();
  }

  #look(): string[] {
    const strangers = threads().filter((thread) => !this.#threads.has(thread.id));
    return [
      ...strangers.map((thread) => `thread ${thread.id} ("${thread.name}")`),
      ...this.#resources.values(),
    ];
  }
}

/** A thread by its kernel id and the name that it gave itself. */
interface Thread {
  readonly id: string;
  readonly name: string;
}

function threads(): Thread[] {
  return readdirSync('/proc/self/task').flatMap((id) => {
    try {
      return [{ id, name: readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim() }];
    } catch {
      return []; // It ended between the two calls, so it is not there any more.
    }
  });
}

/** " (made at FILE:LINE:COLUMN)": the innermost call that is neither node's nor this file's. */
function placeOfCall(): string {
  const frames = new Error().stack?.split('\n').slice(1) ?? [];
  const frame = frames.find((line) => !line.includes('node:') && !line.includes(import.meta.url));
  const place = /\(?((?:file:\/\/)?\/[^()]+:\d+:\d+)\)?$/.exec(frame ?? '')?.[1];
  return place === undefined ? '' : ` (made at ${place})`;
}
