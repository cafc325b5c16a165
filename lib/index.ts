// index.ts: what users of the package import. Everything else is the library's own.

export { BgworkerError, type ErrorCode } from './errors.ts';
export type { Logger, LogOptions } from './log.ts';
export type { Exit, ExitCause } from './model/exit.ts';
export type { Phase, StartTime } from './model/phase.ts';
export type { Body, Registration, WorkerFlag } from './model/registration.ts';
export type { ShutdownMode } from './model/state.ts';
export type { Attachment, ResourceUsage } from './native.ts';
export { Postmaster, type PostmasterEvents } from './postmaster.ts';
export type { PreloadServer, PreloadSharedMemory } from './preload/preload.ts';
export type {
  EmbeddedPostgres,
  FollowedPostgres,
  PostmasterConfig,
  PostmasterOptions,
} from './register/options.ts';
export type { BackgroundWorker, ConnectOptions } from './run/background-worker.ts';
export type { StartupHook } from './run/initialize-memory.ts';
export type { Latch, WaitOptions, WaitResult } from './run/latch.ts';
export type { SignalHandler } from './run/signals.ts';
export type { BackgroundWorkerOptions, WorkerBody, WorkerMain } from './run/worker-options.ts';
export type { WorkerInfo } from './worker-info.ts';
