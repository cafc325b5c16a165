// become-child.ts: the JavaScript half of a fork: what the copy of the launcher does first.
//
// For launcher.ts, where a child comes out of the native loop, and for rehearsal.ts, where the
// launcher itself goes this way once for practice. The native half is over by then (native/addon/,
// the numbered list).

import { createLogger } from './log.ts';
import { isAttached } from './model/registration.ts';
import { type ForkedChild, native } from './native.ts';
import { divergeFromSiblings } from './preload/entropy.ts';
import type { PreloadRegistry } from './preload/preload.ts';
import type { InheritedMemory } from './run/attach.ts';
import { initializeMemory } from './run/initialize-memory.ts';
import type { BackendEnvironment } from './run/run-backend.ts';
import type { WorkerEnvironment } from './run/run-worker.ts';
import { runSelfTest } from './run/self-test.ts';
import { runStartup } from './run/startup-process.ts';
import { decodePayload, type LauncherConfig, type ProcessStart } from './travel/notes.ts';

export interface Inherited {
  readonly config: LauncherConfig;
  readonly registry: PreloadRegistry;
  /** Mapped only in a child that asked for it. */
  readonly memory: InheritedMemory;
}

/** What a child does in earnest, or the same for practice. */
export interface Runners {
  runWorker(environment: WorkerEnvironment): void;
  runBackend(environment: BackendEnvironment): void;
}

/** Gives what undoes it, for the rehearsal. */
export function becomeChild(
  child: ForkedChild,
  inherited: Inherited,
  { runWorker, runBackend }: Runners,
): () => void {
  // 1. The pid: node remembers the launcher's.
  Object.defineProperty(process, 'pid', { value: child.pid, enumerable: true, configurable: true });
  // 2. Random numbers: the launcher's state would make all siblings draw the same.
  const converge = divergeFromSiblings();
  // 3. What it was forked for.
  const { config, registry, memory } = inherited;
  const payload = decodePayload(child.payload);
  const common = { registry, control: config.control, log: config.log };
  const memoryOf = ({ registration }: ProcessStart) => (isAttached(registration) ? memory : null);
  switch (payload.kind) {
    case 'self-test':
      runSelfTest();
      break;
    case 'initialize':
      runHooks(child, inherited);
      break;
    case 'startup': {
      const { start } = payload;
      const [answerDescriptor] = child.descriptors;
      if (answerDescriptor === undefined) return native.exitNow(1);
      runStartup({ ...common, start, memory: memoryOf(start), answerDescriptor });
      break;
    }
    case 'worker': {
      const { start } = payload;
      const [bootDescriptor = null, argumentDescriptor = null] = child.descriptors;
      const descriptors = { bootDescriptor, argumentDescriptor };
      runWorker({ ...common, ...descriptors, start, memory: memoryOf(start) });
      break;
    }
    case 'backend': {
      const { start } = payload;
      const [descriptor] = child.descriptors;
      if (descriptor === undefined) return native.exitNow(1);
      runBackend({ ...common, start, memory: memoryOf(start), descriptor });
      break;
    }
  }
  return converge;
}

function runHooks(child: ForkedChild, { config, registry, memory }: Inherited): void {
  const [answerDescriptor] = child.descriptors;
  if (answerDescriptor === undefined) return native.exitNow(1);
  const { shared, startupHooks: hooks } = registry;
  const log = createLogger(config.log, 'shared memory');
  initializeMemory({ memory, shared, hooks, log, answerDescriptor });
}
