// real.ts: processes of a real main area, with the core under them: each is an object of this thread
// with a slot of its own. What needs two turns at once (a blocking wait, a race) is for
// test/process/.

import { closeSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import { native } from '../../../lib/native.ts';
import { Activity } from '../../../lib/shared/activity.ts';
import { Attached } from '../../../lib/shared/attached.ts';
import { DynamicSharedMemory } from '../../../lib/shared/dynamic-shared-memory.ts';
import { AttachedNames, type SharedNames, SharedRequests } from '../../../lib/shared/names.ts';

export interface RealProcess<Face> {
  readonly attached: Attached;
  /** What it asked for in init(). */
  readonly face: Face;
  readonly shmem: SharedNames;
  readonly dsm: DynamicSharedMemory;
}

type Processes<Face> = readonly [RealProcess<Face>, RealProcess<Face>, RealProcess<Face>];

/** Three of them. Each asks for the same; they leave with the test, if they have not before. */
export function realProcesses<Face>(
  ask: (shmem: SharedRequests) => Face,
  asks: readonly ((shmem: SharedRequests) => Face)[] = [ask, ask, ask],
): Processes<Face> {
  const requests = asks.map((one) => {
    const shmem = new SharedRequests(() => {});
    return { shmem, face: one(shmem) };
  });
  const slotCount = requests.length;
  const area = native.MainArea.create(slotCount, requests[0]?.shmem.totalBytes, 1 << 30);
  const doorbells = native.makeDoorbells(slotCount);
  const [death, postmaster] = native.pipe();
  // They run in reverse: this is the last.
  onTestFinished(() => {
    for (const descriptor of [...doorbells, death, postmaster]) closeSync(descriptor);
    area.close();
  });
  const processes = requests.map(({ shmem: requested, face }, slot) => {
    area.attach(slot);
    const attachment = new native.Attachment(area, copiesOf(doorbells), slot, death);
    const attached = new Attached(attachment, slotCount, new Activity(() => {}));
    onTestFinished(() => attached.leave());
    requested.bind(attached);
    const shmem = new AttachedNames(attached, requested);
    return { attached, face, shmem, dsm: new DynamicSharedMemory(attached) };
  });
  return processes as unknown as Processes<Face>;
}

/** An attachment closes the doorbells that it is given. */
function copiesOf(descriptors: readonly number[]): number[] {
  const [ours, theirs] = native.channelPair();
  try {
    native.sendDescriptors(ours, descriptors);
    return native.receiveDescriptors(theirs) ?? [];
  } finally {
    closeSync(ours);
    closeSync(theirs);
  }
}
