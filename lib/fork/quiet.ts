// quiet.ts: is the launcher quiet enough to fork? (architecture: a fork copies memory, not threads)
//
// What a fork loses or doubles must not be there when it happens: a helper thread is simply absent
// in the child, and waiting for it hangs; a request on the thread pool never answers; a timer fires
// in the launcher's place in every child. Called in the launcher after each preload module, so that
// the one that left something behind can be named.

import { readdirSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';

/** A thread by its kernel id and the name that it gave itself. */
interface Thread {
  readonly id: string;
  readonly name: string;
}

/** What was there before the first preload module: node's own threads, made anew in a child. */
export interface Baseline {
  readonly threads: ReadonlySet<string>;
  /** Active resources by their type. */
  readonly resources: ReadonlyMap<string, number>;
}

/**
 * Before the first preload module, with everything in place that they may bring into being and
 * that does no harm: libuv's thread pool, which starts all of its threads at the first request and
 * is made anew in a child, and the handles of standard output and error, which children share.
 */
export async function takeBaseline(): Promise<Baseline> {
  void process.stdout;
  void process.stderr;
  await stat('/');
  await setImmediate();
  return { threads: new Set(threads().map((thread) => thread.id)), resources: countResources() };
}

/**
 * What is running that a fork would lose, in words; empty if the launcher is quiet. Gives what is
 * merely finishing (a promise chain, a closing handle) a few turns of the loop to do so.
 */
export async function findUnquiet(baseline: Baseline): Promise<string[]> {
  let found = look(baseline);
  for (let turn = 0; turn < SETTLING_TURNS && found.length > 0; turn++) {
    await setImmediate();
    found = look(baseline);
  }
  return found;
}

const SETTLING_TURNS = 10;

function look(baseline: Baseline): string[] {
  const strangers = threads().filter((thread) => !baseline.threads.has(thread.id));
  const found = strangers.map((thread) => `thread ${thread.id} ("${thread.name}")`);
  for (const [type, count] of countResources()) {
    const more = count - (baseline.resources.get(type) ?? 0);
    if (more > 0) found.push(more === 1 ? type : `${type} (${more} times)`);
  }
  return found;
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

/** The turn that looks is itself one. */
const OF_THE_LOOK = 'Immediate';

function countResources(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) {
    if (type !== OF_THE_LOOK) counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return counts;
}
