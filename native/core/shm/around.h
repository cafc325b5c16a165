// around.h: whether a place that somebody names lies in memory that we know.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace bgworker {

/** Do all `bytes` at `address` lie in `memory`? Nothing lies in memory that is none. */
inline bool isAround(std::span<const std::byte> memory, const void* address, size_t bytes) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  const auto from = reinterpret_cast<uintptr_t>(memory.data());
  return at >= from && at - from < memory.size() && bytes <= memory.size() - (at - from);
}

}  // namespace bgworker
