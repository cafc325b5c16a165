// launcher.ts: the launcher program: a warm node that the postmaster forks its children from.
//
// Started by fork/launcher-process.ts, by nobody else, with three descriptors open (see
// fork/travel.ts). It loads the preload modules, says what they registered, and goes into a native
// loop. Only children come out of that loop; below it, this file is their first code.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { BgworkerError } from './errors.ts';
import { divergeFromSiblings, installEntropyGuards } from './fork/entropy.ts';
import { preload } from './fork/preload.ts';
import { takeBaseline } from './fork/quiet.ts';
import { runSelfTest } from './fork/self-test.ts';
import {
  type Announcement,
  AREA_DESCRIPTOR,
  CONTROL_DESCRIPTOR,
  decodeNote,
  decodePayload,
  encodeNote,
  type LauncherConfig,
} from './fork/travel.ts';
import { createLogger } from './log.ts';
import { type ForkedChild, type MainArea, native } from './native.ts';
import { runWorker } from './run/run-worker.ts';

const SIGKILL = 9;

async function main(): Promise<void> {
  // A session of its own: the terminal's Ctrl-C is the postmaster's business. Until the loop, which
  // notices the postmaster's end by itself, the kernel ends this process with it.
  native.startSession();
  native.setParentDeathSignal(SIGKILL);
  process.title = 'bgworker: launcher';
  const note = native.receiveNote(CONTROL_DESCRIPTOR);
  if (note === null) return native.exitNow(1);
  const config = decodeNote<LauncherConfig>(note);

  installEntropyGuards();
  const area = native.MainArea.map(AREA_DESCRIPTOR);
  const log = createLogger(config.log, 'launcher');
  if (config.postgres) await import('./postgres/connect.ts');
  const baseline = await takeBaseline();
  const { registry, needExec } = await preload(config.preload, { ...config, log }, baseline);
  announce({ kind: 'ready', workers: registry.announce(), needExec });
  collectGarbage();

  const child = native.launcherLoop(CONTROL_DESCRIPTOR, area);
  becomeChild(child, { config, registry, area });
}

type Inherited = {
  readonly config: LauncherConfig;
  readonly registry: Awaited<ReturnType<typeof preload>>['registry'];
  readonly area: MainArea;
};

/** The JavaScript half of a fork; the native half is over (native/addon/, the numbered list). */
function becomeChild(child: ForkedChild, { config, registry, area }: Inherited): void {
  // 1. The pid: node remembers the launcher's.
  Object.defineProperty(process, 'pid', { value: child.pid, enumerable: true, configurable: true });
  // 2. Random numbers: the launcher's state would make all siblings draw the same.
  divergeFromSiblings();
  // 3. What it was forked for.
  const payload = decodePayload(child.payload);
  if (payload.kind === 'self-test') return runSelfTest();
  runWorker({ start: payload.start, registry, area, log: config.log });
}

/** A full collection before the first fork: what is garbage here would be copied by every child. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  setFlagsFromString('--no-expose-gc');
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
  native.exitNow(1);
});
