// initialize-memory.ts: the life of the child that runs the start-up hooks of shared memory.
//
// A fork (or an exec'ed node) like a worker, attached, and alone: no worker with shared memory runs
// before it has left with exit code 0. What a hook throws is said to the postmaster, which ends.

import type { Logger } from '../log.ts';
import * as messages from '../messages.ts';
import { native } from '../native.ts';
import type { Attached } from '../shared/attached.ts';
import { DynamicSharedMemory } from '../shared/dynamic-shared-memory.ts';
import { AttachedNames, type SharedNames, type SharedRequests } from '../shared/names.ts';
import { DEATH_DESCRIPTOR, INITIALIZER_SLOT } from '../travel/notes.ts';
import { attach, type InheritedMemory, leave } from './attach.ts';
import { leaveByExitNow } from './leave.ts';

/** What a start-up hook gets; what its module asked for in init() is there as well. */
export interface StartupMemory {
  readonly shmem: SharedNames;
  readonly dsm: DynamicSharedMemory;
}

/** Runs in a process of its own, attached (shmem_startup_hook). */
export type StartupHook = (memory: StartupMemory) => void | Promise<void>;

export interface MemoryInitialization {
  readonly memory: InheritedMemory;
  readonly shared: SharedRequests;
  readonly hooks: readonly StartupHook[];
  readonly log: Logger;
  /** Where a failure is told. */
  readonly answerDescriptor: number;
}

const FAILED = 1;
const TITLE = 'bgworker: shared memory';

/** Returns at the first hook that waits; the process leaves by itself later. */
export function initializeMemory(initialization: MemoryInitialization): void {
  const { memory, log, answerDescriptor } = initialization;
  let attached: Attached | null = null;
  const fail = (error: unknown): void => {
    native.sendNote(answerDescriptor, Buffer.from(messages.sentenceOf(error)));
    process.exit(FAILED);
  };
  // The order of a worker: the exit path, the dead-man switch, everything else.
  leaveByExitNow({
    cleanup: () => {
      if (attached !== null) leave(memory, attached, () => log);
    },
    failed: fail,
  });
  attached = attach(memory, INITIALIZER_SLOT);
  process.title = TITLE;
  new native.DescriptorWatcher(DEATH_DESCRIPTOR, () => process.exit(FAILED));
  native.unblockSignals();
  // A hook that waits for what nothing holds open would drain the loop, and leave with 0.
  const alive = setInterval(() => {}, 1 << 30);
  runAll(initialization, attached).then(() => {
    clearInterval(alive);
    process.exit(0);
  }, fail);
}

async function runAll({ shared, hooks }: MemoryInitialization, attached: Attached): Promise<void> {
  shared.bind(attached);
  const memory = {
    shmem: new AttachedNames(attached, shared),
    dsm: new DynamicSharedMemory(attached),
  };
  for (const hook of hooks) await hook(memory);
}
