// initialize-memory.ts: the life of the child that runs the start-up hooks of shared memory.
//
// A fork (or an exec'ed node) like a worker, attached, and alone: no worker with shared memory runs
// before it has left with exit code 0. What a hook throws is said to the postmaster, which ends.

import * as messages from '../messages.ts';
import { type Attachment, native } from '../native.ts';
import { DEATH_DESCRIPTOR, INITIALIZER_SLOT } from '../travel/notes.ts';
import { leaveByExitNow } from './leave.ts';
import type { InheritedMemory } from './run-worker.ts';

/** Runs in a process of its own, attached, with `memory` as workers have it. */
export type StartupHook = (memory: Attachment) => void | Promise<void>;

export interface MemoryInitialization {
  readonly memory: InheritedMemory;
  readonly hooks: readonly StartupHook[];
  /** Where a failure is told. */
  readonly answerDescriptor: number;
}

const FAILED = 1;
const TITLE = 'bgworker: shared memory';

/** Returns at the first hook that waits; the process leaves by itself later. */
export function initializeMemory({ memory, hooks, answerDescriptor }: MemoryInitialization): void {
  const { area, doorbells } = memory;
  let attachment: Attachment | null = null;
  const fail = (error: unknown): void => {
    native.sendNote(answerDescriptor, Buffer.from(messages.sentenceOf(error)));
    process.exit(FAILED);
  };
  // The order of a worker: the exit path, the dead-man switch, everything else.
  leaveByExitNow({
    cleanup: () => {
      attachment?.end();
      area.detach(INITIALIZER_SLOT);
    },
    failed: fail,
  });
  area.attach(INITIALIZER_SLOT);
  attachment = new native.Attachment(area, doorbells, INITIALIZER_SLOT, DEATH_DESCRIPTOR);
  process.title = TITLE;
  new native.DescriptorWatcher(DEATH_DESCRIPTOR, () => process.exit(FAILED));
  native.unblockSignals();
  // A hook that waits for what nothing holds open would drain the loop, and leave with 0.
  const alive = setInterval(() => {}, 1 << 30);
  runAll(hooks, attachment).then(() => {
    clearInterval(alive);
    process.exit(0);
  }, fail);
}

async function runAll(hooks: readonly StartupHook[], attachment: Attachment): Promise<void> {
  for (const hook of hooks) await hook(attachment);
}
