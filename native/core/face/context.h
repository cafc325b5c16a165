// context.h: a native worker at work: what C has as an opaque pointer.
//
// Every verb begins with enter(), which is where a call from another thread, or by a worker without
// shared memory, is found out.

#pragma once

#include <pthread.h>

#include <optional>

#include "core/face/errors.h"
#include "core/face/holdings.h"

namespace bgworker {
struct NativeWorker;
}

struct bgworker_context {
  explicit bgworker_context(const bgworker::NativeWorker& run) : worker(run) {}

  bool isOnItsThread() const { return pthread_equal(pthread_self(), thread) != 0; }

  const bgworker::NativeWorker& worker;
  const pthread_t thread = pthread_self();
  /** None without shared memory. */
  std::optional<bgworker::face::Holdings> holdings{};
};

namespace bgworker::face {

/** 0, and the worker's holdings; or the error to return. */
inline int enter(bgworker_context* context, Holdings** holdings) {
  if (context == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  if (!context->isOnItsThread()) return BGWORKER_ERR_WRONG_THREAD;
  if (!context->holdings.has_value()) return BGWORKER_ERR_NOT_ATTACHED;
  *holdings = &*context->holdings;
  return 0;
}

/** The same for a verb that is about one place in shared memory. */
template <typename T>
int enterAt(bgworker_context* context, const void* address, Holdings** holdings, T** place) {
  if (int refused = enter(context, holdings)) return refused;
  if (address == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  *place = (*holdings)->placeOf<T>(address);
  return *place == nullptr ? BGWORKER_ERR_BAD_PLACE : 0;
}

}  // namespace bgworker::face
