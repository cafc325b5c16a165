// exec-worker.ts: the program of a worker that is not forked but exec'ed: a fresh node.
//
// Same worker, same semantics, dearer start. It loads the preload modules again, as PostgreSQL does
// where it cannot fork, to find its closure and its argument; then it runs as any other worker.

import { closeSync } from 'node:fs';
import { createLogger } from './log.ts';
import { isAttached } from './model/registration.ts';
import { native } from './native.ts';
import { preload } from './preload/preload.ts';
import { runWorker } from './run/run-worker.ts';
import { holdSignals } from './run/signals.ts';
import {
  AREA_DESCRIPTOR,
  CONTROL_DESCRIPTOR,
  decodeNote,
  type ExecedWorkerConfig,
} from './travel/notes.ts';

const SIGKILL = 9;

// To go with the launcher. If it has died before this line, the postmaster knows this child and
// ends it; if the postmaster has, too, its end is on the death descriptor.
native.setParentDeathSignal(SIGKILL);
native.enterExecedChild();
const note = native.receiveNote(CONTROL_DESCRIPTOR);
if (note === null) native.exitNow(1);
holdSignals();
// Its end says to the postmaster that signals may come (fork/booting.ts).
closeSync(CONTROL_DESCRIPTOR);
const { start, ...config } = decodeNote<ExecedWorkerConfig>(note);
const log = createLogger(config.log, start.registration.name);
try {
  const { registry } = await preload(config.preload, { ...config, log }, null);
  const area = isAttached(start.registration) ? native.MainArea.map(AREA_DESCRIPTOR) : null;
  runWorker({ start, registry, area, log: config.log });
} catch (error) {
  log.error({ err: error }, error instanceof Error ? error.message : String(error));
  native.exitNow(1);
}
