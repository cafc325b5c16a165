// this_process.h: the calling process as the others know it, and the one place where it sleeps.
//
// There is one doorbell for a process, whatever it waits for. After each wake it looks at all of
// its conditions, which is why each primitive has a form that does not block ("begin", "is it
// granted?", "cancel") next to its blocking one. An event loop goes:
//
//     loopWatches(true);                                       // once
//     on the doorbell's input, and once at the beginning:
//         consume(); look at everything; prepareToSleep(); look at everything again;
//
// Look again after prepareToSleep(), always: what came before it does not ring. Something that is
// found then needs no stayAwake(): a ring too many is only a turn of the loop.
//
// A blocking wait may swallow a ring that was meant for the loop: it takes the mark away that the
// loop has set, or takes rings back. Then, if the loop watches, it rings its own doorbell when it
// is done.
//
// One object for each slot and process, used by one thread; wake(), wakeWithLatch() and ring() are
// for all threads and for signal handlers. (In the tests, a thread is a process.)

#pragma once

#include <signal.h>

#include <cstdint>

#include "core/base/fault_point.h"
#include "core/sync/doorbells.h"
#include "core/sync/process_table.h"
#include "core/sync/relax.h"

namespace bgworker {

/** CLOCK_MONOTONIC, in nanoseconds. */
int64_t monotonicNs();

inline constexpr int64_t kForever = INT64_MAX;
inline int64_t deadlineInMs(int64_t ms) {
  return ms >= kForever / 2000000 ? kForever : monotonicNs() + ms * 1000000;
}

struct WaitOptions {
  int64_t deadlineNs = kForever;
  const sigset_t* signalMask = nullptr; /* in force only while asleep, as in ppoll(2) */
  bool interruptible = true;            /* a signal handler that ran ends the wait */
  bool postmasterDeath = true;          /* the postmaster's death ends the wait */
  uint32_t spins = 0;                   /* looks at the condition before it sleeps */
};

enum class WaitEnd { satisfied, timedOut, interrupted, postmasterDied };

class ThisProcess {
 public:
  /** Takes the slot: its process latch is owned from now on. `deathPipe`: readable, or at its end,
   *  once the postmaster is gone; -1 for none. Neither is owned. */
  ThisProcess(ProcessTable table, const Doorbells& doorbells, uint32_t slot, int deathPipe = -1);
  ThisProcess(const ThisProcess&) = delete;
  ThisProcess& operator=(const ThisProcess&) = delete;
  /** Gives the slot back. Every wait must have been ended or cancelled. */
  void leave();

  uint32_t slot() const { return slot_; }
  const ProcessTable& table() const { return table_; }
  int doorbell() const { return doorbells_.descriptor(slot_); }
  std::atomic<uint32_t>& latch() const { return table_.at(slot_).latch; }

  // ---- to wake others (or oneself)

  /** What the caller wrote before is seen by the owner when it looks again. No system call unless
   *  it sleeps. */
  void wake(uint32_t slot) const {
    uint32_t asleep = table_.at(slot).asleep.exchange(kAwake, std::memory_order_acq_rel);
    if (asleep != kAwake) ring(slot, asleep);
  }
  /** Sets the process latch, too. Wakes even if the latch was set before, so that who waits for
   *  something else than the latch need not reset it. */
  void wakeWithLatch(uint32_t slot) const;
  /** The system call. `asleep`: what the exchange that took the sleeper's mark gave. */
  void ring(uint32_t slot, uint32_t asleep) const;

  // ---- to sleep

  void loopWatches(bool watches) { loopWatches_ = watches; }
  void prepareToSleep() { own().asleep.exchange(kWatching, std::memory_order_acq_rel); }
  void stayAwake() { own().asleep.exchange(kAwake, std::memory_order_acq_rel); }
  /** After a wake: takes the rings back. */
  void consume() {
    stayAwake();
    doorbells_.drain(slot_);
  }
  /** After prepareToSleep(). `satisfied` means rung, perhaps for nothing. */
  WaitEnd blockUntilWoken(const WaitOptions& options);

  /** Blocks until `holds()`, which is asked again after each wake and may have side effects. */
  template <typename Condition>
  WaitEnd waitUntil(Condition&& holds, const WaitOptions& options) {
    for (uint32_t spin = 0; spin < options.spins; ++spin) {
      if (holds()) return WaitEnd::satisfied;
      relax();
    }
    bool swallows = false;
    WaitEnd end = sleepUntil(holds, options, swallows);
    if (loopWatches_ && swallows) doorbells_.ring(slot_);
    return end;
  }

  // ---- wait nodes

  /** The number of a node of this slot; kNoNode if all are in use. Waits of the event loop leave a
   *  few for the blocking ones, which must not fail for want of a node. */
  uint32_t takeNode(bool blocking);
  void returnNode(uint32_t node);
  static constexpr uint32_t kNoNode = UINT32_MAX;
  static constexpr uint32_t kNodesForBlocking = 4;

 private:
  SharedProcess& own() const { return table_.at(slot_); }
  bool usesFutex(const WaitOptions& options) const {
    return options.signalMask == nullptr && (deathPipe_ < 0 || !options.postmasterDeath);
  }
  WaitEnd pollDoorbell(const WaitOptions& options);
  WaitEnd blockOnFutex(const WaitOptions& options);

  /** `swallows`: it may have taken what was the loop's. */
  template <typename Condition>
  WaitEnd sleepUntil(Condition&& holds, const WaitOptions& options, bool& swallows) {
    const bool futex = usesFutex(options);
    for (bool first = true;; first = false) {
      const uint32_t before =
          own().asleep.exchange(futex ? kOnFutex : kWatching, std::memory_order_acq_rel);
      // Later on it is our own mark; and if somebody took the loop's, he rang.
      if (first && before != kAwake) swallows = true;
      FAULT_POINT("sleep-prepared");
      if (holds()) {
        stayAwake();
        return WaitEnd::satisfied;
      }
      FAULT_POINT("sleep-checked");
      WaitEnd end = futex ? blockOnFutex(options) : pollDoorbell(options);
      stayAwake();
      if (end == WaitEnd::satisfied) {
        if (!futex) swallows = true;
        continue;
      }
      if (end == WaitEnd::interrupted && !options.interruptible) continue;
      // What came at the last moment counts.
      return holds() ? WaitEnd::satisfied : end;
    }
  }

  ProcessTable table_;
  const Doorbells& doorbells_;
  uint32_t slot_;
  int deathPipe_;
  bool loopWatches_ = false;
  uint64_t freeNodes_ = UINT64_MAX; /* a bit for each of the slot's nodes */
  static_assert(kNodesPerSlot == 64, "freeNodes_ has a bit for each");
};

}  // namespace bgworker
