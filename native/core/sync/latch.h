// latch.h: a one-bit doorbell that lives in shared memory.
//
// Any process may set a latch; only its owner waits on it. Sets fold into one, so after each wake
// the owner looks at all of its work, not at "the" thing that set it.
//
//     for (;;) { resetLatch(latch); do_all_work(); waitLatch(self, latch, options); }
//
// Reset, look, sleep, in that order: resetting last would lose the set that came in between. A
// latch that was set before the wait began ends it at once (it is a level, not an edge).
//
// The word, for all who drive it: bit 31 set, bits 0 to 30 the owner's slot + 1, 0 for nobody.
// Every change is a read-modify-write with acquire and release, so what a setter wrote before it
// set the latch is seen by the owner after it reset it, even if the latch was set already; the
// owner's slot is that of the same moment. Zeroed memory is a latch that nobody owns.
//
// From JavaScript, on an Int32Array: set is old = Atomics.or(words, i, 1 << 31); if old was not
// negative and not 0, wake slot (old & 0x7fffffff) - 1. Reset is Atomics.and(words, i, 0x7fffffff).
// It is set if Atomics.load(words, i) < 0.

#pragma once

#include <atomic>
#include <cstdint>

#include "core/sync/this_process.h"

namespace bgworker {

inline constexpr uint32_t kLatchSet = 1U << 31;
inline constexpr uint32_t kLatchOwner = kLatchSet - 1;

/** A latch anywhere in shared memory; the process latches lie in the process table. */
struct SharedLatch {
  std::atomic<uint32_t> word; /* the set bit by anyone, the owner by the owner */
};
static_assert(sizeof(SharedLatch) == 4, "the layout is a contract between processes");

/** false: somebody owns it already (which PostgreSQL calls a PANIC). Keeps the set bit. */
bool ownLatch(std::atomic<uint32_t>& word, uint32_t slot);
/** By the owner. Others may go on setting it. */
void disownLatch(std::atomic<uint32_t>& word);
inline bool ownsLatch(const ThisProcess& self, const std::atomic<uint32_t>& word) {
  return (word.load(std::memory_order_relaxed) & kLatchOwner) == self.slot() + 1;
}

/** By any process that is attached, also in a signal handler. Nothing if it is set already. */
void setLatch(const ThisProcess& self, std::atomic<uint32_t>& word);
/** By the owner. */
inline void resetLatch(std::atomic<uint32_t>& word) {
  word.fetch_and(kLatchOwner, std::memory_order_acq_rel);
}
inline bool latchIsSet(const std::atomic<uint32_t>& word) {
  return (word.load(std::memory_order_acquire) & kLatchSet) != 0;
}

/** By the owner (PM_ASSERT; whoever lets users choose a latch asks ownsLatch() before). The latch
 *  stays set. A deadline that has passed asks and does not sleep. */
WaitEnd waitLatch(ThisProcess& self, std::atomic<uint32_t>& word, const WaitOptions& options);

}  // namespace bgworker
