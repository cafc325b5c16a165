#include "core/sync/this_process.h"

#include <linux/futex.h>
#include <poll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/sync/latch.h"

namespace bgworker {
namespace {

constexpr int64_t kNsPerSecond = 1000000000;

timespec asTimespec(int64_t ns) {
  timespec time{};
  time.tv_sec = static_cast<time_t>(ns / kNsPerSecond);
  time.tv_nsec = static_cast<long>(ns % kNsPerSecond);
  return time;
}

long futex(std::atomic<uint32_t>& word, int operation, uint32_t value, const timespec* deadline) {
  return syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), operation, value, deadline, nullptr,
                 FUTEX_BITSET_MATCH_ANY);
}

}  // namespace

int64_t monotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * kNsPerSecond + now.tv_nsec;
}

ThisProcess::ThisProcess(ProcessTable table, const Doorbells& doorbells, uint32_t slot,
                         int deathPipe)
    : table_(table), doorbells_(doorbells), slot_(slot), deathPipe_(deathPipe) {
  PM_ASSERT(doorbells.slotCount() == table.slotCount(), "every slot has a doorbell");
  PM_ASSERT(ownLatch(latch(), slot), "the process before in this slot has left it");
  consume();
}

void ThisProcess::leave() {
  PM_ASSERT(freeNodes_ == UINT64_MAX, "a process leaves when it waits for nothing");
  stayAwake();
  disownLatch(latch());
}

void ThisProcess::wakeWithLatch(uint32_t slot) const {
  table_.at(slot).latch.fetch_or(kLatchSet, std::memory_order_acq_rel);
  wake(slot);
}

void ThisProcess::ring(uint32_t slot, uint32_t asleep) const {
  if (asleep != kOnFutex) {
    doorbells_.ring(slot);
    return;
  }
  int kept = errno;
  // Not a private futex: the sleeper is another process.
  futex(table_.at(slot).asleep, FUTEX_WAKE, 1, nullptr);
  errno = kept;
}

WaitEnd ThisProcess::blockUntilWoken(const WaitOptions& options) {
  WaitEnd end = pollDoorbell(options);
  stayAwake();
  return end;
}

WaitEnd ThisProcess::pollDoorbell(const WaitOptions& options) {
  pollfd ready[2] = {{doorbell(), POLLIN, 0}, {deathPipe_, POLLIN, 0}};
  nfds_t count = deathPipe_ >= 0 && options.postmasterDeath ? 2 : 1;
  timespec left{};
  if (options.deadlineNs != kForever) {
    int64_t ns = options.deadlineNs - monotonicNs();
    left = asTimespec(ns > 0 ? ns : 0);
  }
  int got =
      ppoll(ready, count, options.deadlineNs == kForever ? nullptr : &left, options.signalMask);
  if (got < 0) {
    PM_ASSERT(errno == EINTR, "a doorbell can be polled");
    return WaitEnd::interrupted;
  }
  if (got == 0) return WaitEnd::timedOut;
  if (ready[1].revents != 0) return WaitEnd::postmasterDied;
  doorbells_.drain(slot_);
  return WaitEnd::satisfied;
}

WaitEnd ThisProcess::blockOnFutex(const WaitOptions& options) {
  timespec until{};
  bool forever = options.deadlineNs == kForever;
  if (!forever) until = asTimespec(options.deadlineNs > 0 ? options.deadlineNs : 0);
  // The bitset form, for its deadline is absolute, on CLOCK_MONOTONIC.
  long got = futex(own().asleep, FUTEX_WAIT_BITSET, kOnFutex, forever ? nullptr : &until);
  // EAGAIN: woken before we slept.
  if (got == 0 || errno == EAGAIN) return WaitEnd::satisfied;
  return errno == ETIMEDOUT ? WaitEnd::timedOut : WaitEnd::interrupted;
}

uint32_t ThisProcess::takeNode(bool blocking) {
  int free = __builtin_popcountll(freeNodes_);
  if (free <= (blocking ? 0 : static_cast<int>(kNodesForBlocking))) return kNoNode;
  uint32_t index = static_cast<uint32_t>(__builtin_ctzll(freeNodes_));
  freeNodes_ &= freeNodes_ - 1;
  uint32_t node = slot_ * kNodesPerSlot + index;
  PM_ASSERT(table_.node(node).state.load(std::memory_order_relaxed) ==
                static_cast<uint32_t>(NodeState::idle),
            "a free wait node is idle");
  return node;
}

void ThisProcess::returnNode(uint32_t node) {
  PM_ASSERT(ProcessTable::slotOf(node) == slot_, "a process returns its own wait nodes");
  const uint64_t bit = uint64_t{1} << (node % kNodesPerSlot);
  PM_ASSERT((freeNodes_ & bit) == 0, "a wait node is returned once");
  table_.node(node).state.store(static_cast<uint32_t>(NodeState::idle), std::memory_order_relaxed);
  freeNodes_ |= bit;
}

}  // namespace bgworker
