#include "core/sync/held_locks.h"

namespace bgworker {

HeldLocks::Got HeldLocks::acquire(SharedLwlock& lock, lwlock::Mode mode) {
  if (!hasRoom()) return Got::tooMany;
  return keep(lock, mode, lwlock::acquire(self_, lock, mode, lwlock::kUnlessOrphaned));
}

HeldLocks::Got HeldLocks::acquireConditionally(SharedLwlock& lock, lwlock::Mode mode) {
  if (!hasRoom()) return Got::tooMany;
  if (!lwlock::tryAcquire(lock, mode)) return Got::notAcquired;
  add(lock, mode);
  return Got::atOnce;
}

HeldLocks::Got HeldLocks::acquireOrWait(SharedLwlock& lock, lwlock::Mode mode) {
  if (!hasRoom()) return Got::tooMany;
  return keep(lock, mode, lwlock::acquireOrWait(self_, lock, mode, lwlock::kUnlessOrphaned));
}

HeldLocks::Got HeldLocks::keep(SharedLwlock& lock, lwlock::Mode mode, lwlock::Acquired acquired) {
  switch (acquired) {
    case lwlock::Acquired::atOnce:
      add(lock, mode);
      return Got::atOnce;
    case lwlock::Acquired::afterWait:
      add(lock, mode);
      return Got::afterWait;
    case lwlock::Acquired::justFree:
      return Got::notAcquired;
    case lwlock::Acquired::postmasterDied:
      return Got::postmasterDied;
  }
  PM_ASSERT(false, "a lock is acquired in one of four ways");
  return Got::notAcquired;
}

void HeldLocks::add(SharedLwlock& lock, lwlock::Mode mode) {
  PM_ASSERT(hasRoom(), "a place in the list of held locks is kept before a lock is acquired");
  held_[count_++] = {&lock, mode};
}

bool HeldLocks::release(SharedLwlock& lock) {
  uint32_t at = find(lock);
  if (at == count_) return false;
  Held held = forget(at);
  lwlock::release(self_, lock, held.mode);
  return true;
}

bool HeldLocks::releaseClearVar(SharedLwlock& lock, std::atomic<uint64_t>& variable,
                                uint64_t value) {
  uint32_t at = find(lock);
  if (at == count_ || held_[at].mode != lwlock::Mode::exclusive) return false;
  forget(at);
  lwlock::releaseClearVar(self_, lock, variable, value);
  return true;
}

uint32_t HeldLocks::find(const SharedLwlock& lock) const {
  for (uint32_t at = count_; at > 0; --at) {
    if (held_[at - 1].lock == &lock) return at - 1;
  }
  return count_;
}

HeldLocks::Held HeldLocks::forget(uint32_t at) {
  Held held = held_[at];
  --count_;
  for (uint32_t i = at; i < count_; ++i) held_[i] = held_[i + 1];
  return held;
}

}  // namespace bgworker
