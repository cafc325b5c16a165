#include "core/sync/barrier.h"

namespace bgworker::barrier {
namespace {

uint32_t get(const std::atomic<uint32_t>& field) { return field.load(std::memory_order_relaxed); }
void set(std::atomic<uint32_t>& field, uint32_t value) {
  field.store(value, std::memory_order_relaxed);
}

/** Under the lock. */
void nextPhase(SharedBarrier& barrier) {
  set(barrier.arrived, 0);
  set(barrier.phase, get(barrier.phase) + 1);
}

/** Under the lock: one participant less, and its arrival, if it has arrived in this phase. */
void removeOne(SharedBarrier& barrier, ArrivedIn arrivedIn) {
  PM_ASSERT(get(barrier.participants) > 0, "who detaches from a barrier is attached");
  set(barrier.participants, get(barrier.participants) - 1);
  if (arrivedIn != get(barrier.phase)) return;
  PM_ASSERT(get(barrier.arrived) > 0, "who takes its arrival back has arrived");
  set(barrier.arrived, get(barrier.arrived) - 1);
}

bool leave(ThisProcess& self, SharedBarrier& barrier, bool arrive, ArrivedIn arrivedIn) {
  PM_ASSERT(get(barrier.isStatic) == 0, "nobody detaches from a static barrier");
  bool release, last;
  {
    SpinGuard guard(barrier.lock);
    removeOne(barrier, arrivedIn);
    last = get(barrier.participants) == 0;
    release = (arrive || !last) && get(barrier.arrived) == get(barrier.participants);
    if (release) nextPhase(barrier);
  }
  if (release) broadcast(self, barrier.advanced);
  return last;
}

}  // namespace

void init(SharedBarrier& barrier, uint32_t participants) {
  set(barrier.phase, 0);
  set(barrier.arrived, 0);
  set(barrier.elected, 0);
  set(barrier.participants, participants);
  set(barrier.isStatic, participants > 0 ? 1 : 0);
}

uint32_t attach(SharedBarrier& barrier) {
  PM_ASSERT(get(barrier.isStatic) == 0, "nobody attaches to a static barrier");
  SpinGuard guard(barrier.lock);
  set(barrier.participants, get(barrier.participants) + 1);
  return get(barrier.phase);
}

bool detach(ThisProcess& self, SharedBarrier& barrier, ArrivedIn arrivedIn) {
  return leave(self, barrier, false, arrivedIn);
}

bool arriveAndDetach(ThisProcess& self, SharedBarrier& barrier, ArrivedIn arrivedIn) {
  return leave(self, barrier, true, arrivedIn);
}

bool arriveAndDetachExceptLast(ThisProcess& self, SharedBarrier& barrier, ArrivedIn arrivedIn) {
  PM_ASSERT(get(barrier.isStatic) == 0, "nobody detaches from a static barrier");
  bool release = false;
  {
    SpinGuard guard(barrier.lock);
    if (get(barrier.participants) == 1) {
      nextPhase(barrier);
      return true;
    }
    removeOne(barrier, arrivedIn);
    // PostgreSQL leaves those who wait alone, as nobody may; here it is an arrival like others.
    release = get(barrier.arrived) == get(barrier.participants);
    if (release) nextPhase(barrier);
  }
  if (release) broadcast(self, barrier.advanced);
  return false;
}

uint32_t phase(const SharedBarrier& barrier) {
  // Who is attached and has not arrived keeps it from changing; for others it is a hint.
  return barrier.phase.load(std::memory_order_acquire);
}

uint32_t participants(const SharedBarrier& barrier) {
  return barrier.participants.load(std::memory_order_relaxed);
}

Arrival::Begun Arrival::begin(SharedBarrier& barrier, bool blocking) {
  PM_ASSERT(barrier_ == nullptr || released_, "an arrival ends before the next one begins");
  // Queued before it arrives: later there would be no way back if no node were free.
  if (!wait_.begin(barrier.advanced, blocking)) return Begun::noNode;
  barrier_ = &barrier;
  elected_ = false;
  {
    SpinGuard guard(barrier.lock);
    PM_ASSERT(get(barrier.participants) > get(barrier.arrived),
              "who arrives at a barrier is attached and has not arrived yet");
    nextPhase_ = get(barrier.phase) + 1;
    set(barrier.arrived, get(barrier.arrived) + 1);
    released_ = get(barrier.arrived) == get(barrier.participants);
    if (released_) {
      nextPhase(barrier);
      set(barrier.elected, nextPhase_);
      elected_ = true;
    }
  }
  if (!released_) return Begun::waiting;
  wait_.cancel();
  broadcast(self_, barrier.advanced);
  return Begun::released;
}

bool Arrival::isReleased() {
  if (released_) return true;
  // Takes the wake first, then looks: a wake that comes later is for the next look.
  wait_.takeWake();
  {
    SpinGuard guard(barrier_->lock);
    uint32_t now = get(barrier_->phase);
    PM_ASSERT(now == nextPhase_ || now + 1 == nextPhase_,
              "no phase ends while one of its participants waits for the one before");
    released_ = now == nextPhase_;
    if (released_ && get(barrier_->elected) != nextPhase_) {
      set(barrier_->elected, nextPhase_);
      elected_ = true;
    }
  }
  if (released_) wait_.cancel();
  return released_;
}

ArrivedIn Arrival::giveUp() {
  if (barrier_ == nullptr || released_) return {};
  wait_.cancel();
  released_ = true;
  return nextPhase_ - 1;
}

Arrived arriveAndWait(ThisProcess& self, SharedBarrier& barrier, const WaitOptions& options) {
  PM_ASSERT(options.deadlineNs == kForever, "a wait at a barrier has no deadline");
  Arrival arrival(self);
  Arrival::Begun begun = arrival.begin(barrier, true);
  PM_ASSERT(begun != Arrival::Begun::noNode, "a blocking wait finds a wait node");
  if (begun == Arrival::Begun::waiting) {
    switch (self.waitUntil([&arrival] { return arrival.isReleased(); }, options)) {
      case WaitEnd::satisfied:
        break;
      case WaitEnd::interrupted:
        return Arrived::interrupted;
      case WaitEnd::timedOut:
      case WaitEnd::postmasterDied:
        return Arrived::postmasterDied;
    }
  }
  return arrival.elected() ? Arrived::elected : Arrived::notElected;
}

}  // namespace bgworker::barrier
