// segment.ts: a dynamic shared memory segment, as one process has it mapped (dsm_segment).
//
//     const segment = worker.dsm.create(1 << 20);               // here; segment.handle travels
//     const queue = segment.messageQueue({ bytes: 1 << 16 });   // made by who made the segment
//     const same = worker.dsm.attach(handle).messageQueue({ bytes: 1 << 16 });   // opened there
//
// A segment lives as long as somebody is attached to it, or it is pinned. Its address differs from
// process to process, so what is in it says offsets. Its memory is zero at first, and zero is a free
// lock, a latch of nobody, a condition variable without waiters, a dynamic barrier.
//
// When it is detached, by detach(), by `using` or at the exit, its callbacks run first, the latest
// first; the queues in it are detached among them. Then everything made of it throws when used.

import { BgworkerError } from '../errors.ts';
import type { MappedSegment } from '../native.ts';
import type { Attached } from './attached.ts';
import { Barrier, type BarrierOptions } from './barrier.ts';
import { ConditionVariable } from './condition-variable.ts';
import { SharedLatch } from './latch.ts';
import type { StructLayout } from './layout.ts';
import { Lwlock } from './lwlock.ts';
import { MessageQueue, type MessageQueueOptions } from './message-queue.ts';
import * as messages from './messages.ts';
import { asked } from './refusal.ts';
import { SharedStruct, type Struct } from './struct.ts';

/** Where in the segment. */
export interface Placement {
  /** From its start, in bytes. Default: 0. */
  readonly byteOffset?: number;
}

export interface SegmentQueueOptions extends MessageQueueOptions, Placement {
  /** The whole queue: 192 of header, then the ring. Default: all from byteOffset on. */
  readonly bytes?: number;
}

export class Segment implements Disposable {
  /** Names it to other processes; never 0. */
  readonly handle: number;
  readonly byteLength: number;
  /** Did this process make it? What needs to be made in it (a queue, a static barrier) is made then. */
  readonly isCreator: boolean;

  readonly #attached: Attached;
  readonly #buffer: ArrayBuffer;
  readonly #onGone: () => void;
  readonly #callbacks: (() => void)[] = [];
  readonly #queues = new Map<number, { shape: string; queue: MessageQueue<unknown> }>();
  #course: 'mapped' | 'detaching' | 'detached' = 'mapped';
  #isMappingPinned: boolean;

  /** For dynamic-shared-memory.ts; `onGone`: it is no longer mapped. */
  constructor(
    attached: Attached,
    mapped: MappedSegment,
    origin: {
      readonly isCreator: boolean;
      readonly isMappingPinned: boolean;
      onGone(): void;
    },
  ) {
    this.#attached = attached;
    this.#buffer = mapped.buffer;
    this.#onGone = origin.onGone;
    this.#isMappingPinned = origin.isMappingPinned;
    this.handle = mapped.handle;
    this.byteLength = mapped.buffer.byteLength;
    this.isCreator = origin.isCreator;
  }

  /** The memory itself. Of length 0 once it is detached. */
  get buffer(): ArrayBuffer {
    return this.#buffer;
  }

  get isAttached(): boolean {
    return this.#course === 'mapped';
  }

