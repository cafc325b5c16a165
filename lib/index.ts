// index.ts: what users of the package import. Everything else is the library's own.

export type { BackendInfo } from './backend-info.ts';
export type { BackgroundWorkerHandle, WaitOptions, WorkerStatus } from './dynamic/handle.ts';
export { BgworkerError, type ErrorCode } from './errors.ts';
export type { Logger, LogOptions } from './log.ts';
export type { AllocationInfo, SegmentAllocationInfo, SharedMemoryInfo } from './memory-info.ts';
export type { Refusal } from './model/clients.ts';
export type { Exit, ExitCause } from './model/exit.ts';
export type { ListenAddress } from './model/listening.ts';
export type { Phase, StartTime } from './model/phase.ts';
export type { Body, Registration, WorkerFlag } from './model/registration.ts';
export type { ShutdownMode } from './model/state.ts';
export type { Peer, ResourceUsage } from './native.ts';
export { Postmaster, type PostmasterEvents } from './postmaster.ts';
export type { PreloadServer, PreloadSharedMemory } from './preload/preload.ts';
export type {
  ListenOptions,
  ListenSocketFile,
  ListenSystemd,
  ListenTcp,
} from './register/listen-options.ts';
export type {
  EmbeddedPostgres,
  FollowedPostgres,
  PostmasterConfig,
  PostmasterOptions,
  ServerLossRule,
} from './register/options.ts';
export type { Backend } from './run/backend.ts';
export type { BackendMain, BackendOptions, KeepAliveOptions } from './run/backend-options.ts';
export type { BackgroundWorker } from './run/background-worker.ts';
export type { ConnectOptions } from './run/database-session.ts';
export type { StartupHook, StartupMemory } from './run/initialize-memory.ts';
export type { Latch, LatchWaitOptions, LatchWaitResult } from './run/latch.ts';
export type {
  ParallelFunction,
  ParallelOptions,
  ParallelTask,
} from './run/parallel/parallel-options.ts';
export type { ParallelRun } from './run/parallel/parallel-run.ts';
export type { SignalHandler } from './run/signals.ts';
export type { StartupMain, StartupOptions } from './run/startup-options.ts';
export type { StartupProcess } from './run/startup-process.ts';
export type { NotificationHandler, Subscription } from './run/subscriptions.ts';
export type { IsolationLevel, TransactionBody, TransactionOptions } from './run/transaction.ts';
export type {
  BackgroundWorkerOptions,
  DynamicBackgroundWorkerOptions,
  WorkerBody,
  WorkerMain,
} from './run/worker-options.ts';
export type { ArriveOptions, Barrier, BarrierOptions } from './shared/barrier.ts';
export type { ConditionVariable, ConditionWaitOptions } from './shared/condition-variable.ts';
export type {
  DynamicSharedMemory,
  NamedInfo,
  SegmentInfo,
} from './shared/dynamic-shared-memory.ts';
export type { BytesField, FloatField, IntegerField } from './shared/fields.ts';
export type { HashTable, HashTableOptions } from './shared/hash-table.ts';
export type { SharedLatch } from './shared/latch.ts';
export type { FieldType, ScalarType, StructLayout } from './shared/layout.ts';
export type { AcquireOptions, Held, LockMode, Lwlock } from './shared/lwlock.ts';
export type {
  MessageQueue,
  MessageQueueOptions,
  QueueWaitOptions,
  Received,
  Receiver,
  Sender,
  SendOptions,
  SendResult,
  TryReceived,
} from './shared/message-queue.ts';
export type { SharedNames } from './shared/names.ts';
export type { Placement, Segment, SegmentQueueOptions } from './shared/segment.ts';
export type { Struct } from './shared/struct.ts';
export type { WorkerInfo } from './worker-info.ts';
