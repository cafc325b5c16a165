// errors.h: what core refuses, as the numbers of include/bgworker/error.h, and their sentences.

#pragma once

#include "core/base/result.h"
#include "include/bgworker/error.h"

namespace bgworker::face {

/** BGWORKER_ERR_SYSTEM, with errno set, for the failure of a real system call. */
int errorOf(const SystemError& error);
/** 0 if it did not fail. */
inline int errorOf(const Status& status) { return status.ok() ? 0 : errorOf(status.error()); }

/** For any number; those that are no errors have a sentence, too. */
const char* errorText(int error);

}  // namespace bgworker::face
