// native.ts: the face of the C++ addon, verb by verb, and the only file that loads it.
//
// native/addon/ implements exactly these names, one small file per class; native/core/ below it
// knows neither Node nor this file. The verbs are thin: they do one thing and decide nothing.
// Descriptors are plain numbers and belong to whoever holds them; every one that the addon hands
// out is close-on-exec.
//
// A system call that fails throws an Error with `code` ('ENOENT'), `errno` and `syscall`, like
// Node's own. A wrong argument throws a TypeError. Numbers in shared memory and in messages are
// checked against the addon's own copies; nothing here trusts them.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** How a process ended: it left with a code, or a signal ended it. */
export type WaitStatus =
  | { readonly kind: 'code'; readonly code: number }
  | { readonly kind: 'signal'; readonly signal: number; readonly coreDumped: boolean };

/** What a child used, from wait4(2). */
export interface ResourceUsage {
  readonly userUs: number;
  readonly systemUs: number;
  readonly maxResidentKb: number;
}

/** What the launcher tells the postmaster. The list is closed. */
export type LauncherReport =
  /** From the launcher's JavaScript, before it enters its loop. */
  | { readonly kind: 'note'; readonly body: Buffer }
  /** The child exists; the receiver owns `pidfd` and closes it. */
  | {
      readonly kind: 'forked';
      readonly childId: number;
      readonly pid: number;
      readonly pidfd: number;
    }
  /** No child came of it; `call` names the step that failed. Nothing else follows for this id. */
  | {
      readonly kind: 'failed';
      readonly childId: number;
      readonly call: string;
      readonly errno: number;
    }
  /** The child was reaped; the rest of its process group was killed first. */
  | {
      readonly kind: 'exited';
      readonly childId: number;
      readonly pid: number;
      readonly status: WaitStatus;
      readonly usage: ResourceUsage;
    };

/** A program that replaces the fork: the launcher's EXEC request. */
export interface ExecRequest {
  /** Looked up in the PATH of `env` if it contains no slash. */
  readonly file: string;
  /** Including argv[0]. */
  readonly args: readonly string[];
  /** 'NAME=value', the whole environment of the program. */
  readonly env: readonly string[];
  readonly cwd: string | null;
  readonly uid: number | null;
  readonly gid: number | null;
  /** PR_SET_PDEATHSIG: what the program gets when the launcher dies. Set after setuid, which clears it. */
  readonly deathSignal: number;
  /** targets[i] is the number that descriptors[i] gets in the program; all others are closed. */
  readonly targets: readonly number[];
  readonly descriptors: readonly number[];
  /** setrlimit(2): resource number, soft and hard limit; Infinity for RLIM_INFINITY. */
  readonly limits: readonly (readonly [resource: number, soft: number, hard: number])[];
}

/** The postmaster's end of the control socket. Holds the event loop open until closed. */
export interface LauncherChannel {
  /** A note for the launcher's JavaScript, which waits for it with receiveNote(). */
  note(body: Uint8Array): void;
  /**
   * Asks for a fork of the warm launcher. `attach`: keep the main area mapped. The payload is
   * opaque; the child finds it, and the descriptors under new numbers, in what launcherLoop()
   * returns. Any length: a long one travels in a memory file.
   */
  fork(childId: number, attach: boolean, payload: Uint8Array, descriptors: readonly number[]): void;
  exec(childId: number, request: ExecRequest): void;
  /** The launcher maps this area in place of the old one, at the same address. */
  replaceArea(area: MainArea): void;
  /** Closes the socket. A launcher in its loop then ends what is left of its children and exits. */
  close(): void;
}

/** What launcherLoop() returns, in a child only. */
export interface ForkedChild {
  readonly childId: number;
  /** Its own, since process.pid is still the launcher's. */
  readonly pid: number;
  readonly payload: Buffer;
  readonly descriptors: readonly number[];
}

/** The pid a slot shows. -1: not started yet; 0: not running; above: the process. */
export type SlotPid = number;

/** The main shared memory: header, slots, process table, directory and tables of segments. */
export interface MainArea {
  readonly descriptor: number;
  /** Of the fixed part, which is what is mapped. */
  readonly bytes: number;
  readonly slotCount: number;
  /** What it was made for; the directory's structures fit in it. */
  readonly structBytes: number;
  /** Postmaster only: the slot is in use by this generation, with this pid. */
  publish(slot: number, generation: bigint, pid: SlotPid): void;
  /** Postmaster only: the slot is free; its generation stays. */
  release(slot: number): void;
  /** Worker only, first thing: arms the dead-man switch. */
  attach(slot: number): void;
  /** Worker only, last thing before it leaves: disarms the dead-man switch. */
  detach(slot: number): void;
  /** Postmaster only: is the dead-man switch of this slot still armed? Disarms it. */
  takeDeadMan(slot: number): boolean;
  /** Anyone attached: what the slot shows. */
  read(slot: number): { inUse: boolean; generation: bigint; pid: SlotPid };
  /** The address of the mapping, for tests that prove it is gone or the same. */
  readonly address: bigint;
  /** Unmaps and closes. Idempotent. */
  close(): void;
}

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
  publishNamed(claim: number): void;
  abandonNamed(claim: number): void;
  listNamed(): { name: string; kind: 'segment' | 'area' | 'hash'; bytes: number | null }[];

  // Hash tables by name (hash.h). Bytes are copied; nothing stays locked.
  /** Once per process. `bytes` is what it may grow to. Gives its number. */
  openHash(name: string, bytes: number, maxKeyBytes: number, maxValueBytes: number): number;
  hashFind(hash: number, key: Uint8Array): Buffer | null;
  /** true: it was not there before. `replace`: what is there gets the value. */
  hashInsert(hash: number, key: Uint8Array, value: Uint8Array, replace: boolean): boolean;
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
  detachBarrier(...barrier: Place): boolean;
  arriveAndDetach(...barrier: Place): boolean;
  arriveAndDetachExceptLast(...barrier: Place): boolean;
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

