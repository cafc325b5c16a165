// spinlock.cc: spinlocks (include/bgworker/spinlock.h).

#include "core/face/context.h"
#include "core/face/tables.h"

namespace bgworker::face {
namespace {

static_assert(sizeof(bgworker_spinlock) == sizeof(SharedSpinlock), "a spinlock is as large for C");

int init(bgworker_context* context, bgworker_spinlock* lock) {
  Holdings* held = nullptr;
  SharedSpinlock* shared = nullptr;
  if (int refused = enterAt(context, lock, &held, &shared)) return refused;
  shared->word.store(0);
  return 0;
}

int acquire(bgworker_context* context, bgworker_spinlock* lock) {
  Holdings* held = nullptr;
  SharedSpinlock* shared = nullptr;
  if (int refused = enterAt(context, lock, &held, &shared)) return refused;
  return lockSpinlockWithin(*shared, held->spinLimits) ? 0 : BGWORKER_ERR_LOCK_STUCK;
}

int tryAcquire(bgworker_context* context, bgworker_spinlock* lock) {
  Holdings* held = nullptr;
  SharedSpinlock* shared = nullptr;
  if (int refused = enterAt(context, lock, &held, &shared)) return refused;
  return trySpinlock(*shared) ? 1 : 0;
}

int release(bgworker_context* context, bgworker_spinlock* lock) {
  Holdings* held = nullptr;
  SharedSpinlock* shared = nullptr;
  if (int refused = enterAt(context, lock, &held, &shared)) return refused;
  if (shared->word.load(std::memory_order_relaxed) == 0) return BGWORKER_ERR_LOCK_NOT_HELD;
  unlockSpinlock(*shared);
  return 0;
}

}  // namespace

const bgworker_spinlock_api kSpinlockApi = {init, acquire, tryAcquire, release};

}  // namespace bgworker::face
