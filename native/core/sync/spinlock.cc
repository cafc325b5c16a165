#include "core/sync/spinlock.h"

#include <sched.h>
#include <time.h>

#include "core/sync/relax.h"

namespace bgworker {
namespace {

void sleepUs(uint32_t us) {
  timespec time{};
  time.tv_sec = static_cast<time_t>(us / 1000000);
  time.tv_nsec = static_cast<long>(us % 1000000) * 1000;
  nanosleep(&time, nullptr);
}

/** Different in each process that waits for one lock, so that they do not all look at once. */
uint64_t seed() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_nsec) * 2654435761U + 1;
}

}  // namespace

bool lockSpinlockWithin(SharedSpinlock& lock, const SpinLimits& limits) {
  uint64_t random = 0;
  uint64_t delayUs = 0;
  for (uint32_t sleeps = 0;; ++sleeps) {
    for (uint32_t spin = 0; spin < limits.spins; ++spin) {
      if (trySpinlock(lock)) return true;
      relax();
    }
    if (sleeps < limits.yields) {
      sched_yield();
      continue;
    }
    if (sleeps - limits.yields >= limits.sleeps) return false;
    if (delayUs == 0) {
      random = seed();
      delayUs = limits.minSleepUs;
    }
    sleepUs(static_cast<uint32_t>(delayUs));
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    delayUs += delayUs * (random % 1024) / 1024;
    if (delayUs > limits.maxSleepUs) delayUs = limits.minSleepUs;
  }
}

}  // namespace bgworker