/** Calls back when a descriptor becomes readable or hangs up. Never holds the event loop open. */
export interface DescriptorWatcher {
  /** Stops watching; the descriptor stays open. Idempotent. */
  close(): void;
}

/** What a native worker's C function gets; see native/include/bgworker.h. */
export interface NativeWorkerRequest {
  readonly library: string;
  readonly function: string;
  readonly name: string;
  readonly arg: Uint8Array;
  /** Readable once the postmaster is dead. */
  readonly deathDescriptor: number;
  /** What the function works with while it runs; null without shared memory. */
  readonly attachment: Attachment | null;
}

export interface Native {
  /** Both ends of a SOCK_SEQPACKET socket pair. */
  channelPair(): [postmasterEnd: number, launcherEnd: number];
  /** pipe2(O_CLOEXEC). */
  pipe(): [readEnd: number, writeEnd: number];
  /** eventfds that do not block, one for each slot. */
  makeDoorbells(count: number): number[];
  LauncherChannel: new (
    descriptor: number,
    onReport: (report: LauncherReport) => void,
    onClose: () => void,
  ) => LauncherChannel;
  /** Owns the doorbells, one for each slot, in order. `deathDescriptor`: the postmaster's end. */
  Attachment: new (
    area: MainArea,
    doorbells: readonly number[],
    slot: number,
    deathDescriptor: number,
  ) => Attachment;
  DescriptorWatcher: new (descriptor: number, onReady: () => void) => DescriptorWatcher;
  MainArea: {
    /** `windowBytes`: the space for dynamic segments, 16 GiB by default; it costs what is used. */
    create(slotCount: number, structBytes?: number, windowBytes?: number): MainArea;
    /** Refuses what is not a main area of this version and size. */
    map(descriptor: number): MainArea;
  };

  /** pidfd_open(2), of an own child that nobody has waited for yet; else it may be another's. */
  openProcess(pid: number): number;
  /** pidfd_send_signal. false: the process (or every one of its group) is gone already. */
  sendSignal(pidfd: number, signal: number, to: 'process' | 'group'): boolean;

  // The launcher's side, before and in its loop.
  startSession(): void;
  setParentDeathSignal(signal: number): void;
  sendNote(descriptor: number, body: Uint8Array): void;
  /** Blocks until the note is there; null once the peer is gone. */
  receiveNote(descriptor: number): Buffer | null;
  /** Blocks until the postmaster has sent the main area; null once it is gone. */
  receiveArea(controlDescriptor: number): MainArea | null;
  /** At most 64, without blocking. false: no room now. Throws EPIPE if the peer is gone. */
  sendDescriptors(descriptor: number, descriptors: readonly number[]): boolean;
  /** One message of sendDescriptors(); blocks; null once the peer is gone. */
  receiveDescriptors(descriptor: number): number[] | null;
  /**
   * The fork loop. Only children return from it; the launcher itself leaves the process in here,
   * when the control socket is closed. `area`: what FORK with attach keeps mapped.
   * `firstDoorbell`: the number of slot 0's doorbell, which those of the others follow; a child
   * that is not attached loses them all.
   */
  launcherLoop(
    controlDescriptor: number,
    area: MainArea | null,
    firstDoorbell?: number,
  ): ForkedChild;

  // A child's side.
  /** What a freshly exec'ed worker needs that a forked one gets in the loop: SIGQUIT, blocked signals. */
  enterExecedChild(): void;
  unblockSignals(): void;
  blockSignals(): void;
  /** _exit(2): no handler, no destructor, no joining of threads that are not there. */
  exitNow(code: number): never;
  /**
   * Loads the library and calls the function on this thread; returns its exit code. By then all its
   * segments are detached. One that calls exit() leaves by process.exit().
   */
  runNativeWorker(request: NativeWorkerRequest): number;

  /** fork() + _exit(0) + wait of this very process, nanoseconds: the limit a start is compared with. */
  rawForkNs(): number;
}

const load = createRequire(import.meta.url)('node-gyp-build') as (directory: string) => Native;

/** The addon: built here if there is a build, else the prebuilt one of this platform. */
export const native: Native = load(fileURLToPath(new URL('..', import.meta.url)));
