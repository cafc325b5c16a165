// condition_variable.h: to wait, interruptibly, until somebody says that something has changed.
//
//     ConditionSleeper sleeper(self);
//     sleeper.prepare(cv);                       // optional, and saves one turn of the loop
//     while (!condition()) {
//       if (sleeper.sleep(cv, options) != WaitEnd::satisfied) break;
//     }
//     sleeper.cancel();
//
// The condition is something else in shared memory, with a lock of its own. A waiter stands in the
// list from prepare() to cancel(): each wake that it takes puts it back, at the end, before it
// looks at the condition, so none is lost in between. Zeroed memory is a condition variable.
//
//  lock       held for a few instructions by who waits, wakes or cancels
//  waiters    under lock; the oldest first
//  tickets    under lock; the number that the next waiter gets; wraps. A broadcast wakes those who
//             came before it began, and not those that went to sleep again meanwhile: a ticket
//             that was given since lies between its first look at tickets and the present one.

#pragma once

#include <atomic>
#include <cstdint>

#include "core/sync/spinlock.h"
#include "core/sync/this_process.h"
#include "core/sync/wait_list.h"

namespace bgworker {

struct SharedConditionVariable {
  SharedSpinlock lock;
  SharedWaitList waiters;        /* under lock */
  std::atomic<uint32_t> tickets; /* under lock */
};
static_assert(sizeof(SharedConditionVariable) == 16, "the layout is a contract between processes");

/** Wakes the oldest waiter, if there is one. */
void signalOne(const ThisProcess& self, SharedConditionVariable& cv);
/** Wakes all who wait at this moment. */
void broadcast(const ThisProcess& self, SharedConditionVariable& cv);

/** A place in one list; the form that does not block. An event loop may have many. Local. */
class ConditionWait {
 public:
  explicit ConditionWait(ThisProcess& self) : self_(self) {}
  ~ConditionWait() { cancel(); }
  ConditionWait(const ConditionWait&) = delete;
  ConditionWait& operator=(const ConditionWait&) = delete;

  /** Queues. false: this process waits for too many things at once. */
  [[nodiscard]] bool begin(SharedConditionVariable& cv, bool blocking = false);
  /** true: it was woken, once; it stands at the end of the list again, and looks at its
   *  condition now. */
  bool takeWake();
  /** Leaves the list. true: it had been woken and did not know yet, so the caller may want to
   *  pass that on to another (signalOne). Nothing if it does not wait. */
  bool cancel();
  SharedConditionVariable* target() const { return cv_; }

 private:
  void queue();

  ThisProcess& self_;
  SharedConditionVariable* cv_ = nullptr;
  uint32_t node_ = 0;
};

/** PostgreSQL's verbs, which block: one condition variable at a time. */
class ConditionSleeper {
 public:
  explicit ConditionSleeper(ThisProcess& self) : self_(self), wait_(self) {}

  /** Cancels what was prepared before. */
  void prepare(SharedConditionVariable& cv);
  /** Without prepare() it prepares, and returns at once: look at the condition again. Whatever it
   *  returns, the process waits on until cancel(). */
  WaitEnd sleep(SharedConditionVariable& cv, const WaitOptions& options);
  bool cancel() { return wait_.cancel(); }
  /** Null if it does not wait. */
  SharedConditionVariable* target() const { return wait_.target(); }

 private:
  ThisProcess& self_;
  ConditionWait wait_;
};

}  // namespace bgworker
