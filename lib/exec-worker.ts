// exec-worker.ts: the program of a worker or backend that is not forked but exec'ed: a fresh node.
//
// Same process, same semantics, dearer start. It loads the preload modules again, as PostgreSQL does
// where it cannot fork, to find its closure and its argument; then it runs as any other worker.

import { closeSync } from 'node:fs';
import { createLogger } from './log.ts';
import { areaDamaged } from './messages.ts';
import { isAttached } from './model/registration.ts';
import { unreachable } from './model/standing.ts';
import { type MainArea, native } from './native.ts';
import { type PreloadRegistry, preload } from './preload/preload.ts';
import type { InheritedMemory } from './run/attach.ts';
import { initializeMemory } from './run/initialize-memory.ts';
import { runBackend } from './run/run-backend.ts';
import { runWorker } from './run/run-worker.ts';
import { holdSignals } from './run/signals.ts';
import { runStartup } from './run/startup-process.ts';
import {
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
const { errand, ...config } = decodeNote<ExecedWorkerConfig>(note);
const attached = errand.kind === 'initialize' || isAttached(errand.start.registration);
const doorbells = attached ? receiveDoorbells(config.slotCount) : [];
/** The first that came with the errand, behind those that every exec'ed child gets. */
const handedDescriptor = attached ? AREA_DESCRIPTOR + 1 : AREA_DESCRIPTOR;
// Its end says to the postmaster that signals may come (fork/booting.ts).
closeSync(CONTROL_DESCRIPTOR);
const name = errand.kind === 'initialize' ? 'shared memory' : errand.start.registration.name;
const log = createLogger(config.log, name);
try {
  const { registry } = await preload(config.preload, { ...config, log }, null);
  run(registry, attached ? { area: mappedArea(), doorbells } : null);
} catch (error) {
  log.error({ err: error }, error instanceof Error ? error.message : String(error));
  native.exitNow(1);
}

function run(registry: PreloadRegistry, memory: InheritedMemory | null): void {
  const common = { registry, memory, control: config.control, log: config.log };
  switch (errand.kind) {
    case 'worker':
      return runWorker({
        ...common,
        start: errand.start,
        bootDescriptor: null,
        argumentDescriptor: handedDescriptor,
      });
    case 'backend':
      return runBackend({ ...common, start: errand.start, descriptor: handedDescriptor });
    case 'startup':
      return runStartup({ ...common, start: errand.start, answerDescriptor: handedDescriptor });
    case 'initialize': {
      if (memory === null) return native.exitNow(1);
      const { shared, startupHooks: hooks } = registry;
      initializeMemory({ memory, shared, hooks, log, answerDescriptor: handedDescriptor });
      return;
    }
    default:
      return unreachable(errand);
  }
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
