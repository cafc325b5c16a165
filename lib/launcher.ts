// launcher.ts: the launcher program: a warm node that the postmaster forks its children from.
//
// Started by fork/launcher-process.ts, by nobody else, with three descriptors open (see
// travel/notes.ts). It loads the preload modules, says what they registered, and goes into a native
// loop. Only children come out of that loop; below it, this file is their first code.

import { setImmediate } from 'node:timers/promises';
import { BgworkerError } from './errors.ts';
import { createLogger } from './log.ts';
import * as messages from './messages.ts';
import { isAttached } from './model/registration.ts';
import { type ForkedChild, type MainArea, native } from './native.ts';
import { divergeFromSiblings, installEntropyGuards } from './preload/entropy.ts';
import { collector } from './preload/garbage.ts';
import { PreloadRegistry, preload } from './preload/preload.ts';
import { QuietWatch } from './preload/quiet.ts';
import { holdLoopWhileCompiling } from './preload/web-assembly.ts';
import type { InheritedMemory } from './run/attach.ts';
import type { BackgroundWorker } from './run/background-worker.ts';
import { initializeMemory } from './run/initialize-memory.ts';
import { rehearseWorker, runWorker, type WorkerEnvironment } from './run/run-worker.ts';
import { runSelfTest } from './run/self-test.ts';
import { runStartup } from './run/startup-process.ts';
import {
  type Announcement,
  CONTROL_DESCRIPTOR,
  decodeNote,
  decodePayload,
  encodeNote,
  encodePayload,
  FIRST_DOORBELL,
  type LauncherConfig,
  type WorkerStart,
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
  const watch = await QuietWatch.begin();
  const loading = new Loading();
  const settings = { ...config, log, begin: (module: string) => loading.begin(module) };
  const { registry, needExec } = await preload(config.preload, settings, watch);
  loading.end();
  watch.end();
  announce({
    kind: 'ready',
    workers: registry.announce(),
    needExec,
    structBytes: registry.shared.totalBytes,
    startupHooks: registry.needsStartup,
    startupProcess: registry.startup?.name ?? null,
  });
  const area = native.receiveArea(CONTROL_DESCRIPTOR);
  if (area === null) return native.exitNow(1);
  await rehearse(config);
  collectGarbage();

  const child = native.launcherLoop(CONTROL_DESCRIPTOR, area, FIRST_DOORBELL);
  try {
    becomeChild(child, { config, registry, area }, runWorker);
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

type Inherited = {
  readonly config: LauncherConfig;
  readonly registry: Awaited<ReturnType<typeof preload>>['registry'];
  readonly area: MainArea | null;
};

/**
 * The JavaScript half of a fork; the native half is over (native/addon/, the numbered list). Gives
 * what undoes it, for the rehearsal.
 */
function becomeChild(
  child: ForkedChild,
  { config, registry, area }: Inherited,
  run: (environment: WorkerEnvironment) => void,
): () => void {
  // 1. The pid: node remembers the launcher's.
  Object.defineProperty(process, 'pid', { value: child.pid, enumerable: true, configurable: true });
  // 2. Random numbers: the launcher's state would make all siblings draw the same.
  const converge = divergeFromSiblings();
  // 3. What it was forked for.
  const payload = decodePayload(child.payload);
  if (payload.kind === 'self-test') runSelfTest();
  else if (payload.kind === 'initialize') runHooks(child, { config, registry, area });
  else {
    const { start } = payload;
    const environment = { start, registry, memory: memoryFor(start, area), log: config.log };
    const [answerDescriptor = -1] = child.descriptors;
    if (payload.kind === 'startup') runStartup({ ...environment, answerDescriptor });
    else run(environment);
  }
  return converge;
}

function runHooks(child: ForkedChild, { config, registry, area }: Inherited): void {
  const [answerDescriptor] = child.descriptors;
  if (area === null || answerDescriptor === undefined) return native.exitNow(1);
  const { shared, startupHooks: hooks } = registry;
  const log = createLogger(config.log, 'shared memory');
  initializeMemory({ memory: inheritedMemory(area), shared, hooks, log, answerDescriptor });
}

function memoryFor({ registration }: WorkerStart, area: MainArea | null): InheritedMemory | null {
  return area === null || !isAttached(registration) ? null : inheritedMemory(area);
}

/** The doorbells have the numbers that they have in the launcher. */
function inheritedMemory(area: MainArea): InheritedMemory {
  const doorbells = Array.from({ length: area.slotCount }, (_, slot) => FIRST_DOORBELL + slot);
  return { area, doorbells };
}

/**
 * The way of a child to the first line of main and a little further, once, for nobody. V8 compiles
 * a function when it is first called: what was called here need not be compiled again in every
 * child, which makes a start shorter by half a millisecond. Nothing is left of it.
 */
async function rehearse(config: LauncherConfig): Promise<void> {
  const registry = new PreloadRegistry();
  registry.add({ name: REHEARSAL.registration.name, main: practise });
  const payload = Buffer.from(encodePayload({ kind: 'worker', start: REHEARSAL }));
  const child = { childId: 0, pid: process.pid, payload, descriptors: [] };
  const undo = becomeChild(child, { config, registry, area: null }, rehearseWorker);
  undo();
  process.title = TITLE;
  // The turn in which libuv lets go of the handles that were closed.
  await setImmediate();
}

/** What nearly every main does. */
async function practise(worker: BackgroundWorker): Promise<void> {
  const ignore = () => {};
  process.on('SIGTERM', ignore).off('SIGTERM', ignore);
  await worker.latch.wait({ timeoutMs: 0 });
}

const REHEARSAL: WorkerStart = {
  slot: 0,
  registration: {
    name: 'rehearsal',
    type: 'rehearsal',
    flags: [],
    startTime: 'PostmasterStart',
    restartTime: 'never',
    restartOnExit0: false,
    launch: null,
    database: null,
    user: null,
    body: { kind: 'closure' },
  },
  staticIndex: 0,
  conninfo: null,
  server: null,
};

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
