// message-queue.ts: a message queue in shared memory (PostgreSQL's shm_mq): one sender, one receiver,
// whole messages of any size up to a gibibyte, in order, through a ring of any size.
//
//     const queue = MessageQueue.create(process, { buffer, byteOffset, bytes });   // one of them
//     await queue.send(bytes);
//     const queue = MessageQueue.open(process, { buffer, byteOffset, bytes });     // the other
//     for await (const message of queue.receive()) look(message);
//
// The first send makes this process the sender, the first receive the receiver; each end is taken
// once, for ever. When one end detaches, the other one receives what was sent before, and then
// 'DETACHED', for ever. A message received is valid until the next receive.
//
// Quick use, without a promise for each message:
//
//     if (sender.trySend(bytes, { flush: false }) === 'WOULD_BLOCK') await sender.send(bytes);
//     for (let got = receiver.tryReceive(); got.result === 'SUCCESS'; got = receiver.tryReceive()) …

import { BgworkerError } from '../errors.ts';
import { queueHasLeft } from './messages.ts';
import type { EndOptions, QueueWaitOptions } from './queue-end.ts';
import {
  createQueue,
  MAX_MESSAGE_BYTES,
  MIN_QUEUE_BYTES,
  openQueue,
  type QueueMemory,
  type QueuePlace,
} from './queue-memory.ts';
import { QueueReceiver, type Received, type TryReceived } from './queue-receiver.ts';
import { QueueSender, type SendOptions, type SendResult } from './queue-sender.ts';
import { ValueReceiver, ValueSender } from './queue-values.ts';
import type { ThisProcess } from './this-process.ts';

export type { EndOptions, QueueWaitOptions } from './queue-end.ts';
export type { QueuePlace } from './queue-memory.ts';
export type { Received, TryReceived } from './queue-receiver.ts';
export type { SendOptions, SendResult } from './queue-sender.ts';

export interface MessageQueueOptions extends EndOptions {
  /** Messages are values, by structured clone, not bytes. The same at both ends. */
  readonly values?: boolean;
}

/** What sends, bytes or values. */
export interface Sender<Message> extends Disposable {
  /**
   * Never waits (shm_mq_send, nowait). After 'WOULD_BLOCK' a part of the message may be under way: the
   * identical one must be sent next. 'DETACHED': nobody will read it.
   *
   * @throws BgworkerError ERR_INVALID_OPTION for what is no message, or one of more than 2^30 - 1
   * bytes; ERR_WRONG_STATE for another message than the one under way.
   */
  trySend(message: Message, options?: SendOptions): SendResult;
  /**
   * Waits on the event loop while the ring is full. Sends that wait go in the order of their calls.
   * Rejects as trySend() throws, with the signal's reason, or with ERR_WRONG_STATE if the postmaster
   * is dead.
   */
  send(message: Message, options?: SendOptions & QueueWaitOptions): Promise<'SUCCESS' | 'DETACHED'>;
  /** Publishes what { flush: false } has let gather. */
  flush(): void;
  /** Until the other end has come, or will not come any more. */
  waitForAttach(options?: QueueWaitOptions): Promise<'SUCCESS' | 'DETACHED'>;
  /** Has either end detached? */
  readonly isDetached: boolean;
  /** Publishes what is pending, and tells the other end. For ever; idempotent. */
  detach(): void;
}

/** What receives, bytes or values. */
export interface Receiver<Message> extends AsyncIterable<Message>, Disposable {
  /** Never waits (shm_mq_receive, nowait). Bytes are valid until the next receive; values are copies. */
  tryReceive(): TryReceived<Message>;
  /**
   * Waits on the event loop for a message, or for the end. One at a time: ERR_WRONG_STATE for a second
   * one. Rejects with the signal's reason, or with ERR_WRONG_STATE if the postmaster is dead.
   */
  receive(options?: QueueWaitOptions): Promise<Received<Message>>;
  /** The messages until the sender detaches. Nothing is read ahead; a break leaves the end attached. */
  iterate(options?: QueueWaitOptions): AsyncIterableIterator<Message, undefined>;
  /** Until the other end has come, or will not come any more. */
  waitForAttach(options?: QueueWaitOptions): Promise<'SUCCESS' | 'DETACHED'>;
  /** Has either end detached? What was sent before is still received. */
  readonly isDetached: boolean;
  /** For ever; idempotent. The message received last is gone. */
  detach(): void;
}

