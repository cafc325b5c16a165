// launcher.ts: the launcher program: a warm node that the postmaster forks its children from.
//
// Started by fork/launcher-process.ts, by nobody else, with three descriptors open (see
// travel/notes.ts). It loads the preload modules, says what they registered, and goes into a native
// loop. Only children come out of that loop; become-child.ts is their first code.

import { becomeChild } from './become-child.ts';
import { BgworkerError } from './errors.ts';
import { createLogger } from './log.ts';
import * as messages from './messages.ts';
import { type MainArea, native } from './native.ts';
import { installEntropyGuards } from './preload/entropy.ts';
import { collector } from './preload/garbage.ts';
import { preload } from './preload/preload.ts';
import { QuietWatch } from './preload/quiet.ts';
import { holdLoopWhileCompiling } from './preload/web-assembly.ts';
import { rehearse } from './rehearsal.ts';
import type { InheritedMemory } from './run/attach.ts';
import { importModule } from './run/import-module.ts';
import { PARALLEL_WORKER } from './run/parallel/exchange.ts';
import { runBackend } from './run/run-backend.ts';
import { runWorker } from './run/run-worker.ts';
import {
  type Announcement,
  CONTROL_DESCRIPTOR,
  decodeNote,
  encodeNote,
  FIRST_DOORBELL,
  type LauncherConfig,
} from './travel/notes.ts';

const SIGKILL = 9;
const TITLE = 'bgworker: launcher';

async function main(): Promise<void> {
  // A session of its own: the terminal's Ctrl-C is the postmaster's business. Until the loop, which
  // notices the postmaster's end by itself, the kernel ends this process with it.
  native.startSession();
  native.setParentDeathSignal(SIGKILL);
  process.title = TITLE;
  const note = native.receiveNote(CONTROL_DESCRIPTOR);
  if (note === null) return native.exitNow(1);
  const config = decodeNote<LauncherConfig>(note);

  installEntropyGuards();
  holdLoopWhileCompiling();
  const log = createLogger(config.log, 'launcher');
  if (config.postgres) await loadClient();
  // Whoever leads a parallel run has many workers of this one.
  await importModule(PARALLEL_WORKER);
  const watch = await QuietWatch.begin();
  const loading = new Loading();
  const settings = { ...config, log, begin: (module: string) => loading.begin(module) };
  const { registry, needExec } = await preload(config.preload, settings, watch);
  loading.end();
  watch.end();
  announce({
    kind: 'ready',
    workers: registry.announce(),
    backend: registry.announceBackend(),
    needExec,
    structBytes: registry.shared.totalBytes,
    startupHooks: registry.needsStartup,
    startupProcess: registry.startup?.name ?? null,
  });
  const area = native.receiveArea(CONTROL_DESCRIPTOR);
  if (area === null) return native.exitNow(1);
  await rehearse(config, registry.announceBackend() !== null);
  process.title = TITLE;
  const memory = inheritedMemory(area);
  collectGarbage();

  const child = native.launcherLoop(CONTROL_DESCRIPTOR, area, FIRST_DOORBELL);
  try {
    becomeChild(child, { config, registry, memory }, { runWorker, runBackend });
  } catch (error) {
    // Not for the postmaster's ears as below: in a child, the control socket is somebody else's.
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    native.exitNow(1);
  }
}

/** What worker.connect() asks for; a worker finds it loaded. */
async function loadClient(): Promise<void> {
  await import('./postgres/connect/connect.ts');
  await import('./postgres/connect/session-options.ts');
  await import('./postgres/target-for.ts');
}

/** Which module is being loaded, for the case that it ends the process instead. */
class Loading {
  #module = '';

  readonly #tell = (code: number): void => {
    const message = messages.preloadEnded(this.#module, code);
    announce({ kind: 'refused', code: 'ERR_PRELOAD_FAILED', message, stack: null });
  };

  begin(module: string): void {
    if (this.#module === '') process.on('exit', this.#tell);
    this.#module = module;
  }

  end(): void {
    process.off('exit', this.#tell);
  }
}

/** The doorbells have the numbers that they have in the launcher. */
function inheritedMemory(area: MainArea): InheritedMemory {
  const doorbells = Array.from({ length: area.slotCount }, (_, slot) => FIRST_DOORBELL + slot);
  return { area, doorbells };
}

/**
/**
 * A full collection before the first fork: what is garbage here would be copied by every child.
 * Then two of the young generation, after which it is empty: what a child makes is not mixed with
 * what it shares.
 */
function collectGarbage(): void {
  const collect = collector();
  collect();
  collect({ type: 'minor' });
  collect({ type: 'minor' });
}

function announce(announcement: Announcement): void {
  native.sendNote(CONTROL_DESCRIPTOR, encodeNote(announcement));
}

main().catch((error: unknown) => {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  const code =
    error instanceof BgworkerError && error.code === 'ERR_PRELOAD_NOT_QUIET'
      ? error.code
      : 'ERR_PRELOAD_FAILED';
  announce({ kind: 'refused', code, message, stack: stack ?? null });
  // The postmaster ends this process, together with all that the modules have started.
  setInterval(() => {}, 1 << 30);
});
