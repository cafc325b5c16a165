// interim.ts: what workers.ts needs of shared memory, by way of the library's own files: the exports
// have no segments and no queues yet.

import type { Attachment, BackgroundWorker } from 'bgworker';

/** From dist-programs/examples/native-worker/, where this file runs. */
const LIBRARY = new URL('../../../dist/', import.meta.url);

/** As exchange.c says. */
const QUEUE_BYTES = 4096;

export interface Exchange {
  readonly there: Queue;
  readonly back: Queue;
  readonly count: { add(value: bigint): bigint; load(): bigint };
  /** Detaches: the other side is told. */
  leave(): void;
}

interface Queue {
  send(bytes: Uint8Array, options: { signal: AbortSignal }): Promise<'SUCCESS' | 'DETACHED'>;
  readonly receiver: {
    receive(options: {
      signal: AbortSignal;
    }): Promise<{ result: 'SUCCESS'; message: Uint8Array } | { result: 'DETACHED' }>;
  };
}

export async function openExchange({ attachment }: BackgroundWorker): Promise<Exchange> {
  if (attachment === null) throw new Error('the worker has no shared memory');
  const { MessageQueue } = await internal('shared/message-queue');
  const { ThisProcess } = await internal('shared/this-process');
  const { native } = await internal('native');
  const process = new ThisProcess(portOf(attachment, native));

  const { offset, claim } = attachment.claimStruct('exchange', 8);
  if (claim !== undefined) attachment.publishStruct(claim);
  const words = new BigUint64Array(attachment.fixed, offset, 1);

  const named = attachment.claimNamed('exchange', 2 * QUEUE_BYTES);
  const open = (byteOffset: number, how: 'create' | 'open'): Queue =>
    MessageQueue[how](process, { buffer: named.buffer, byteOffset, bytes: QUEUE_BYTES });
  if (named.claim !== undefined) {
    for (const byteOffset of [0, QUEUE_BYTES]) open(byteOffset, 'create');
    attachment.publishNamed(named.claim);
  }
  return {
    there: open(0, 'open'),
    back: open(QUEUE_BYTES, 'open'),
    count: {
      add: (value) => Atomics.add(words, 0, value),
      load: () => Atomics.load(words, 0),
    },
    leave: () => process.leave(),
  };
}

/** The port of lib/shared/ over an attachment, as far as queues need it. */
function portOf(attachment: Attachment, native: Internal): object {
  const { fixed, processTableOffset, doorbell, slot } = attachment;
  return {
    slot,
    processTable: new Int32Array(
      fixed,
      processTableOffset,
      Math.floor((fixed.byteLength - processTableOffset) / 4),
    ),
    ring: (other: number, asleep: number) => attachment.ring(other, asleep),
    onWake: (listener: () => void) => {
      attachment.loopWatches(true);
      new native.DescriptorWatcher(doorbell, () => {
        attachment.consume();
        listener();
      });
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: their types are not exported either.
type Internal = any;

async function internal(file: string): Promise<Internal> {
  return import(new URL(`${file}.js`, LIBRARY).href);
}
