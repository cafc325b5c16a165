// attachment-port.ts: the port of lib/shared/ over the addon: a real process, real shared memory.

import { type Attachment, type DescriptorWatcher, native } from '../native.ts';
import type { AttachedPort, LockMode, SleepEnd } from './port.ts';
import { SLOT_WORDS } from './waits.ts';

/** `slotCount`: of our own knowledge, not of shared memory's. */
export class AttachmentPort implements AttachedPort {
  readonly slot: number;
  readonly processTable: Int32Array;
  readonly #attachment: Attachment;
  #watcher: DescriptorWatcher | null = null;

  constructor(attachment: Attachment, slotCount: number) {
    this.#attachment = attachment;
    this.slot = attachment.slot;
    const { fixed, processTableOffset } = attachment;
    this.processTable = new Int32Array(fixed, processTableOffset, slotCount * SLOT_WORDS);
  }

  ring(slot: number, asleep: number): void {
    this.#attachment.ring(slot, asleep);
  }

  onWake(listener: () => void): void {
    this.#attachment.loopWatches(true);
    this.#watcher = new native.DescriptorWatcher(this.#attachment.doorbell, () => {
      this.#attachment.consume();
      listener();
    });
  }

  /** Before the attachment ends, and the doorbell with it. */
  close(): void {
    this.#watcher?.close();
  }

  tryLock(lock: Int32Array, mode: LockMode): boolean {
    return this.#attachment.tryLock(...placeOf(lock), mode);
  }
  beginLock(lock: Int32Array, mode: LockMode): number {
    return this.#attachment.beginLock(...placeOf(lock), mode);
  }
  isGranted(wait: number): boolean {
    return this.#attachment.isGranted(wait);
  }
  cancelLock(wait: number): boolean {
    return this.#attachment.cancelLock(wait);
  }
  acquireLock(lock: Int32Array, mode: LockMode): void {
    this.#attachment.acquireLock(...placeOf(lock), mode);
  }
  releaseLock(lock: Int32Array, mode: LockMode): void {
    this.#attachment.releaseLock(...placeOf(lock), mode);
  }

  beginCondition(condition: Int32Array): number {
    return this.#attachment.beginCondition(...placeOf(condition));
  }
  takeWake(wait: number): boolean {
    return this.#attachment.takeWake(wait);
  }
  cancelCondition(wait: number): boolean {
    return this.#attachment.cancelCondition(wait);
  }
  signalCondition(condition: Int32Array): void {
    this.#attachment.signalCondition(...placeOf(condition));
  }
  broadcastCondition(condition: Int32Array): void {
    this.#attachment.broadcastCondition(...placeOf(condition));
  }
  sleepOnCondition(condition: Int32Array, timeoutMs: number | undefined): SleepEnd {
    return this.#attachment.sleepOnCondition(...placeOf(condition), timeoutMs);
  }
  endSleep(): boolean {
    return this.#attachment.endSleep();
  }

  initBarrier(barrier: Int32Array, participants: number): void {
    this.#attachment.initBarrier(...placeOf(barrier), participants);
  }
  attachBarrier(barrier: Int32Array): number {
    return this.#attachment.attachBarrier(...placeOf(barrier));
  }
  detachBarrier(barrier: Int32Array, arrivedIn?: number): boolean {
    return this.#attachment.detachBarrier(...placeOf(barrier), arrivedIn);
  }
  arriveAndDetach(barrier: Int32Array, arrivedIn?: number): boolean {
    return this.#attachment.arriveAndDetach(...placeOf(barrier), arrivedIn);
  }
  arriveAndDetachExceptLast(barrier: Int32Array, arrivedIn?: number): boolean {
    return this.#attachment.arriveAndDetachExceptLast(...placeOf(barrier), arrivedIn);
  }
  barrierState(barrier: Int32Array): ReturnType<Attachment['barrierState']> {
    return this.#attachment.barrierState(...placeOf(barrier));
  }
  beginArrival(barrier: Int32Array): number {
    return this.#attachment.beginArrival(...placeOf(barrier));
  }
  arrivalState(wait: number): 'waiting' | 'elected' | 'notElected' {
    return this.#attachment.arrivalState(wait);
  }
  forgetArrival(wait: number): void {
    this.#attachment.forgetArrival(wait);
  }
  arriveAndWait(barrier: Int32Array): ReturnType<Attachment['arriveAndWait']> {
    return this.#attachment.arriveAndWait(...placeOf(barrier));
  }
}

function placeOf(words: Int32Array): [buffer: ArrayBuffer, byteOffset: number] {
  return [words.buffer as ArrayBuffer, words.byteOffset];
}
