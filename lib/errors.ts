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
  | 'ERR_CONNINFO'
  | 'ERR_NO_DATABASE_CONNECTION'
  | 'ERR_SERVER_UNREACHABLE'
  | 'ERR_SERVER_REFUSED'
  | 'ERR_SERVER_BINARIES'
  | 'ERR_SERVER_FAILED'
  | 'ERR_START_TIMEOUT'
  | 'ERR_WRONG_STATE'
  | 'ERR_CRASHED'
  | 'ERR_SHARED_MEMORY'
  | 'ERR_CONFIG';

export class BgworkerError extends Error {
  override readonly name = 'BgworkerError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}
