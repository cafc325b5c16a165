// barrier.h: a place where processes wait for each other, phase by phase.
//
// Static: made for n participants, who are attached from the beginning and stay so. Dynamic: made
// for none; who comes attaches, learns the phase that the others are in, and detaches. A phase ends
// when all who are attached have arrived. Nobody detaches for a process that died: it does so in
// an exit callback, or the others wait for ever.
//
//  lock           held for a few instructions by who changes or reads any of the rest
//  phase          under lock; grows by one, wraps
//  participants   under lock
//  arrived        under lock; how many of them have, in this phase
//  elected        under lock; the phase whose beginning has found its one special participant
//  isStatic       written once, by init
//  advanced       its waiters sleep here

#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "core/sync/condition_variable.h"

namespace bgworker {

struct SharedBarrier {
  SharedSpinlock lock;
  std::atomic<uint32_t> phase;
  std::atomic<uint32_t> participants;
  std::atomic<uint32_t> arrived;
  std::atomic<uint32_t> elected;
  std::atomic<uint32_t> isStatic;
  SharedConditionVariable advanced;
};
static_assert(sizeof(SharedBarrier) == 40, "the layout is a contract between processes");

namespace barrier {

/** Before anyone else can see it. Zeroed memory is a dynamic barrier. */
void init(SharedBarrier& barrier, uint32_t participants);

/** Dynamic only (as are the detaching verbs). Returns the current phase. */
uint32_t attach(SharedBarrier& barrier);

/** In which phase the caller has arrived, if it gave up its wait and knows no more: should that
 *  phase not be over, its arrival goes with it. */
using ArrivedIn = std::optional<uint32_t>;
/** true: the last to leave. May release those who wait; alone, it does not end the phase. */
bool detach(ThisProcess& self, SharedBarrier& barrier, ArrivedIn arrivedIn = {});
/** Arrives and does not wait. true: the last to leave. Alone, it ends the phase. */
bool arriveAndDetach(ThisProcess& self, SharedBarrier& barrier, ArrivedIn arrivedIn = {});
/** Detaches all but the last participant, for whom it returns true, and begins the next phase. */
bool arriveAndDetachExceptLast(ThisProcess& self, SharedBarrier& barrier, ArrivedIn arrivedIn = {});

uint32_t phase(const SharedBarrier& barrier);
uint32_t participants(const SharedBarrier& barrier);

/** Arriving without blocking. To destroy it is to wait no longer, and to have arrived. Local. */
class Arrival {
 public:
  explicit Arrival(ThisProcess& self) : self_(self), wait_(self) {}

  enum class Begun { released, waiting, noNode };
  /** `released`: this was the last to arrive, and is elected. `noNode`: it has not arrived. */
  Begun begin(SharedBarrier& barrier, bool blocking = false);
  /** Asked after each wake. true: the phase is over. */
  bool isReleased();
  /** One in each phase, for which it is true. Known once released. */
  bool elected() const { return elected_; }
  /** Waits no longer. For who leaves the barrier next: what the detaching verb must be told. */
  ArrivedIn giveUp();

 private:
  ThisProcess& self_;
  ConditionWait wait_;
  SharedBarrier* barrier_ = nullptr;
  uint32_t nextPhase_ = 0;
  bool released_ = false;
  bool elected_ = false;
};

enum class Arrived { elected, notElected, interrupted, postmasterDied };

/** Blocks until all have arrived. If the wait ended otherwise, the process has arrived all the
 *  same. `options` without a deadline, for PostgreSQL knows none here. */
Arrived arriveAndWait(ThisProcess& self, SharedBarrier& barrier, const WaitOptions& options);

}  // namespace barrier
}  // namespace bgworker
