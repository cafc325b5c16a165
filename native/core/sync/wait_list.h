// wait_list.h: a queue of wait nodes, first in, first out, in shared memory.
//
// Every verb is called with the spinlock of the list held. Head and tail are node numbers + 1;
// zeroed memory is an empty list. A list that contradicts itself (its neighbours disagree, a number
// is out of range, a walk is longer than there are nodes) is a broken area: the worker that finds
// it panics.

#pragma once

#include <atomic>
#include <cstdint>

#include "core/sync/process_table.h"
#include "core/sync/this_process.h"

namespace bgworker {

struct SharedWaitList {
  std::atomic<uint32_t> head; /* under the list's spinlock */
  std::atomic<uint32_t> tail; /* under the list's spinlock */
};
static_assert(sizeof(SharedWaitList) == 8, "the layout is a contract between processes");

class WaitList {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  WaitList(const ProcessTable& table, SharedWaitList& shared) : table_(table), shared_(shared) {}

  bool empty() const { return get(shared_.head) == 0; }
  uint32_t front() const { return get(shared_.head) - 1; }
  uint32_t after(uint32_t node) const { return get(table_.node(node).next) - 1; }
  void pushBack(uint32_t node);
  void pushFront(uint32_t node);
  void remove(uint32_t node);

 private:
  static uint32_t get(const std::atomic<uint32_t>& field) {
    return field.load(std::memory_order_relaxed);
  }
  static void set(std::atomic<uint32_t>& field, uint32_t value) {
    field.store(value, std::memory_order_relaxed);
  }

  ProcessTable table_;
  SharedWaitList& shared_;
};

/** Bounds a walk: PM_ASSERTs once it has made more steps than there are nodes. */
class WalkBound {
 public:
  explicit WalkBound(const ProcessTable& table) : left_(table.nodeCount()) {}
  void step() {
    PM_ASSERT(left_ > 0, "a wait list has no cycle");
    --left_;
  }

 private:
  uint32_t left_;
};

/** Slots to wake once the spinlock is released: nobody makes system calls under a spinlock, unless
 *  there are very many to wake. */
class WakeBatch {
 public:
  explicit WakeBatch(const ThisProcess& self) : self_(self) {}
  ~WakeBatch() { wakeAll(); }
  WakeBatch(const WakeBatch&) = delete;
  WakeBatch& operator=(const WakeBatch&) = delete;

  void add(uint32_t node) {
    if (count_ == kMax) wakeAll();
    slots_[count_++] = ProcessTable::slotOf(node);
  }
  void wakeAll() {
    for (uint32_t i = 0; i < count_; ++i) self_.wake(slots_[i]);
    count_ = 0;
  }
  static constexpr uint32_t kMax = 64;

 private:
  const ThisProcess& self_;
  uint32_t count_ = 0;
  uint32_t slots_[kMax];
};

inline NodeState stateOf(const WaitNode& node) {
  return static_cast<NodeState>(node.state.load(std::memory_order_acquire));
}
/** Release: pairs with the acquire in stateOf(). */
inline void setState(WaitNode& node, NodeState state) {
  node.state.store(static_cast<uint32_t>(state), std::memory_order_release);
}

}  // namespace bgworker
