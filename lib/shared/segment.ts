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
// first, with all of the memory still there; the queues in it are detached among them. Then
// everything made of it throws when used.

import { BgworkerError } from '../errors.ts';
import { invalidOption } from '../messages.ts';
import type { MappedSegment } from '../native.ts';
import type { Attached } from './attached.ts';
import { Barrier, type BarrierOptions } from './barrier.ts';
import { ConditionVariable, placeWords } from './condition-variable.ts';
import { LATCH_BYTES, SharedLatch } from './latch.ts';
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

/** Something that was made of the memory. */
interface Face {
  readonly shape: string;
  readonly face: unknown;
  /** After the callbacks, while the memory is still there. */
  unbind(): void;
}

/**
 * Everything that is made of it throws ERR_INVALID_OPTION for a place that it does not fit in, or that
 * is in use by the same kind of thing in another shape; ERR_WRONG_STATE once it is detached. What lies
 * where, and that it does not overlap, is the user's to say.
 */
export class Segment implements Disposable {
  /** Names it to other processes; never 0. */
  readonly handle: number;
  readonly byteLength: number;
  /** Did this process make it? What needs to be made in it (a queue, a static barrier) is made then. */
  readonly isCreator: boolean;

  readonly #attached: Attached;
  readonly #buffer: ArrayBuffer;
  readonly #onGone: () => void;
  readonly #callbacks: { readonly call: () => void }[] = [];
  /** By kind and place: the same, asked for again, is the same thing. */
  readonly #faces = new Map<string, Face>();
  #isAttached = true;
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
    return this.#isAttached;
  }

  /** At a multiple of its alignment, which is that of its largest field (layout.ts). */
  struct<const Layout extends StructLayout>(layout: Layout, at: Placement = {}): Struct<Layout> {
    const shape = JSON.stringify(layout);
    // Two of them in one place, of different layouts, are what a union is in C.
    return this.#face(`struct ${shape}`, at, shape, (name, buffer, byteOffset) => {
      const struct = new SharedStruct(name, layout);
      struct.bind(buffer, byteOffset);
      return { face: struct.fields, unbind: () => struct.unbind() };
    });
  }

  /** 24 bytes, at a multiple of 4; on a cache line of its own (64), it slows nobody down. */
  lwlock(at: Placement = {}): Lwlock {
    return this.#face('lock', at, '', (name, buffer, byteOffset) => {
      const lock = new Lwlock(name);
      lock.bind(this.#attached.process, buffer, byteOffset);
      return { face: lock, unbind: () => lock.unbind() };
    });
  }

  /** 16 bytes, at a multiple of 4. */
  conditionVariable(at: Placement = {}): ConditionVariable {
    return this.#face('condition variable', at, '', (name, buffer, byteOffset) => {
      const variable = new ConditionVariable(name);
      variable.bind(this.#attached, buffer, byteOffset);
      return { face: variable, unbind: () => variable.unbind() };
    });
  }

  /**
   * 40 bytes, at a multiple of 4. A static one is made by who made the segment, before the others ask for it; everybody says the
   * same number. A dynamic one is there from the beginning.
   */
  barrier(options: BarrierOptions & Placement = {}): Barrier {
    const shape = `of ${options.participants ?? 0} participants`;
    return this.#face('barrier', options, shape, (name, buffer, byteOffset) => {
      const barrier = new Barrier(name, options);
      barrier.bind(this.#attached, buffer, byteOffset);
      // What zero is needs nobody to make it, and others may have attached to it before.
      if (this.isCreator && barrier.isStatic) barrier.initialise();
      else barrier.verify();
      return { face: barrier, unbind: () => barrier.unbind() };
    });
  }

  /** 4 bytes, at a multiple of 4. Of nobody at first: the process that waits on it owns it before. */
  latch(at: Placement = {}): SharedLatch {
    return this.#face('latch', at, '', (name, buffer, byteOffset) => {
      const what = `latch "${name}"`;
      const words = placeWords(what, buffer, byteOffset, LATCH_BYTES);
      const latch = new SharedLatch(this.#attached.process, words, 0, what);
      return { face: latch, unbind: () => latch.leave() };
    });
  }

  /**
   * At a multiple of 64, from 200 bytes to 192 and a gibibyte. Made by who made the segment, opened by
   * the others with the same number of bytes: ERR_WRONG_STATE if none was made there.
   */
  messageQueue<Value>(
    options: SegmentQueueOptions & { readonly values: true },
  ): MessageQueue<Value>;
  messageQueue(options?: SegmentQueueOptions): MessageQueue;
  messageQueue(options: SegmentQueueOptions = {}): MessageQueue<never> {
    const { byteOffset: at = 0, bytes = this.byteLength - at, ...rest } = options;
    const shape = `${bytes} bytes of ${options.values === true ? 'values' : 'bytes'}`;
    const queue: MessageQueue<never> = this.#face(
      'message queue',
      options,
      shape,
      (_name, buffer, byteOffset) => {
        const place = { buffer, byteOffset, bytes };
        const inside = { ...rest, onLeave: (act: () => void) => this.onDetach(act) };
        const { process } = this.#attached;
        const made: MessageQueue<unknown> = this.isCreator
          ? MessageQueue.create(process, place, inside)
          : MessageQueue.open(process, place, inside);
        return { face: made, unbind: () => made.detach() };
      },
    );
    // Whoever made it in an initialiser says here how he waits.
    queue.configure(rest);
    return queue;
  }

  /**
   * It survives without anybody attached, until unpin(), a crash cycle or the end of the postmaster
   * (dsm_pin_segment).
   *
   * @throws BgworkerError ERR_SHMEM_ALREADY_PINNED, whoever did it.
   */
  pin(): void {
    this.#ask(() => this.#attached.attachment.pinSegment(this.handle));
  }

  /** @throws BgworkerError ERR_SHMEM_NOT_PINNED. */
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
    if (typeof callback !== 'function') {
      const problem = invalidOption('onDetach()', 'callback', 'must be a function', callback);
      throw new BgworkerError('ERR_INVALID_OPTION', problem);
    }
    const registered = { call: callback };
    this.#callbacks.push(registered);
    return () => {
      const at = this.#callbacks.indexOf(registered);
      if (at >= 0) this.#callbacks.splice(at, 1);
    };
  }

  /** Idempotent. Throws the first thing that a callback threw, when all is done. */
  detach(): void {
    const problems: unknown[] = [];
    // Each is taken off before it is called: one that detaches, or exits, has the rest done.
    for (let next = this.#callbacks.pop(); next !== undefined; next = this.#callbacks.pop()) {
      try {
        next.call();
      } catch (error) {
        problems.push(error);
      }
    }
    if (this.#isAttached) this.#unmap();
    if (problems.length > 0) throw problems[0];
  }

  [Symbol.dispose](): void {
    if (!this.#isMappingPinned) this.detach();
  }

  #unmap(): void {
    this.#isAttached = false;
    for (const { unbind } of this.#faces.values()) unbind();
    const { process, attachment } = this.#attached;
    process.leaveMemory(this.#buffer);
    attachment.detachSegment(this.handle);
    // Who waits on a latch in it sees only now that it has gone.
    process.waits.look();
    this.#onGone();
  }

  #face<T>(
    kind: string,
    { byteOffset = 0 }: Placement,
    shape: string,
    make: (name: string, buffer: ArrayBuffer, byteOffset: number) => Omit<Face, 'shape'>,
  ): T {
    const buffer = this.#memory();
    const key = `${kind} at ${byteOffset}`;
    const before = this.#faces.get(key);
    if (before !== undefined) {
      if (before.shape === shape) return before.face as T;
      const what = `${kind} at ${byteOffset} of ${messages.segmentSubject(this.handle)}`;
      throw new BgworkerError('ERR_INVALID_OPTION', messages.otherShape(what));
    }
    const name = `${messages.segmentSubject(this.handle)} at ${byteOffset}`;
    const made = { shape, ...make(name, buffer, byteOffset) };
    this.#faces.set(key, made);
    return made.face as T;
  }

  #ask(verb: () => void): void {
    this.#memory();
    asked(messages.segmentSubject(this.handle), verb);
  }

  #memory(): ArrayBuffer {
    if (this.#isAttached) return this.#buffer;
    throw new BgworkerError('ERR_WRONG_STATE', messages.segmentDetached(this.handle));
  }
}
