// lwlock.h: a lock that is shared or exclusive, in shared memory.
//
// Not reentrant, no upgrade, no deadlock detection, no timeout, and a wait is not interruptible,
// as in PostgreSQL; the postmaster's death may end it. Who may be killed politely while it holds
// one keeps a list (held_locks.h).
//
//  The words, and who may change them
//  ----------------------------------
//  state       by anyone, with read-modify-writes. To acquire is an acquire, to release a release.
//                bits 0-17  how many hold it shared: 262143 at most, one more is a panic
//                bit 24     held exclusively
//                bit 28     WAKING: a waiter was told to try again and has not done so yet; a
//                           release need not tell another
//                bit 29     HAS_WAITERS: the list is not empty (changed under listLock only)
//                bit 30     HANDOFF: newcomers queue; the lock is given to the head of the list,
//                           not left to whoever comes first
//  listLock    held for a few instructions by who waits, wakes or cancels.
//  waiters     under listLock, and so is each change of the state of a node in it.
//  bypassed    how often a newcomer took the lock while others waited for it; a hint, not exact.
//
//  Fairness. The list is first in, first out, and a waiter keeps its place in it until it has the
//  lock. A release wakes the first waiter (if that is a shared one, all other shared ones, too)
//  and lets it try; a newcomer may be faster. That is what makes the lock quick: it is never idle
//  while somebody is being woken. But a waiter that tried kPatience times in vain, or kMaxBypassed
//  newcomers, set HANDOFF, and then the first waiter is next. So each waiter's turn comes.
//
//  Why no wake-up is lost. A waiter sets HAS_WAITERS, under listLock, before it tries for the last
//  time. If that fails, somebody held the lock after HAS_WAITERS was set, and his release sees it.
//  If WAKING keeps him from waking anybody, a woken waiter has yet to clear it, which it does
//  before it tries; if that fails, the same holds of that holder. Who is woken and does not want
//  the lock any more (cancel) clears WAKING and passes it on.
//
//  From JavaScript, on an Int32Array, while nobody waits:
//      exclusive:  Atomics.compareExchange(words, i, 0, 1 << 24) === 0   it is yours
//      release:    Atomics.compareExchange(words, i, 1 << 24, 0) === 1 << 24   done
//      shared:     n = Atomics.load(words, i); if n < (1 << 18) - 1:
//                  Atomics.compareExchange(words, i, n, n + 1) === n     it is yours
//      release:    n = Atomics.load(words, i); if 0 < n < 1 << 18: n to n - 1 likewise
//  In every other case call the verbs below, which continue from whatever is there.

#pragma once

#include <atomic>
#include <cstdint>

#include "core/sync/spinlock.h"
#include "core/sync/this_process.h"
#include "core/sync/wait_list.h"

namespace bgworker {

struct SharedLwlock {
  std::atomic<uint32_t> state;    /* by anyone; see above */
  SharedSpinlock listLock;        /* by who waits, wakes or cancels */
  SharedWaitList waiters;         /* under listLock */
  std::atomic<uint32_t> bypassed; /* by newcomers; reset under listLock */
  uint32_t unused;
};
static_assert(sizeof(SharedLwlock) == 24 && offsetof(SharedLwlock, state) == 0,
              "the layout is a contract between processes and with JavaScript");

/** What arrays of locks are made of. */
struct alignas(64) PaddedLwlock {
  SharedLwlock lock;
};
static_assert(sizeof(PaddedLwlock) == 64, "the layout is a contract between processes");

namespace lwlock {

inline constexpr uint32_t kSharedMask = (1U << 18) - 1;
inline constexpr uint32_t kExclusive = 1U << 24;
inline constexpr uint32_t kWaking = 1U << 28;
inline constexpr uint32_t kHasWaiters = 1U << 29;
inline constexpr uint32_t kHandoff = 1U << 30;
inline constexpr uint32_t kHolders = kExclusive | kSharedMask;

inline constexpr uint32_t kPatience = 4;
inline constexpr uint32_t kMaxBypassed = 1000;

enum class Mode : uint32_t {
  shared = 0,
  exclusive = 1,
  untilFree = 2, /* of waits only: it wants to know when the lock is free, not to have it */
};

/** A wait that does not block. Local, of one process; it must end: granted or cancelled. */
struct Wait {
  SharedLwlock* lock;
  Mode mode;
  uint32_t node;
  uint32_t failures;
};

enum class Begun { acquired, waiting, noNode };

enum class Acquired {
  atOnce,
  afterWait,
  justFree,       /* not acquired: it was waited for until it was free */
  postmasterDied, /* not acquired */
};

/** How to wait: until it is over, or until it is over or the postmaster dies. */
inline constexpr WaitOptions kUninterruptible{.interruptible = false, .postmasterDeath = false};
inline constexpr WaitOptions kUnlessOrphaned{.interruptible = false, .postmasterDeath = true};

/** Without side effects if it fails. */
bool tryAcquire(SharedLwlock& lock, Mode mode);

/** `acquired`: at once, and there is no wait. `noNode`: this process waits for too much already
 *  (never with `blocking`, but for a process that has no use for its nodes). */
Begun begin(ThisProcess& self, SharedLwlock& lock, Mode mode, Wait& wait, bool blocking = false);
/** Asked after each wake. true: the lock is held, and the wait is over. */
bool isGranted(ThisProcess& self, Wait& wait);
/** Ends the wait. true: the lock had been granted, and was released. */
bool cancel(ThisProcess& self, Wait& wait);

/** Blocks. true: without having waited. The lock is held either way. */
bool acquire(ThisProcess& self, SharedLwlock& lock, Mode mode);
/** One of the two ways to wait. Never justFree. */
Acquired acquire(ThisProcess& self, SharedLwlock& lock, Mode mode, const WaitOptions& how);
/** atOnce or justFree. */
Acquired acquireOrWait(ThisProcess& self, SharedLwlock& lock, Mode mode,
                       const WaitOptions& how = kUninterruptible);
/** By a holder, which is asserted as far as the word tells. */
void release(ThisProcess& self, SharedLwlock& lock, Mode mode);

// A variable that the exclusive holder changes and others wait for. It belongs to the lock.

/** true: nobody holds the lock exclusively (shared holders do not count). false: the variable is
 *  not `old` any more, but what `*now` says. */
bool waitForVar(ThisProcess& self, SharedLwlock& lock, const std::atomic<uint64_t>& variable,
                uint64_t old, uint64_t* now);
/** By the exclusive holder. */
void updateVar(ThisProcess& self, SharedLwlock& lock, std::atomic<uint64_t>& variable,
               uint64_t value);
/** By the exclusive holder: sets the variable and releases the lock. */
void releaseClearVar(ThisProcess& self, SharedLwlock& lock, std::atomic<uint64_t>& variable,
                     uint64_t value);

/** For user interfaces; may be outdated when it returns. */
bool isFree(const SharedLwlock& lock);

}  // namespace lwlock
}  // namespace bgworker
