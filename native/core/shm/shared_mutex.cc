#include "core/shm/shared_mutex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <ctime>

#include "core/shm/refusal.h"

namespace bgworker {
namespace {

constexpr uint32_t kFree = 0, kHeld = 1, kHeldWithSleepers = 2;

// About as long as the few instructions that a holder needs; sleeping costs a hundred times that.
constexpr int kSpins = 100;
constexpr int64_t kNsPerMs = 1'000'000, kNsPerSecond = 1'000'000'000;

std::atomic<int64_t> patienceNs{60 * kNsPerSecond};

int64_t nowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * kNsPerSecond + now.tv_nsec;
}

long futex(const std::atomic<uint32_t>& word, int operation, uint32_t value,
           const timespec* timeout) {
  // Not FUTEX_PRIVATE: the sleeper may be another process with the word at another address.
  return syscall(SYS_futex, &word, operation, value, timeout, nullptr, 0);
}

}  // namespace

void setSharedPatienceMs(int64_t milliseconds) {
  patienceNs.store(milliseconds * kNsPerMs, std::memory_order_relaxed);
}

int64_t patienceEndsNs() { return nowNs() + patienceNs.load(std::memory_order_relaxed); }

bool sleepOnWord(const std::atomic<uint32_t>& word, uint32_t seen, int64_t endsNs) {
  int64_t leftNs = endsNs - nowNs();
  if (leftNs <= 0) return false;
  timespec left{static_cast<time_t>(leftNs / kNsPerSecond),
                static_cast<long>(leftNs % kNsPerSecond)};
  // Every outcome leads to another look: woken, changed before we slept, interrupted, too late.
  futex(word, FUTEX_WAIT, seen, &left);
  return true;
}

void wakeSleepers(const std::atomic<uint32_t>& word, int count) {
  futex(word, FUTEX_WAKE, static_cast<uint32_t>(count), nullptr);
}

Status SharedMutex::lock() {
  uint32_t seen = kFree;
  for (int spin = 0; spin < kSpins; ++spin) {
    seen = kFree;
    if (word_.compare_exchange_strong(seen, kHeld, std::memory_order_acquire)) return {};
    if (seen > kHeldWithSleepers) return refuse(Refusal::corrupt);
  }
  const int64_t endsNs = patienceEndsNs();
  for (;;) {
    // Whoever has been here may not be the last sleeper, so he takes the lock as "with sleepers".
    seen = word_.load(std::memory_order_relaxed);
    if (seen > kHeldWithSleepers) return refuse(Refusal::corrupt);
    if (seen != kHeldWithSleepers &&
        !word_.compare_exchange_strong(seen, kHeldWithSleepers, std::memory_order_acquire)) {
      continue;
    }
    if (seen == kFree) return {};
    if (!sleepOnWord(word_, kHeldWithSleepers, endsNs)) return refuse(Refusal::lockStuck);
  }
}

void SharedMutex::unlock() {
  if (word_.exchange(kFree, std::memory_order_release) == kHeldWithSleepers) wakeSleepers(word_, 1);
}

}  // namespace bgworker
