// shared_error.h: what shared memory refuses, as JavaScript errors.
//
// A refusal becomes an Error whose message is its sentence and whose `code` is ERR_SHMEM_ and its
// name; the failure of a system call becomes what it always does.

#pragma once

#include <napi.h>

#include "core/base/result.h"

namespace bgworker {

/** Throws and returns undefined, so that a verb can `return throwSharedError(...)`. */
Napi::Value throwSharedError(Napi::Env env, const SystemError& error);
Napi::Value throwSharedIfFailed(Napi::Env env, const Status& status);
/** In place of what JavaScript has thrown because it has no ArrayBuffer of this size. */
void throwTooLarge(Napi::Env env);
/** For what the addon itself refuses. */
Napi::Value throwSharedCode(Napi::Env env, const char* code, const char* sentence);

}  // namespace bgworker
