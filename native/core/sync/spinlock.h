// spinlock.h: a lock for a few instructions, between which nothing can fail, block or be killed
// politely.
//
// It has no owner and nobody releases it for a process that died: whoever then waits for it finds
// out after about two minutes, and panics, which is a crash cycle. Zeroed memory is a free lock.
//
// From C: the word is a uint32_t, 0 free, 1 taken; see atomics.h.

#pragma once

#include <atomic>
#include <cstdint>

#include "core/base/assert.h"

namespace bgworker {

struct SharedSpinlock {
  std::atomic<uint32_t> word; /* 0 free, 1 taken; exchanged by the taker, cleared by the holder */
};
static_assert(sizeof(SharedSpinlock) == 4, "the layout is a contract between processes");

/** PostgreSQL's numbers. */
struct SpinLimits {
  uint32_t spins = 100;          /* looks before each sleep */
  uint32_t yields = 0;           /* of the sleeps, the first ones only give the processor away */
  uint32_t sleeps = 1000;        /* then the lock is stuck */
  uint32_t minSleepUs = 1000;    /* each sleep is 1 to 2 times the one before; */
  uint32_t maxSleepUs = 1000000; /* above this, from the beginning */
};

/** The locks inside our own primitives are held by a process that was preempted, if at all. */
inline constexpr SpinLimits kInnerSpin{.spins = 100, .yields = 20};

inline bool trySpinlock(SharedSpinlock& lock) {
  // Acquire: pairs with the release in unlockSpinlock().
  return lock.word.load(std::memory_order_relaxed) == 0 &&
         lock.word.exchange(1, std::memory_order_acquire) == 0;
}

/** false: stuck. */
[[nodiscard]] bool lockSpinlockWithin(SharedSpinlock& lock, const SpinLimits& limits);

inline void lockSpinlock(SharedSpinlock& lock, const SpinLimits& limits = {}) {
  if (trySpinlock(lock)) return;
  PM_ASSERT(lockSpinlockWithin(lock, limits), "stuck spinlock detected");
}

inline void unlockSpinlock(SharedSpinlock& lock) { lock.word.store(0, std::memory_order_release); }

/** Holds an inner lock for a scope. */
class SpinGuard {
 public:
  explicit SpinGuard(SharedSpinlock& lock) : lock_(lock) { lockSpinlock(lock, kInnerSpin); }
  ~SpinGuard() { unlockSpinlock(lock_); }
  SpinGuard(const SpinGuard&) = delete;
  SpinGuard& operator=(const SpinGuard&) = delete;

 private:
  SharedSpinlock& lock_;
};

}  // namespace bgworker
