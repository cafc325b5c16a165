#include "core/sync/lwlock.h"

namespace bgworker::lwlock {
namespace {

bool conflicts(uint32_t state, Mode mode) {
  return (state & (mode == Mode::shared ? kExclusive : kHolders)) != 0;
}

uint32_t holding(Mode mode) { return mode == Mode::shared ? 1 : kExclusive; }

/** One process may hold it shared more than once, so this can happen; nobody is to have it then. */
void checkRoom(uint32_t state, Mode mode, uint32_t added) {
  PM_ASSERT(mode == Mode::exclusive || added <= kSharedMask - (state & kSharedMask),
            "a lock is shared by 262143 holders at most");
}

Mode modeOf(const WaitNode& node) {
  return static_cast<Mode>(node.mode.load(std::memory_order_relaxed));
}

/** Puts `added` holders into the state, if there is room for one of this mode. */
bool take(SharedLwlock& lock, Mode mode, uint32_t added, uint32_t cleared) {
  uint32_t state = lock.state.load(std::memory_order_relaxed);
  do {
    if (conflicts(state, mode)) return false;
    checkRoom(state, mode, added);
    // Acquire: pairs with the release in release() and in its JavaScript twin.
  } while (!lock.state.compare_exchange_weak(state, (state & ~cleared) + added,
                                             std::memory_order_acquire, std::memory_order_relaxed));
  return true;
}

void removeWaiter(const ThisProcess& self, SharedLwlock& lock, uint32_t node) {
  WaitList list(self.table(), lock.waiters);
  list.remove(node);
  if (list.empty()) lock.state.fetch_and(~(kHasWaiters | kHandoff | kWaking));
}

/** Ends the waits of those that only want to know that the lock is, or was, free. They stand before
 *  all others. Under listLock, as all that follows. */
void tellFree(const ThisProcess& self, SharedLwlock& lock, WakeBatch& batch) {
  WaitList list(self.table(), lock.waiters);
  WalkBound bound(self.table());
  while (!list.empty() && modeOf(self.table().node(list.front())) == Mode::untilFree) {
    bound.step();
    uint32_t node = list.front();
    removeWaiter(self, lock, node);
    setState(self.table().node(node), NodeState::granted);
    batch.add(node);
  }
}

uint32_t firstWaiter(const ThisProcess& self, SharedLwlock& lock) {
  WaitList list(self.table(), lock.waiters);
  WalkBound bound(self.table());
  uint32_t node = list.front();
  while (node != WaitList::kNone && modeOf(self.table().node(node)) == Mode::untilFree) {
    bound.step();
    node = list.after(node);
  }
  return node;
}

/** Visits the waiters whose turn it is: the first, and if that is shared, all shared ones. The
 *  visitor may remove the node it is given. */
template <typename Visit>
void forFirstGroup(const ThisProcess& self, SharedLwlock& lock, Visit visit) {
  WaitList list(self.table(), lock.waiters);
  WalkBound bound(self.table());
  uint32_t node = firstWaiter(self, lock);
  if (node == WaitList::kNone) return;
  if (modeOf(self.table().node(node)) == Mode::exclusive) {
    visit(node);
    return;
  }
  while (node != WaitList::kNone) {
    bound.step();
    uint32_t next = list.after(node);
    if (modeOf(self.table().node(node)) == Mode::shared) visit(node);
    node = next;
  }
}

/** With HANDOFF: gives the lock to the first group, if it is free for it. If it is not, its holder
 *  will come here, for it sees HANDOFF. */
void handOff(const ThisProcess& self, SharedLwlock& lock, WakeBatch& batch) {
  uint32_t first = firstWaiter(self, lock);
  if (first == WaitList::kNone) return;
  Mode mode = modeOf(self.table().node(first));
  uint32_t count = 0;
  forFirstGroup(self, lock, [&count](uint32_t) { ++count; });
  if (!take(lock, mode, count * holding(mode), kHandoff | kWaking)) return;
  lock.bypassed.store(0, std::memory_order_relaxed);
  forFirstGroup(self, lock, [&](uint32_t node) {
    removeWaiter(self, lock, node);
    setState(self.table().node(node), NodeState::granted);
    batch.add(node);
  });
}

/** Tells the first group to try. */
void wakeFirst(const ThisProcess& self, SharedLwlock& lock, WakeBatch& batch) {
  bool any = false;
  forFirstGroup(self, lock, [&](uint32_t node) {
    any = true;
    if (stateOf(self.table().node(node)) == NodeState::woken) return;
    setState(self.table().node(node), NodeState::woken);
    batch.add(node);
  });
  // Under listLock, without which no woken waiter can clear it: so it is cleared after this.
  if (any) lock.state.fetch_or(kWaking);
}

void serve(const ThisProcess& self, SharedLwlock& lock, WakeBatch& batch) {
  if ((lock.state.load(std::memory_order_relaxed) & kHandoff) != 0) {
    handOff(self, lock, batch);
  } else {
    wakeFirst(self, lock, batch);
  }
}

/** What the releaser does when he leaves a free lock that somebody waits for. */
void wakeAfterRelease(const ThisProcess& self, SharedLwlock& lock) {
  WakeBatch batch(self);
  SpinGuard guard(lock.listLock);
  tellFree(self, lock, batch);
  serve(self, lock, batch);
}

/** A waiter whose node is in the list tries. Under listLock. */
bool tryFromList(ThisProcess& self, Wait& wait, WakeBatch& batch) {
  SharedLwlock& lock = *wait.lock;
  WaitNode& node = self.table().node(wait.node);
  if ((lock.state.load(std::memory_order_relaxed) & kHandoff) == 0) {
    if (take(lock, wait.mode, holding(wait.mode), 0)) {
      removeWaiter(self, lock, wait.node);
      return true;
    }
    if (wait.failures++ < kPatience) return false;
    lock.state.fetch_or(kHandoff);
  }
  handOff(self, lock, batch);
  return stateOf(node) == NodeState::granted;
}

void enqueue(ThisProcess& self, Wait& wait) {
  SharedLwlock& lock = *wait.lock;
  WaitNode& node = self.table().node(wait.node);
  node.mode.store(static_cast<uint32_t>(wait.mode), std::memory_order_relaxed);
  setState(node, NodeState::waiting);
  WaitList list(self.table(), lock.waiters);
  if (wait.mode == Mode::untilFree) {
    list.pushFront(wait.node);
    // Whoever was woken may be long in coming, and this one must hear of the next release.
    lock.state.fetch_and(~kWaking);
  } else {
    list.pushBack(wait.node);
  }
  lock.state.fetch_or(kHasWaiters);
}

/** Waits until the lock is free, or was. The lock was seen held before; `stillHeld` looks again
 *  once a release cannot be missed any more. */
template <typename StillHeld>
WaitEnd sleepUntilFree(ThisProcess& self, SharedLwlock& lock, const WaitOptions& how,
                       StillHeld stillHeld) {
  Wait wait{&lock, Mode::untilFree, self.takeNode(true), 0};
  PM_ASSERT(wait.node != ThisProcess::kNoNode, "a blocking wait finds a wait node");
  WaitNode& node = self.table().node(wait.node);
  WaitEnd end = WaitEnd::satisfied;
  bool held;
  {
    SpinGuard guard(lock.listLock);
    enqueue(self, wait);
    held = stillHeld();
    if (!held) removeWaiter(self, lock, wait.node);
  }
  if (held) {
    end = self.waitUntil([&node] { return stateOf(node) == NodeState::granted; }, how);
    if (end != WaitEnd::satisfied) {
      SpinGuard guard(lock.listLock);
      if (stateOf(node) != NodeState::granted) removeWaiter(self, lock, wait.node);
    }
  }
  self.returnNode(wait.node);
  return end;
}

}  // namespace

bool tryAcquire(SharedLwlock& lock, Mode mode) {
  PM_ASSERT(mode != Mode::untilFree, "a lock is acquired shared or exclusively");
  uint32_t state = lock.state.load(std::memory_order_relaxed);
  uint32_t wanted;
  do {
    bool waiters = (state & kHasWaiters) != 0;
    if (conflicts(state, mode) || (waiters && (state & kHandoff) != 0)) return false;
    checkRoom(state, mode, holding(mode));
    // HANDOFF without waiters is a leftover, which would keep JavaScript off its quick path.
    wanted = (waiters ? state : state & ~kHandoff) + holding(mode);
    // Acquire: pairs with the release in release() and in its JavaScript twin.
  } while (!lock.state.compare_exchange_weak(state, wanted, std::memory_order_acquire,
                                             std::memory_order_relaxed));
  if ((state & kHasWaiters) != 0 &&
      lock.bypassed.fetch_add(1, std::memory_order_relaxed) >= kMaxBypassed) {
    // We hold it: our release, or that of the last who shares it, sees this.
    lock.state.fetch_or(kHandoff);
  }
  return true;
}

Begun begin(ThisProcess& self, SharedLwlock& lock, Mode mode, Wait& wait, bool blocking) {
  if (tryAcquire(lock, mode)) return Begun::acquired;
  uint32_t number = self.takeNode(blocking);
  if (number == ThisProcess::kNoNode) return Begun::noNode;
  wait = {&lock, mode, number, 0};
  bool acquired;
  {
    WakeBatch batch(self);
    SpinGuard guard(lock.listLock);
    enqueue(self, wait);
    acquired = tryFromList(self, wait, batch);
  }
  FAULT_POINT("lwlock-queued");
  if (!acquired) return Begun::waiting;
  self.returnNode(number);
  return Begun::acquired;
}

bool isGranted(ThisProcess& self, Wait& wait) {
  WaitNode& node = self.table().node(wait.node);
  NodeState state = stateOf(node);
  if (state == NodeState::waiting) return false;
  if (state == NodeState::woken) {
    FAULT_POINT("lwlock-woken");
    SharedLwlock& lock = *wait.lock;
    WakeBatch batch(self);
    SpinGuard guard(lock.listLock);
    state = stateOf(node);
    if (state == NodeState::woken) {
      setState(node, NodeState::waiting);
      // Before we try: if that fails, the holder must find that nobody is on his way.
      lock.state.fetch_and(~kWaking);
      if (!tryFromList(self, wait, batch)) return false;
    }
  }
  self.returnNode(wait.node);
  return true;
}

bool cancel(ThisProcess& self, Wait& wait) {
  SharedLwlock& lock = *wait.lock;
  WaitNode& node = self.table().node(wait.node);
  bool granted;
  {
    WakeBatch batch(self);
    SpinGuard guard(lock.listLock);
    NodeState state = stateOf(node);
    granted = state == NodeState::granted;
    if (!granted) {
      removeWaiter(self, lock, wait.node);
      if (state == NodeState::woken) {
        lock.state.fetch_and(~kWaking);
        if ((lock.state.load(std::memory_order_relaxed) & kHolders) == 0) serve(self, lock, batch);
      }
    }
  }
  self.returnNode(wait.node);
  if (granted) release(self, lock, wait.mode);
  return granted;
}

Acquired acquire(ThisProcess& self, SharedLwlock& lock, Mode mode, const WaitOptions& how) {
  Wait wait;
  switch (begin(self, lock, mode, wait, true)) {
    case Begun::acquired:
      return Acquired::atOnce;
    case Begun::noNode:
      PM_ASSERT(false, "a blocking wait finds a wait node");
      return Acquired::postmasterDied;
    case Begun::waiting:
      break;
  }
  WaitEnd end = self.waitUntil([&] { return isGranted(self, wait); }, how);
  if (end == WaitEnd::satisfied) return Acquired::afterWait;
  // Released again if it was granted at the last moment.
  (void)cancel(self, wait);
  return Acquired::postmasterDied;
}

bool acquire(ThisProcess& self, SharedLwlock& lock, Mode mode) {
  return acquire(self, lock, mode, kUninterruptible) == Acquired::atOnce;
}

Acquired acquireOrWait(ThisProcess& self, SharedLwlock& lock, Mode mode, const WaitOptions& how) {
  if (tryAcquire(lock, mode)) return Acquired::atOnce;
  bool acquired = false;
  WaitEnd end = sleepUntilFree(self, lock, how, [&] {
    acquired = take(lock, mode, holding(mode), 0);
    return !acquired;
  });
  if (end != WaitEnd::satisfied) return Acquired::postmasterDied;
  return acquired ? Acquired::atOnce : Acquired::justFree;
}

void release(ThisProcess& self, SharedLwlock& lock, Mode mode) {
  // Release: pairs with the acquire of who takes it next.
  uint32_t old = lock.state.fetch_sub(holding(mode), std::memory_order_release);
  PM_ASSERT((old & (mode == Mode::shared ? kSharedMask : kExclusive)) != 0,
            "a lock is released by who holds it");
  uint32_t left = old - holding(mode);
  if ((left & kHolders) != 0 || (left & kHasWaiters) == 0) return;
  if ((left & kWaking) != 0 && (left & kHandoff) == 0) return;
  FAULT_POINT("lwlock-released");
  wakeAfterRelease(self, lock);
}

bool waitForVar(ThisProcess& self, SharedLwlock& lock, const std::atomic<uint64_t>& variable,
                uint64_t old, uint64_t* now) {
  bool changed = false;
  auto mustWait = [&] {
    // Acquire: pairs with the release of who held it, and with updateVar()'s.
    if ((lock.state.load(std::memory_order_acquire) & kExclusive) == 0) return false;
    uint64_t value = variable.load(std::memory_order_acquire);
    changed = value != old;
    if (changed) *now = value;
    return !changed;
  };
  while (mustWait()) (void)sleepUntilFree(self, lock, kUninterruptible, mustWait);
  return !changed;
}

void updateVar(ThisProcess& self, SharedLwlock& lock, std::atomic<uint64_t>& variable,
               uint64_t value) {
  PM_ASSERT((lock.state.load(std::memory_order_relaxed) & kExclusive) != 0,
            "a lock's variable is changed by its exclusive holder");
  WakeBatch batch(self);
  // Under listLock, under which each waiter looks at it for the last time before it sleeps.
  SpinGuard guard(lock.listLock);
  variable.store(value, std::memory_order_release);
  tellFree(self, lock, batch);
}

void releaseClearVar(ThisProcess& self, SharedLwlock& lock, std::atomic<uint64_t>& variable,
                     uint64_t value) {
  variable.store(value, std::memory_order_release);
  release(self, lock, Mode::exclusive);
}

bool isFree(const SharedLwlock& lock) {
  return (lock.state.load(std::memory_order_relaxed) & kHolders) == 0;
}

}  // namespace bgworker::lwlock
