// exec-worker.ts: the program of a worker that is not forked but exec'ed: a fresh node.
//
// Same worker, same semantics, dearer start. It loads the preload modules again, as PostgreSQL does
// where it cannot fork, to find its closure and its argument; then it runs as any other worker.

import { closeSync } from 'node:fs';
import { createLogger } from './log.ts';
import { areaDamaged } from './messages.ts';
import { isAttached } from './model/registration.ts';
import { type MainArea, native } from './native.ts';
import { preload } from './preload/preload.ts';
import { initializeMemory } from './run/initialize-memory.ts';
import { runWorker } from './run/run-worker.ts';
import { holdSignals } from './run/signals.ts';
import {
  ANSWER_DESCRIPTOR,
  AREA_DESCRIPTOR,
  CONTROL_DESCRIPTOR,
  decodeNote,
  type ExecedWorkerConfig,
} from './travel/notes.ts';

const SIGKILL = 9;
/** As any code but 0 and 1 of an attached worker. */
const CRASHED = 2;

// To go with the launcher. If it has died before this line, the postmaster knows this child and
// ends it; if the postmaster has, too, its end is on the death descriptor.
native.setParentDeathSignal(SIGKILL);
native.enterExecedChild();
const note = native.receiveNote(CONTROL_DESCRIPTOR);
if (note === null) native.exitNow(1);
holdSignals();
const { start, ...config } = decodeNote<ExecedWorkerConfig>(note);
const attached = start === null || isAttached(start.registration);
const doorbells = attached ? receiveDoorbells(config.maxWorkerProcesses) : [];
// Its end says to the postmaster that signals may come (fork/booting.ts).
closeSync(CONTROL_DESCRIPTOR);
const log = createLogger(config.log, start?.registration.name ?? 'shared memory');
try {
  const { registry } = await preload(config.preload, { ...config, log }, null);
  const memory = attached ? { area: mappedArea(), doorbells } : null;
  if (start !== null) {
    runWorker({ start, registry, memory, log: config.log });
  } else if (memory !== null) {
    const { shared, startupHooks: hooks } = registry;
    initializeMemory({ memory, shared, hooks, log, answerDescriptor: ANSWER_DESCRIPTOR });
  }
} catch (error) {
  log.error({ err: error }, error instanceof Error ? error.message : String(error));
  native.exitNow(1);
}

/** Memory that is none of ours any more has been scribbled on: a crash, which makes it anew. */
function mappedArea(): MainArea {
  try {
    return native.MainArea.map(AREA_DESCRIPTOR);
  } catch (error) {
    log.error({ err: error }, areaDamaged(error));
    return native.exitNow(CRASHED);
  }
}

/** They come in batches, behind the note. */
function receiveDoorbells(count: number): readonly number[] {
  const doorbells: number[] = [];
  while (doorbells.length < count) {
    const batch = native.receiveDescriptors(CONTROL_DESCRIPTOR);
    if (batch === null) return native.exitNow(1);
    doorbells.push(...batch);
  }
  return doorbells;
}
