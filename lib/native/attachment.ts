// attachment.ts: a worker's own hold on shared memory, as the addon hands it over.

/** A place in shared memory, as verbs take it: it must lie in `fixed` or in a mapped segment. */
type Place = [buffer: ArrayBuffer, byteOffset: number];

/** A mapped dynamic segment. The buffer is detached (length 0) when the mapping goes. */
export interface MappedSegment {
  readonly handle: number;
  readonly buffer: ArrayBuffer;
}

/** Under `claim` the finder initialises it, and publishes or abandons; it is there if !found. */
export interface StructPlace {
  /** From the start of `fixed`. */
  readonly offset: number;
  readonly found: boolean;
  readonly claim?: number;
}

/**
 * A worker's own hold on shared memory: made right after MainArea.attach(), ended before detach().
 * Not for use by two threads. What shared memory refuses is an Error with code 'ERR_SHMEM_…' and
 * PostgreSQL's words. After end() every verb throws ERR_SHMEM_LEFT; a place that is none,
 * ERR_SHMEM_BAD_PLACE. Numbers of waits and claims are small and are used again.
 */
export interface Attachment {
  /** The fixed part, for Atomics on typed arrays; the same object each time. */
  readonly fixed: ArrayBuffer;
  readonly slot: number;
  /** From the start of `fixed`: 272 words for each slot (process_table.h). */
  readonly processTableOffset: number;
  /** The descriptor that becomes readable when somebody rings; not ours to close. */
  readonly doorbell: number;
  /** Cancels waits, abandons claims, detaches all segments, gives the slot back. Idempotent. */
  end(): void;

  // Sleeping (this_process.h). The event loop: loopWatches(true); consume(), look, prepareToSleep(),
  // look again.
  loopWatches(watches: boolean): void;
  prepareToSleep(): void;
  consume(): void;
  /** The system call. `asleep`: what the exchange that took the sleeper's mark gave. */
  ring(slot: number, asleep: number): void;
  /** Exchange and system call. */
  wake(slot: number): void;

  // The directory: structures of the main area (ShmemInitStruct).
  /** Blocks while another process initialises it. */
  claimStruct(name: string, bytes: number): StructPlace;
  publishStruct(claim: number): void;
  abandonStruct(claim: number): void;
  listStructs(): { name: string; offset: number; bytes: number; allocatedBytes: number }[];

  // Dynamic segments (dynamic_segments.h).
  createSegment(bytes: number): MappedSegment;
  attachSegment(handle: number): MappedSegment;
  /** This process's mapping, or null. */
  findSegment(handle: number): MappedSegment | null;
  /** Nothing happens if it is not attached. Waits for what lies in it end. */
  detachSegment(handle: number): void;
  releaseUnpinned(): void;
  pinMapping(handle: number): void;
  unpinMapping(handle: number): void;
  pinSegment(handle: number): void;
  unpinSegment(handle: number): void;
  listSegments(): { handle: number; bytes: number; pinned: boolean }[];

  // The registry: dynamic segments by name (GetNamedDSMSegment).
  /** Blocks while another process initialises it. */
  claimNamed(name: string, bytes: number): MappedSegment & { found: boolean; claim?: number };
  /** What fails has been abandoned. */
  publishNamed(claim: number): void;
  abandonNamed(claim: number): void;
  listNamed(): { name: string; kind: 'segment' | 'area' | 'hash'; bytes: number | null }[];

  // Hash tables by name (hash.h). Bytes are copied; nothing stays locked.
  /** Once per process. `bytes` is what it may grow to. Gives its number. */
  openHash(name: string, bytes: number, maxKeyBytes: number, maxValueBytes: number): number;
  hashFind(hash: number, key: Uint8Array): Buffer | null;
  /** true: it was not there before. `replace`: what is there gets the value. */
  hashInsert(hash: number, key: Uint8Array, value: Uint8Array, replace: boolean): boolean;
  /**
   * Under the lock of the partition: `change` gets a copy of the value, or null, and gives the new
   * one, or null for none. ERR_SHMEM_BUSY for a hash verb within it.
   */
  hashUpdate(
    hash: number,
    key: Uint8Array,
    change: (value: Buffer | null) => Uint8Array | null,
  ): void;
  /** false: it was not there. */
  hashDelete(hash: number, key: Uint8Array): boolean;
  /** A copy of all that is there throughout. */
  hashScan(hash: number): [key: Buffer, value: Buffer][];
  hashCount(hash: number): number;

  // LWLocks (lwlock.h). Who holds what is not kept here: release what you hold before end().
  tryLock(...lock: [...Place, mode: LockMode]): boolean;
  /** -1: acquired. -2: this process waits for too much. Else the number of the wait. */
  beginLock(...lock: [...Place, mode: LockMode]): number;
  /** true: it is held, and the number is free. */
  isGranted(wait: number): boolean;
  /** true: it had been granted, and was released. */
  cancelLock(wait: number): boolean;
  /** Blocks, uninterruptibly. true: without having waited. */
  acquireLock(...lock: [...Place, mode: LockMode]): boolean;
  /** By a holder, which is asserted as far as the word tells. */
  releaseLock(...lock: [...Place, mode: LockMode]): void;

  // Condition variables (condition_variable.h): 16 bytes, zero at first.
  /** -2: this process waits for too much. Else the number of the wait. */
  beginCondition(...condition: Place): number;
  /** true: woken once; it waits on, and looks at its condition now. */
  takeWake(wait: number): boolean;
  /** true: it had been woken and did not know. */
  cancelCondition(wait: number): boolean;
  signalCondition(...condition: Place): void;
  broadcastCondition(...condition: Place): void;
  /** Blocks; one condition variable at a time, until endSleep(). */
  sleepOnCondition(
    buffer: ArrayBuffer,
    byteOffset: number,
    timeoutMs?: number,
  ): 'satisfied' | 'timedOut' | 'interrupted' | 'postmasterDied';
  endSleep(): boolean;

  // Barriers (barrier.h): 40 bytes, zero at first.
  initBarrier(buffer: ArrayBuffer, byteOffset: number, participants: number): void;
  /** Dynamic barriers only, as the next three. Gives the phase. */
  attachBarrier(...barrier: Place): number;
  /** `arrivedIn`: the phase of an arrival whose end is not known; it is taken back. */
  detachBarrier(...barrier: [...Place, arrivedIn?: number]): boolean;
  arriveAndDetach(...barrier: [...Place, arrivedIn?: number]): boolean;
  arriveAndDetachExceptLast(...barrier: [...Place, arrivedIn?: number]): boolean;
  barrierState(...barrier: Place): { phase: number; participants: number; isStatic: boolean };
  /** -1: released at once, and elected. -2: not arrived. Else the number of the wait. */
  beginArrival(...barrier: Place): number;
  /** Anything but 'waiting' frees the number. */
  arrivalState(wait: number): 'waiting' | 'elected' | 'notElected';
  /** Waits no longer, and has arrived all the same. */
  forgetArrival(wait: number): void;
  arriveAndWait(...barrier: Place): 'elected' | 'notElected' | 'interrupted' | 'postmasterDied';
}

type LockMode = 'shared' | 'exclusive';
