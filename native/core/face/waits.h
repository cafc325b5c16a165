// waits.h: how a native worker waits: signals get in while it sleeps, and a shutdown request or the
// postmaster's death ends what can be ended.

#pragma once

#include <cstdint>

#include "core/face/requests.h"
#include "core/sync/this_process.h"
#include "include/bgworker/error.h"

namespace bgworker::face {

/** Negative: no limit. */
inline int64_t deadlineOf(int64_t timeoutMs) {
  return timeoutMs < 0 ? kForever : deadlineInMs(timeoutMs);
}

inline WaitOptions untilDeadline(int64_t deadlineNs) {
  return {.deadlineNs = deadlineNs, .signalMask = nothingBlocked()};
}

/**
 * Calls `wait(options)`, which gives a WaitEnd, until it ends by itself. A signal that asks for
 * nothing does not end it. Once a shutdown is asked for, nobody sleeps here any more.
 * 0: satisfied; 1: timed out; or the error.
 */
template <typename Wait>
int waitOutSignals(int64_t timeoutMs, Wait wait) {
  const int64_t deadlineNs = deadlineOf(timeoutMs);
  for (;;) {
    // What would not sleep has nothing that a shutdown could end. A deadline that has passed looks.
    const bool leaving = timeoutMs != 0 && shutdownRequested();
    switch (wait(untilDeadline(leaving ? 0 : deadlineNs))) {
      case WaitEnd::satisfied:
        return 0;
      case WaitEnd::timedOut:
        return leaving ? BGWORKER_ERR_SHUTDOWN : 1;
      case WaitEnd::interrupted:
        noteSignal();
        continue;
      case WaitEnd::postmasterDied:
        return BGWORKER_ERR_POSTMASTER_DIED;
    }
  }
}

}  // namespace bgworker::face
