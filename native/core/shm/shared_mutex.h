// shared_mutex.h: the smallest lock that works between processes: one futex word in shared memory.
//
// Hold it for a few instructions. There is no fairness: whoever comes first after an unlock has
// it, a sleeper may be overtaken. There is no owner and no repair: a process that is killed while
// it holds one leaves it locked, and that is right, since its death starts a crash cycle that
// makes all of this memory anew. The supervisor never takes one.
//
//     Locked locked(header.mutex);
//     if (!locked.ok()) return locked.error();
//
// Locking can fail, because the word lies where any attached process can scribble: a value that is
// none of the three is `corrupt`, and one that stays locked beyond the patience is `lockStuck`
// (PostgreSQL's stuck spinlock, but as a value). So no verb hangs for ever on damaged memory.
// Whoever wants queues, modes and names puts an LWLock behind the same three verbs.
//
//  word  written by everybody: 0 free | 1 locked | 2 locked, and somebody may sleep.
//        The exchange to 1 or 2 is an acquire; it pairs with the release in unlock(): what the
//        last holder wrote is seen by the next. Zero pages are free locks, so nobody initialises
//        one.

#pragma once

#include <atomic>
#include <cstdint>

#include "core/base/result.h"

namespace bgworker {

/** How long lock() and SharedOnce wait before they call it stuck; 60 s unless a test says less. */
void setSharedPatienceMs(int64_t milliseconds);

/** Until when somebody who begins to wait now has patience; in ns of the monotonic clock. */
int64_t patienceEndsNs();
/** Sleeps until `word` may have left `seen`, or patience is over: then false. */
bool sleepOnWord(const std::atomic<uint32_t>& word, uint32_t seen, int64_t endsNs);
void wakeSleepers(const std::atomic<uint32_t>& word, int count);

class SharedMutex {
 public:
  Status lock();
  void unlock();

 private:
  std::atomic<uint32_t> word_;
};
static_assert(sizeof(SharedMutex) == 4, "the layout is a contract between processes");
static_assert(std::atomic<uint32_t>::is_always_lock_free,
              "a lock inside an atomic would be private to each process");

class [[nodiscard]] Locked {
 public:
  explicit Locked(SharedMutex& mutex) : mutex_(mutex), status_(mutex.lock()) {}
  ~Locked() {
    if (status_.ok()) mutex_.unlock();
  }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

  bool ok() const { return status_.ok(); }
  const SystemError& error() const { return status_.error(); }

 private:
  SharedMutex& mutex_;
  Status status_;
};

}  // namespace bgworker