  struct<const Layout extends StructLayout>(layout: Layout, at: Placement = {}): Struct<Layout> {
    const struct = new SharedStruct(this.#nameOf(at), layout);
    struct.bind(this.#memory(), at.byteOffset ?? 0);
    this.onDetach(() => struct.unbind());
    return struct.fields;
  }

  lwlock(at: Placement = {}): Lwlock {
    const lock = new Lwlock(this.#nameOf(at));
    lock.bind(this.#attached.process, this.#memory(), at.byteOffset ?? 0);
    this.onDetach(() => lock.unbind());
    return lock;
  }

  conditionVariable(at: Placement = {}): ConditionVariable {
    const variable = new ConditionVariable(this.#nameOf(at));
    variable.bind(this.#attached, this.#memory(), at.byteOffset ?? 0);
    this.onDetach(() => variable.unbind());
    return variable;
  }

  /** A static one says the same number of participants everywhere. */
  barrier(options: BarrierOptions & Placement = {}): Barrier {
    const barrier = new Barrier(this.#nameOf(options), options);
    barrier.bind(this.#attached, this.#memory(), options.byteOffset ?? 0);
    if (this.isCreator) barrier.initialise();
    this.onDetach(() => barrier.unbind());
    return barrier;
  }

  /** Of nobody at first: the process that waits on it owns it before. */
  latch({ byteOffset = 0 }: Placement = {}): SharedLatch {
    const words = new Int32Array(this.#memory(), byteOffset, 1);
    return new SharedLatch(this.#attached.process, words, 0);
  }

  /** Made by who made the segment, opened by the others; the same number of bytes everywhere. */
  messageQueue<Value>(
    options: SegmentQueueOptions & { readonly values: true },
  ): MessageQueue<Value>;
  messageQueue(options?: SegmentQueueOptions): MessageQueue;
  messageQueue(options: SegmentQueueOptions = {}): MessageQueue<never> {
    const { byteOffset = 0, bytes = this.byteLength - byteOffset, ...rest } = options;
    const buffer = this.#memory();
    const shape = `${bytes} bytes of ${options.values === true ? 'values' : 'bytes'}`;
    const before = this.#queues.get(byteOffset);
    if (before !== undefined) {
      if (before.shape === shape) return before.queue as MessageQueue<never>;
      const what = `message queue of ${this.#nameOf(options)}`;
      throw new BgworkerError('ERR_INVALID_OPTION', messages.otherShape(what));
    }
    const { process } = this.#attached;
    const place = { buffer, byteOffset, bytes };
    const inside = { ...rest, onLeave: (act: () => void) => this.onDetach(act) };
    const queue: MessageQueue<unknown> = this.isCreator
      ? MessageQueue.create(process, place, inside)
      : MessageQueue.open(process, place, inside);
    this.#queues.set(byteOffset, { shape, queue });
    return queue as MessageQueue<never>;
  }

  /** It survives without anybody attached, until unpin() or the end of the postmaster. */
  pin(): void {
    this.#ask(() => this.#attached.attachment.pinSegment(this.handle));
  }

  unpin(): void {
    this.#ask(() => this.#attached.attachment.unpinSegment(this.handle));
  }

  /** The mapping stays to the end of the process, whatever `using` says. */
  pinMapping(): void {
    this.#ask(() => this.#attached.attachment.pinMapping(this.handle));
    this.#isMappingPinned = true;
  }

  unpinMapping(): void {
    this.#ask(() => this.#attached.attachment.unpinMapping(this.handle));
    this.#isMappingPinned = false;
  }

  /** Called before the memory is unmapped, however that comes, the latest first. Gives what cancels
   *  it. What it throws does not keep the others from being called. */
  onDetach(callback: () => void): () => void {
    this.#memory();
    this.#callbacks.push(callback);
    return () => {
      const at = this.#callbacks.lastIndexOf(callback);
      if (at >= 0) this.#callbacks.splice(at, 1);
    };
  }

  /** Idempotent. Throws the first thing that a callback threw, when all is done. */
  detach(): void {
    if (this.#course !== 'mapped') return;
    this.#course = 'detaching';
    const problems: unknown[] = [];
    for (let next = this.#callbacks.pop(); next !== undefined; next = this.#callbacks.pop()) {
      try {
        next();
      } catch (error) {
        problems.push(error);
      }
    }
    this.#course = 'detached';
    this.#attached.process.leaveMemory(this.#buffer);
    this.#attached.attachment.detachSegment(this.handle);
    this.#onGone();
    if (problems.length > 0) throw problems[0];
  }

  [Symbol.dispose](): void {
    if (!this.#isMappingPinned) this.detach();
  }

  #ask(verb: () => void): void {
    this.#memory();
    asked(messages.segmentSubject(this.handle), verb);
  }

  #memory(): ArrayBuffer {
    if (this.#course === 'detached') {
      throw new BgworkerError('ERR_WRONG_STATE', messages.segmentDetached(this.handle));
    }
    return this.#buffer;
  }

  #nameOf({ byteOffset = 0 }: Placement): string {
    return `${messages.segmentSubject(this.handle)} at ${byteOffset}`;
  }
}
