// addon.ts: all that the addon exports; native/addon/addon.cc is its table of contents there.

import type { Attachment } from './attachment.ts';
import type { ConnectionVerbs } from './connections.ts';
import type { ForkedChild, LauncherChannel, LauncherReport } from './launcher.ts';
import type { MainArea } from './main-area.ts';

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

/** How long a TCP connection believes in a silent peer; what is 0 or absent is the system's own. */
export interface Keepalive {
  readonly enabled: boolean;
  readonly idleSeconds?: number;
  readonly intervalSeconds?: number;
  readonly count?: number;
  /** For data that is not acknowledged; whether probes are enabled or not. */
  readonly userTimeoutMs?: number;
}

export interface Native extends ConnectionVerbs {
  /** Both ends of a SOCK_SEQPACKET socket pair. */
  channelPair(): [postmasterEnd: number, launcherEnd: number];
  /** pipe2(O_CLOEXEC). */
  pipe(): [readEnd: number, writeEnd: number];
  /** Of a TCP socket. */
  setKeepalive(descriptor: number, keepalive: Keepalive): void;
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

  // The control socket, and the arguments that come over it.
  /** A Unix stream socket, whose file at `path` has this mode from its first moment. */
  listenLocally(path: string, mode: number, backlog: number): number;
  /** memfd_create(2): an empty file without a name, to be written. */
  memoryFile(): number;
  /** Nothing of the memory file can be changed any more, by whoever is given its descriptor. */
  sealFile(descriptor: number): void;

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
