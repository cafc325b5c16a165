// queue-values.ts: values instead of bytes over a message queue, by structured clone (node:v8).
//
// Only between processes of this machine and this release of Node: the format is V8's. A value that
// was received is a copy and stays valid; it costs what v8.serialize() and v8.deserialize() cost.

import { deserialize, serialize } from 'node:v8';
import { BgworkerError } from '../errors.ts';
import { cannotTravel, otherValue } from './messages.ts';
import type { QueueWaitOptions } from './queue-end.ts';
import {
  asIteratorResult,
  type QueueReceiver,
  type Received,
  type TryReceived,
} from './queue-receiver.ts';
import type { QueueSender, SendOptions, SendResult } from './queue-sender.ts';

export class ValueSender<Value> {
  readonly #sender: QueueSender;
  /** The value of which a part is in the ring: sent again, its bytes must be the same ones. */
  #underWay: { readonly value: Value; readonly bytes: Uint8Array } | null = null;

  constructor(sender: QueueSender) {
    this.#sender = sender;
  }

  get isDetached(): boolean {
    return this.#sender.isDetached;
  }

  trySend(value: Value, options?: SendOptions): SendResult {
    const bytes = this.#bytesOf(value);
    const result = this.#sender.trySend(bytes, options);
    if (result !== 'WOULD_BLOCK') this.#underWay = null;
    else if (this.#sender.isUnderWay) this.#underWay ??= { value, bytes };
    return result;
  }

  /** The value is taken as it is now. */
  async send(
    value: Value,
    options: SendOptions & QueueWaitOptions = {},
  ): Promise<'SUCCESS' | 'DETACHED'> {
    const bytes = this.#bytesOf(value);
    this.#underWay = null;
    try {
      return await this.#sender.send(bytes, options);
    } catch (error) {
      if (this.#sender.isUnderWayWith(bytes)) this.#underWay = { value, bytes };
      throw error;
    }
  }

  flush(): void {
    this.#sender.flush();
  }

  waitForAttach(options?: QueueWaitOptions): Promise<'SUCCESS' | 'DETACHED'> {
    return this.#sender.waitForAttach(options);
  }

  detach(): void {
    this.#sender.detach();
  }

  [Symbol.dispose](): void {
    this.detach();
  }

  #bytesOf(value: Value): Uint8Array {
    if (this.#underWay === null) return encode(value);
    if (!Object.is(this.#underWay.value, value)) {
      throw new BgworkerError('ERR_WRONG_STATE', otherValue);
    }
    return this.#underWay.bytes;
  }
}

export class ValueReceiver<Value> implements AsyncIterable<Value> {
  readonly #receiver: QueueReceiver;

  constructor(receiver: QueueReceiver) {
    this.#receiver = receiver;
  }

  get isDetached(): boolean {
    return this.#receiver.isDetached;
  }

  tryReceive(): TryReceived<Value> {
    const received = this.#receiver.tryReceive();
    return received.result === 'SUCCESS' ? decode(received.message) : received;
  }

  async receive(options?: QueueWaitOptions): Promise<Received<Value>> {
    const received = await this.#receiver.receive(options);
    return received.result === 'SUCCESS' ? decode(received.message) : received;
  }

  iterate(options: QueueWaitOptions = {}): AsyncIterableIterator<Value, undefined> {
    return {
      next: () => this.receive(options).then(asIteratorResult),
      return: () => Promise.resolve({ done: true, value: undefined }),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Value, undefined> {
    return this.iterate();
  }

  waitForAttach(options?: QueueWaitOptions): Promise<'SUCCESS' | 'DETACHED'> {
    return this.#receiver.waitForAttach(options);
  }

  detach(): void {
    this.#receiver.detach();
  }

  [Symbol.dispose](): void {
    this.detach();
  }
}

function encode(value: unknown): Uint8Array {
  try {
    return serialize(value);
  } catch (cause) {
    const problem = cannotTravel(cause instanceof Error ? cause.message : String(cause));
    throw new BgworkerError('ERR_INVALID_OPTION', problem, { cause });
  }
}

function decode<Value>(message: Uint8Array): { result: 'SUCCESS'; message: Value } {
  // Of a copy: deserialize() makes the typed arrays in a value views of what it is given.
  return { result: 'SUCCESS', message: deserialize(new Uint8Array(message)) as Value };
}
