// queue.ts: both ends of a message queue in one thread, and a step that never waits.

import {
  MessageQueue,
  type MessageQueueOptions,
  type Receiver,
  type Sender,
} from '../../../lib/shared/message-queue.ts';
import { ThisProcess } from '../../../lib/shared/this-process.ts';
import { MemoryPort, makeWorld } from './memory-port.ts';

export const HEADER_BYTES = 192;

export function twoEnds(ringBytes: number, options: MessageQueueOptions = {}) {
  const world = makeWorld(2);
  const ports = [new MemoryPort(world, 0), new MemoryPort(world, 1)] as const;
  const processes = [new ThisProcess(ports[0]), new ThisProcess(ports[1])] as const;
  const buffer = new SharedArrayBuffer(64 + HEADER_BYTES + ringBytes);
  const place = { buffer, byteOffset: 64, bytes: HEADER_BYTES + ringBytes };
  const sending = MessageQueue.create(processes[0], place, options);
  const receiving = MessageQueue.open(processes[1], place, options);
  const words = new Int32Array(buffer, 64);
  return { world, ports, processes, buffer, place, sending, receiving, words };
}

/** Sends and receives by turns until the message has passed. The view, as it was received. */
export function pass(
  sender: Sender<Uint8Array>,
  receiver: Receiver<Uint8Array>,
  message: Uint8Array,
  flush = true,
): Uint8Array {
  let isSent = false;
  for (let turns = 0; turns < 100_000; turns += 1) {
    if (!isSent) {
      const sent = sender.trySend(message, { flush });
      if (sent === 'DETACHED') throw new Error('the receiver is gone');
      isSent = sent === 'SUCCESS';
      if (isSent && !flush) sender.flush();
    }
    const received = receiver.tryReceive();
    if (received.result === 'DETACHED') throw new Error('the sender is gone');
    if (received.result === 'SUCCESS') {
      if (!isSent) throw new Error('it came before it was sent');
      return received.message;
    }
  }
  throw new Error(`a message of ${message.length} bytes does not get through`);
}
