// shared_read.h: one look at a number that anybody may be changing.
//
// What is checked must be what is used. A plain read of shared memory may be repeated by the
// compiler after the check, when a scribbler has changed it; this one may not.

#pragma once

#include <atomic>
#include <type_traits>

namespace bgworker {

/** For what orders nothing: a number by itself, or one that a lock orders. */
inline constexpr auto kRelaxed = std::memory_order_relaxed;

template <typename T>
  requires std::is_integral_v<T>
T readOnce(const T& field) {
  return __atomic_load_n(&field, __ATOMIC_RELAXED);
}

}  // namespace bgworker
