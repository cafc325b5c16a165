// errors.ts: the one class of error that this library throws at its callers.
//
// Three kinds of trouble are never mixed. A bug of ours aborts (PM_ASSERT). A mistake of the
// caller throws a BgworkerError at once, whose sentence names the argument, the rule, the value
// and the remedy. What the world refuses (a file, a server, a system call) is a BgworkerError
// too, with the first cause kept in `cause`. The sentences stand in messages.ts files, beside the
// part of the library that they speak of.

/** What went wrong, for programs. The sentence in `message` is for people. */
export type ErrorCode =
  | 'ERR_INVALID_OPTION'
  | 'ERR_INVALID_REGISTRATION'
  | 'ERR_PRELOAD_FAILED'
  | 'ERR_PRELOAD_NOT_QUIET'
  | 'ERR_LAUNCHER_FAILED'
  | 'ERR_DATA_DIRECTORY'
  | 'ERR_LOCK_FILE'
  | 'ERR_LISTEN_FAILED'
  | 'ERR_CONNINFO'
  | 'ERR_NO_DATABASE_CONNECTION'
  | 'ERR_SERVER_UNREACHABLE'
  | 'ERR_SERVER_REFUSED'
  | 'ERR_SERVER_BINARIES'
  | 'ERR_SERVER_FAILED'
  | 'ERR_START_TIMEOUT'
  | 'ERR_STARTUP_FAILED'
  | 'ERR_COMMIT_UNKNOWN'
  | 'ERR_TRANSACTION_ABORTED'
  | 'ERR_WRONG_STATE'
  | 'ERR_CRASHED'
  | 'ERR_SHARED_MEMORY'
  | 'ERR_CONFIG'
  | 'ERR_TOO_MANY_WORKERS'
  | 'ERR_POSTMASTER_DIED'
  | 'ERR_CONTROL_SOCKET'
  | 'ERR_PARALLEL_FAILED'
  | RefusalCode;

/** What shared memory refuses (native/core/shm/refusal.h). */
export type RefusalCode =
  | 'ERR_SHMEM_NAME_EMPTY'
  | 'ERR_SHMEM_NAME_TOO_LONG'
  | 'ERR_SHMEM_NAME_HAS_NUL'
  | 'ERR_SHMEM_SIZE_ZERO'
  | 'ERR_SHMEM_SIZE_TOO_LARGE'
  | 'ERR_SHMEM_ENTRY_SIZE_WRONG'
  | 'ERR_SHMEM_OUT_OF_SPACE'
  | 'ERR_SHMEM_INITIALISED_ABOVE'
  | 'ERR_SHMEM_INITIALISATION_STUCK'
  | 'ERR_SHMEM_FOREIGN'
  | 'ERR_SHMEM_CORRUPT'
  | 'ERR_SHMEM_LOCK_STUCK'
  | 'ERR_SHMEM_TOO_MANY_SEGMENTS'
  | 'ERR_SHMEM_WINDOW_FULL'
  | 'ERR_SHMEM_SEGMENT_GONE'
  | 'ERR_SHMEM_ALREADY_ATTACHED'
  | 'ERR_SHMEM_NOT_ATTACHED'
  | 'ERR_SHMEM_ALREADY_PINNED'
  | 'ERR_SHMEM_NOT_PINNED'
  | 'ERR_SHMEM_UNKNOWN_SEGMENT'
  | 'ERR_SHMEM_KIND_WRONG'
  | 'ERR_SHMEM_SEGMENT_SIZE_WRONG'
  | 'ERR_SHMEM_TOO_MANY_NAMES'
  | 'ERR_SHMEM_HEAP_FULL'
  | 'ERR_SHMEM_BAD_POINTER'
  | 'ERR_SHMEM_KEY_LENGTH'
  | 'ERR_SHMEM_VALUE_LENGTH'
  | 'ERR_SHMEM_PARAMETERS_WRONG'
  | 'ERR_SHMEM_BUSY'
  | 'ERR_SHMEM_BAD_PLACE'
  | 'ERR_SHMEM_LEFT';

export class BgworkerError extends Error {
  override readonly name = 'BgworkerError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
