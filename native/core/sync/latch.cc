#include "core/sync/latch.h"

namespace bgworker {

bool ownLatch(std::atomic<uint32_t>& word, uint32_t slot) {
  uint32_t old = word.load(std::memory_order_relaxed);
  do {
    if ((old & kLatchOwner) != 0) return false;
  } while (!word.compare_exchange_weak(old, (old & kLatchSet) | (slot + 1),
                                       std::memory_order_acq_rel, std::memory_order_relaxed));
  return true;
}

void disownLatch(std::atomic<uint32_t>& word) {
  word.fetch_and(kLatchSet, std::memory_order_acq_rel);
}

void setLatch(const ThisProcess& self, std::atomic<uint32_t>& word) {
  uint32_t old = word.fetch_or(kLatchSet, std::memory_order_acq_rel);
  FAULT_POINT("latch-set");
  // Set already: who set it wakes the owner, or has.
  if ((old & kLatchSet) != 0 || old == 0) return;
  self.wake((old & kLatchOwner) - 1);
}

WaitEnd waitLatch(ThisProcess& self, std::atomic<uint32_t>& word, const WaitOptions& options) {
  PM_ASSERT(ownsLatch(self, word), "a process waits on its own latches only");
  return self.waitUntil([&word] { return latchIsSet(word); }, options);
}

}  // namespace bgworker
