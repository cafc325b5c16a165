// exec-worker.ts: the program of a worker that is not forked but exec'ed: a fresh node.
//
// Same worker, same semantics, dearer start. It loads the preload modules again, as PostgreSQL does
// where it cannot fork, to find its closure and its argument; then it runs as any other worker.

import { closeSync } from 'node:fs';
import { createLogger } from './log.ts';
import { isAttached } from './model/registration.ts';
import { unreachable } from './model/standing.ts';
import { native } from './native.ts';
import { type PreloadRegistry, preload } from './preload/preload.ts';
import type { InheritedMemory } from './run/attach.ts';
import { initializeMemory } from './run/initialize-memory.ts';
import { runWorker } from './run/run-worker.ts';
import { holdSignals } from './run/signals.ts';
import { runStartup } from './run/startup-process.ts';
import {
  ANSWER_DESCRIPTOR,
  AREA_DESCRIPTOR,
  CONTROL_DESCRIPTOR,
  decodeNote,
  type ExecedWorkerConfig,
  slotCountOf,
} from './travel/notes.ts';

const SIGKILL = 9;

// To go with the launcher. If it has died before this line, the postmaster knows this child and
// ends it; if the postmaster has, too, its end is on the death descriptor.
native.setParentDeathSignal(SIGKILL);
native.enterExecedChild();
const note = native.receiveNote(CONTROL_DESCRIPTOR);
if (note === null) native.exitNow(1);
holdSignals();
const { errand, ...config } = decodeNote<ExecedWorkerConfig>(note);
const attached = errand.kind === 'initialize' || isAttached(errand.start.registration);
const doorbells = attached ? receiveDoorbells(slotCountOf(config)) : [];
// Its end says to the postmaster that signals may come (fork/booting.ts).
closeSync(CONTROL_DESCRIPTOR);
const name = errand.kind === 'initialize' ? 'shared memory' : errand.start.registration.name;
const log = createLogger(config.log, name);
try {
  const { registry } = await preload(config.preload, { ...config, log }, null);
  const memory = attached ? { area: native.MainArea.map(AREA_DESCRIPTOR), doorbells } : null;
  run(registry, memory);
} catch (error) {
  log.error({ err: error }, error instanceof Error ? error.message : String(error));
  native.exitNow(1);
}

function run(registry: PreloadRegistry, memory: InheritedMemory | null): void {
  switch (errand.kind) {
    case 'worker':
      return runWorker({ start: errand.start, registry, memory, log: config.log });
    case 'startup': {
      const environment = { start: errand.start, registry, memory, log: config.log };
      return runStartup({ ...environment, answerDescriptor: ANSWER_DESCRIPTOR });
    }
    case 'initialize': {
      if (memory === null) return native.exitNow(1);
      const { shared, startupHooks: hooks } = registry;
      initializeMemory({ memory, shared, hooks, log, answerDescriptor: ANSWER_DESCRIPTOR });
      return;
    }
    default:
      return unreachable(errand);
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
