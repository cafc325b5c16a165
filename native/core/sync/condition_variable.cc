#include "core/sync/condition_variable.h"

namespace bgworker {
namespace {

/** Under cv.lock. */
void wakeFront(const ThisProcess& self, SharedConditionVariable& cv, WakeBatch& batch) {
  WaitList list(self.table(), cv.waiters);
  uint32_t node = list.front();
  list.remove(node);
  setState(self.table().node(node), NodeState::woken);
  batch.add(node);
}

/** Did this waiter come since the broadcast began? It is not asked whether it came before,
 *  because who waits for long has a ticket that others have had again since. */
bool cameSince(const WaitNode& node, uint32_t end, uint32_t now) {
  return node.mode.load(std::memory_order_relaxed) - end < now - end;
}

}  // namespace

void signalOne(const ThisProcess& self, SharedConditionVariable& cv) {
  WakeBatch batch(self);
  SpinGuard guard(cv.lock);
  if (!WaitList(self.table(), cv.waiters).empty()) wakeFront(self, cv, batch);
}

void broadcast(const ThisProcess& self, SharedConditionVariable& cv) {
  WaitList list(self.table(), cv.waiters);
  uint32_t end = 0;
  // The lock is released after each batch: so long lists are no long waits for others.
  for (bool first = true, more = true; more; first = false) {
    WakeBatch batch(self);
    SpinGuard guard(cv.lock);
    const uint32_t now = cv.tickets.load(std::memory_order_relaxed);
    if (first) end = now;
    for (uint32_t woken = 0; woken < WakeBatch::kMax; ++woken) {
      more = !list.empty() && !cameSince(self.table().node(list.front()), end, now);
      if (!more) break;
      wakeFront(self, cv, batch);
    }
  }
}

bool ConditionWait::begin(SharedConditionVariable& cv, bool blocking) {
  PM_ASSERT(cv_ == nullptr, "a wait ends before the next one begins");
  node_ = self_.takeNode(blocking);
  if (node_ == ThisProcess::kNoNode) return false;
  cv_ = &cv;
  SpinGuard guard(cv.lock);
  queue();
  return true;
}

void ConditionWait::queue() {
  WaitNode& node = self_.table().node(node_);
  node.mode.store(cv_->tickets.fetch_add(1, std::memory_order_relaxed), std::memory_order_relaxed);
  setState(node, NodeState::waiting);
  WaitList(self_.table(), cv_->waiters).pushBack(node_);
}

bool ConditionWait::takeWake() {
  PM_ASSERT(cv_ != nullptr, "who takes a wake waits");
  if (stateOf(self_.table().node(node_)) != NodeState::woken) return false;
  FAULT_POINT("cv-woken");
  SpinGuard guard(cv_->lock);
  queue();
  return true;
}

bool ConditionWait::cancel() {
  if (cv_ == nullptr) return false;
  bool woken;
  {
    SpinGuard guard(cv_->lock);
    woken = stateOf(self_.table().node(node_)) == NodeState::woken;
    if (!woken) WaitList(self_.table(), cv_->waiters).remove(node_);
  }
  self_.returnNode(node_);
  cv_ = nullptr;
  return woken;
}

void ConditionSleeper::prepare(SharedConditionVariable& cv) {
  wait_.cancel();
  PM_ASSERT(wait_.begin(cv, true), "a blocking wait finds a wait node");
}

WaitEnd ConditionSleeper::sleep(SharedConditionVariable& cv, const WaitOptions& options) {
  if (wait_.target() != &cv) {
    prepare(cv);
    return WaitEnd::satisfied;
  }
  return self_.waitUntil([this] { return wait_.takeWake(); }, options);
}

}  // namespace bgworker
