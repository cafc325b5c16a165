// process_table.h: what every attached process keeps in shared memory so that others can wake it.
//
// One SharedProcess for each slot. Zeroed memory is a valid table: everybody awake, no latch
// owned, every wait node idle. The table lives in the main area; the locks that use its nodes may
// lie in any segment, for a node is named by a number, never by an address.
//
//  Who writes what, and why nobody needs a lock
//  --------------------------------------------
//  asleep      kAwake, kWatching (the owner's event loop or ppoll looks at its doorbell) or
//              kOnFutex (the owner blocks in FUTEX_WAIT on this very word). Set by the owner before
//              it sleeps, taken back to kAwake by the owner or by the one process that wakes it.
//              Every change is a read-modify-write with acquire and release, and that is the whole
//              proof that no wake-up is lost. All changes of the word stand in one order:
//               - the waker's exchange(0) stands after the owner's: it sees the owner asleep (or
//                 somebody between them did) and rings;
//               - it stands before: the owner's own exchange reads it, directly or through other
//                 read-modify-writes, and so acquires what the waker wrote before. The owner looks
//                 at its conditions after that exchange, and finds what the waker did.
//              A plain store would break the chain. For the same reason nobody needs a fence.
//
//  latch       the process latch, a word as latch.h describes it. Owned by the slot's process.
//
//  nodes       the owner takes and returns its nodes by a list of its own memory; whether a node is
//              in use is nobody else's business. While a node is in a wait list, its fields belong
//              to the holder of that list's spinlock, but for
//  node.state  which the owner may read at any time (acquire; pairs with the release of who wakes
//              it). Whoever sets it to a state that ends the wait does not touch the node again:
//              from then on it is the owner's.
//  node.mode   what the primitive wants to know of the waiter: the lock mode, a ticket.
//  next, prev  number of a node + 1; 0 for none.
//
// Nothing here is believed: a slot or node number read from shared memory is compared with our own
// count of slots each time, and each walk along a list is bounded by the count of nodes.
//
// Contract with JavaScript (Int32Array over the table): slot p starts at index p * 272; asleep is
// index + 0, latch is index + 1. To wake p: if Atomics.exchange(asleep, 0) is not 0, call
// ThisProcess::ring(p, thatValue).

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "core/base/assert.h"

namespace bgworker {

inline constexpr uint32_t kNodesPerSlot = 64;

// Values of SharedProcess::asleep.
inline constexpr uint32_t kAwake = 0;
inline constexpr uint32_t kWatching = 1;
inline constexpr uint32_t kOnFutex = 2;

enum class NodeState : uint32_t {
  idle = 0,
  waiting = 1,
  woken = 2,    // look again
  granted = 3,  // what was waited for is yours
};

struct WaitNode {
  std::atomic<uint32_t> state; /* NodeState; see above */
  std::atomic<uint32_t> mode;  /* under the list's spinlock */
  std::atomic<uint32_t> next;  /* under the list's spinlock */
  std::atomic<uint32_t> prev;  /* under the list's spinlock */
};
static_assert(sizeof(WaitNode) == 16, "the layout is a contract between processes");

/** The first line is touched by every waker; the nodes by those who wait for the same lock. */
struct alignas(64) SharedProcess {
  std::atomic<uint32_t> asleep; /* read-modify-writes only, by anyone; set by the owner */
  std::atomic<uint32_t> latch;  /* see latch.h */
  uint32_t unused[14];
  WaitNode nodes[kNodesPerSlot];
};
static_assert(sizeof(SharedProcess) == 64 + kNodesPerSlot * sizeof(WaitNode) &&
                  sizeof(SharedProcess) == 272 * 4 && offsetof(SharedProcess, asleep) == 0 &&
                  offsetof(SharedProcess, latch) == 4 && offsetof(SharedProcess, nodes) == 64,
              "the layout is a contract between processes and with JavaScript");
static_assert(std::is_standard_layout_v<SharedProcess> &&
                  std::is_trivially_destructible_v<SharedProcess> &&
                  std::atomic<uint32_t>::is_always_lock_free,
              "shared memory holds plain data, and no lock that is private to a process");

/** A view; copied freely. Every verb asserts that its number is below our own copy of the count. */
class ProcessTable {
 public:
  /** `memory`: bytesFor(slotCount) bytes on a cache line; zeroed before the first use. */
  ProcessTable(void* memory, uint32_t slotCount)
      : first_(static_cast<SharedProcess*>(memory)), slotCount_(slotCount) {
    PM_ASSERT(reinterpret_cast<uintptr_t>(memory) % alignof(SharedProcess) == 0,
              "a process table starts on a cache line");
    PM_ASSERT(slotCount >= 1 && slotCount <= 262144, "a process table has 1 to 262144 slots");
  }

  static constexpr size_t bytesFor(uint32_t slotCount) {
    return static_cast<size_t>(slotCount) * sizeof(SharedProcess);
  }

  uint32_t slotCount() const { return slotCount_; }
  uint32_t nodeCount() const { return slotCount_ * kNodesPerSlot; }
  SharedProcess& at(uint32_t slot) const {
    PM_ASSERT(slot < slotCount_, "a slot number is below our own copy of slotCount");
    return first_[slot];
  }
  WaitNode& node(uint32_t number) const {
    PM_ASSERT(number < nodeCount(), "a wait node's number is below our own count of nodes");
    return first_[slotOf(number)].nodes[number % kNodesPerSlot];
  }
  static constexpr uint32_t slotOf(uint32_t node) { return node / kNodesPerSlot; }

 private:
  SharedProcess* first_;
  uint32_t slotCount_;
};

}  // namespace bgworker