type ValuesOptions = MessageQueueOptions & { readonly values: true };

export class MessageQueue<Message = Uint8Array> implements Disposable {
  /** Of the whole place: header and ring. */
  static readonly minimumBytes = MIN_QUEUE_BYTES;
  /** Of one message; its values' serialized form counts. */
  static readonly maximumMessageBytes = MAX_MESSAGE_BYTES;

  readonly #process: ThisProcess;
  readonly #memory: QueueMemory;
  /** A copy of ours, which the ends look at. */
  readonly #options: { -readonly [Name in keyof MessageQueueOptions]: MessageQueueOptions[Name] };
  #sender: Sender<Message> | null = null;
  #receiver: Receiver<Message> | null = null;
  #hasLeft = false;

  private constructor(process: ThisProcess, memory: QueueMemory, options: MessageQueueOptions) {
    this.#process = process;
    this.#memory = memory;
    this.#options = { ...options };
  }

  /** Makes a queue in this place, whatever was there before. */
  static create<Value>(
    process: ThisProcess,
    place: QueuePlace,
    options: ValuesOptions,
  ): MessageQueue<Value>;
  static create(
    process: ThisProcess,
    place: QueuePlace,
    options?: MessageQueueOptions,
  ): MessageQueue;
  static create(
    process: ThisProcess,
    place: QueuePlace,
    options: MessageQueueOptions = {},
  ): MessageQueue<never> {
    return new MessageQueue(process, createQueue(place), options);
  }

  /** The queue that was made in this place; throws if there is none of this size. */
  static open<Value>(
    process: ThisProcess,
    place: QueuePlace,
    options: ValuesOptions,
  ): MessageQueue<Value>;
  static open(process: ThisProcess, place: QueuePlace, options?: MessageQueueOptions): MessageQueue;
  static open(
    process: ThisProcess,
    place: QueuePlace,
    options: MessageQueueOptions = {},
  ): MessageQueue<never> {
    return new MessageQueue(process, openQueue(place), options);
  }

  /** What is said later of how to wait, for ends that are there already, too. */
  configure({ isPeerGone, spins }: EndOptions): void {
    if (isPeerGone !== undefined) this.#options.isPeerGone = isPeerGone;
    if (spins !== undefined) this.#options.spins = spins;
  }

  /** The bytes that messages and their length words share. */
  get ringBytes(): number {
    return this.#memory.ring.length;
  }

  /** Attaches as the sender, the first time. Throws if there is one already. */
  get sender(): Sender<Message> {
    if (this.#sender === null) {
      this.#requireMemory();
      const sender = new QueueSender(this.#process, this.#memory, this.#options);
      this.#sender = (
        this.#options.values === true ? new ValueSender<Message>(sender) : sender
      ) as Sender<Message>;
    }
    return this.#sender;
  }

  /** Attaches as the receiver, the first time. Throws if there is one already. */
  get receiver(): Receiver<Message> {
    if (this.#receiver === null) {
      this.#requireMemory();
      const receiver = new QueueReceiver(this.#process, this.#memory, this.#options);
      this.#receiver = (
        this.#options.values === true ? new ValueReceiver<Message>(receiver) : receiver
      ) as Receiver<Message>;
    }
    return this.#receiver;
  }

  trySend(message: Message, options?: SendOptions): SendResult {
    return this.sender.trySend(message, options);
  }

  send(
    message: Message,
    options?: SendOptions & QueueWaitOptions,
  ): Promise<'SUCCESS' | 'DETACHED'> {
    return this.sender.send(message, options);
  }

  flush(): void {
    this.#sender?.flush();
  }

  tryReceive(): TryReceived<Message> {
    return this.receiver.tryReceive();
  }

  /** The messages, one after the other, until the sender detaches. */
  receive(options?: QueueWaitOptions): AsyncIterableIterator<Message, undefined> {
    return this.receiver.iterate(options);
  }

  /** Detaches the ends that this process has, before the memory is unmapped. Idempotent. */
  detach(): void {
    this.#hasLeft = true;
    this.#sender?.detach();
    this.#receiver?.detach();
  }

  [Symbol.dispose](): void {
    this.detach();
  }

  #requireMemory(): void {
    if (this.#hasLeft) throw new BgworkerError('ERR_WRONG_STATE', queueHasLeft);
  }
}
