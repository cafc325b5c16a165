// latch.h: the wait for a latch, which api->wait() is, too.

#pragma once

#include <atomic>
#include <cstdint>

#include "core/face/holdings.h"

namespace bgworker::face {

/** The bits of include/bgworker.h. The latch is the process's own; it stays set. */
unsigned waitForLatch(Holdings& holdings, std::atomic<uint32_t>& word, int64_t timeoutMs);

}  // namespace bgworker::face
