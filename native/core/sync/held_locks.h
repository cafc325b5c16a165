// held_locks.h: the LWLocks that this process holds, so that an error or the exit can release them.
//
// Local memory. Everything that acquires a lock for code that may throw, exit or be told to quit
// goes through this list; locks that JavaScript takes on its quick path are in a list of its own,
// with the same limit. A release looks from the latest backwards, for locks are mostly nested. The
// postmaster's death ends the waits.

#pragma once

#include <cstdint>

#include "core/sync/lwlock.h"

namespace bgworker {

inline constexpr uint32_t kMaxHeldLocks = 200;

class HeldLocks {
 public:
  enum class Got {
    atOnce,
    afterWait,
    notAcquired,    /* somebody else has it, or had it until now */
    tooMany,        /* "too many LWLocks taken" */
    postmasterDied, /* not acquired */
  };

  explicit HeldLocks(ThisProcess& self) : self_(self) {}

  Got acquire(SharedLwlock& lock, lwlock::Mode mode);
  Got acquireConditionally(SharedLwlock& lock, lwlock::Mode mode);
  Got acquireOrWait(SharedLwlock& lock, lwlock::Mode mode);
  /** false: this process does not hold it, and nothing was done. */
  [[nodiscard]] bool release(SharedLwlock& lock);
  [[nodiscard]] bool releaseClearVar(SharedLwlock& lock, std::atomic<uint64_t>& variable,
                                     uint64_t value);
  /** The latest first. What the locks protected may be half changed: that is the caller's worry. */
  void releaseAll() {
    releaseIf([](const SharedLwlock&) { return true; });
  }
  /** The same for those that lie in memory that goes. */
  template <typename Condition>
  void releaseIf(Condition goes) {
    for (uint32_t at = count_; at > 0; --at) {
      if (!goes(*held_[at - 1].lock)) continue;
      const Held held = forget(at - 1);
      lwlock::release(self_, *held.lock, held.mode);
    }
  }

  /** For waits that do not block: a place in the list is kept before, and filled after. */
  [[nodiscard]] bool hasRoom() const { return count_ < kMaxHeldLocks; }
  void add(SharedLwlock& lock, lwlock::Mode mode);

  bool holds(const SharedLwlock& lock) const { return find(lock) < count_; }
  bool holds(const SharedLwlock& lock, lwlock::Mode mode) const {
    uint32_t at = find(lock);
    return at < count_ && held_[at].mode == mode;
  }
  uint32_t count() const { return count_; }

 private:
  struct Held {
    SharedLwlock* lock;
    lwlock::Mode mode;
  };
  Got keep(SharedLwlock& lock, lwlock::Mode mode, lwlock::Acquired acquired);
  /** count_ if it is not there. */
  uint32_t find(const SharedLwlock& lock) const;
  Held forget(uint32_t at);

  ThisProcess& self_;
  uint32_t count_ = 0;
  Held held_[kMaxHeldLocks];
};

}  // namespace bgworker
