// lwlock.cc: LWLocks (include/bgworker/lwlock.h).

#include <cstring>

#include "core/face/context.h"
#include "core/face/names.h"
#include "core/face/tables.h"

namespace bgworker::face {
namespace {

static_assert(sizeof(bgworker_lwlock) == sizeof(SharedLwlock) &&
                  sizeof(bgworker_padded_lwlock) == sizeof(PaddedLwlock),
              "a lock is as large for C");
static_assert(BGWORKER_MAX_HELD_LWLOCKS == kMaxHeldLocks, "the limit is what the header says");

constexpr uint32_t kMostInGroup = 65536;

int init(bgworker_context* context, bgworker_lwlock* lock) {
  Holdings* held = nullptr;
  SharedLwlock* shared = nullptr;
  if (int refused = enterAt(context, lock, &held, &shared)) return refused;
  if (held->locks.holds(*shared)) return BGWORKER_ERR_LOCK_HELD;
  std::memset(lock, 0, sizeof *lock);
  return 0;
}

/** Zeroes are a free lock. */
int claimLocks(Holdings& held, const char* name, uint32_t count, void** address) {
  return claimThing(held, kLwlockPrefix, name, count * sizeof(PaddedLwlock), nullptr, nullptr,
                    address);
}

int named(bgworker_context* context, const char* name, bgworker_lwlock** lock) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (lock == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  void* address = nullptr;
  const int found = claimLocks(*held, name, 1, &address);
  if (found >= 0) *lock = static_cast<bgworker_lwlock*>(address);
  return found;
}

int namedGroup(bgworker_context* context, const char* name, uint32_t count,
               bgworker_padded_lwlock** first) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (first == nullptr || count < 1 || count > kMostInGroup) return BGWORKER_ERR_INVALID_ARGUMENT;
  void* address = nullptr;
  const int found = claimLocks(*held, name, count, &address);
  if (found >= 0) *first = static_cast<bgworker_padded_lwlock*>(address);
  return found;
}

int asResult(HeldLocks::Got got) {
  switch (got) {
    case HeldLocks::Got::atOnce:
      return 1;
    case HeldLocks::Got::afterWait: /* of acquire() only, of which the other one is none */
    case HeldLocks::Got::notAcquired:
      return 0;
    case HeldLocks::Got::tooMany:
      return BGWORKER_ERR_TOO_MANY_LOCKS;
    case HeldLocks::Got::postmasterDied:
      return BGWORKER_ERR_POSTMASTER_DIED;
  }
  PM_ASSERT(false, "a lock is acquired, or not, in one of five ways");
  return BGWORKER_ERR_CORRUPT;
}

using Acquire = HeldLocks::Got (HeldLocks::*)(SharedLwlock&, lwlock::Mode);

template <Acquire verb>
int acquireBy(bgworker_context* context, bgworker_lwlock* lock, int number) {
  Holdings* held = nullptr;
  SharedLwlock* shared = nullptr;
  if (int refused = enterAt(context, lock, &held, &shared)) return refused;
  if (number != BGWORKER_LW_SHARED && number != BGWORKER_LW_EXCLUSIVE) {
    return BGWORKER_ERR_INVALID_ARGUMENT;
  }
  const auto mode = number == BGWORKER_LW_SHARED ? lwlock::Mode::shared : lwlock::Mode::exclusive;
  // Who holds it already must not wait for it: nobody else would release it.
  const bool mayWait = verb != &HeldLocks::acquireConditionally;
  if (mayWait && held->locks.holds(*shared)) {
    const int got = asResult(held->locks.acquireConditionally(*shared, mode));
    return got == 0 ? BGWORKER_ERR_LOCK_HELD : got;
  }
  return asResult((held->locks.*verb)(*shared, mode));
}

int release(bgworker_context* context, bgworker_lwlock* lock) {
  Holdings* held = nullptr;
  SharedLwlock* shared = nullptr;
  if (int refused = enterAt(context, lock, &held, &shared)) return refused;
  return held->locks.release(*shared) ? 0 : BGWORKER_ERR_LOCK_NOT_HELD;
}

int releaseAll(bgworker_context* context) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  held->locks.releaseAll();
  return 0;
}

int heldByMe(bgworker_context* context, const bgworker_lwlock* lock) {
  Holdings* held = nullptr;
  SharedLwlock* shared = nullptr;
  if (int refused = enterAt(context, lock, &held, &shared)) return refused;
  return held->locks.holds(*shared) ? 1 : 0;
}

}  // namespace

const bgworker_lwlock_api kLwlockApi = {
    init,
    named,
    namedGroup,
    acquireBy<&HeldLocks::acquire>,
    acquireBy<&HeldLocks::acquireConditionally>,
    acquireBy<&HeldLocks::acquireOrWait>,
    release,
    releaseAll,
    heldByMe,
};

}  // namespace bgworker::face
