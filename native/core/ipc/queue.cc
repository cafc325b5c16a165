#include "core/ipc/queue.h"

namespace bgworker {
namespace {

Result<uint32_t> ringBytesOf(const void* memory, size_t bytes) {
  const SystemError invalid{"message queue", EINVAL};
  if (reinterpret_cast<uintptr_t>(memory) % alignof(SharedQueue) != 0) return invalid;
  bytes -= bytes % kQueueAlignment;
  if (bytes < kMinimumQueueBytes || bytes - sizeof(SharedQueue) > kMaxRingBytes) return invalid;
  return static_cast<uint32_t>(bytes - sizeof(SharedQueue));
}

}  // namespace

Result<Queue> Queue::create(void* memory, size_t bytes) {
  Result<uint32_t> ringBytes = ringBytesOf(memory, bytes);
  if (!ringBytes.ok()) return ringBytes.error();
  auto* shared = static_cast<SharedQueue*>(memory);
  shared->ringBytes = ringBytes.value();
  for (std::atomic<uint32_t>* field :
       {&shared->sender, &shared->receiver, &shared->detached, &shared->written, &shared->read}) {
    field->store(0, std::memory_order_relaxed);
  }
  shared->magic = kQueueMagic;
  return Queue(memory, ringBytes.value());
}

Result<Queue> Queue::open(void* memory, size_t bytes) {
  Result<uint32_t> ringBytes = ringBytesOf(memory, bytes);
  if (!ringBytes.ok()) return ringBytes.error();
  auto* shared = static_cast<SharedQueue*>(memory);
  if (shared->magic != kQueueMagic || shared->ringBytes != ringBytes.value()) {
    return SystemError{"message queue", EPROTO};
  }
  return Queue(memory, ringBytes.value());
}

bool Queue::take(std::atomic<uint32_t>& end, const ThisProcess& self) {
  uint32_t nobody = 0;
  return end.compare_exchange_strong(nobody, self.slot() + 1, std::memory_order_acq_rel);
}

QueueEnd::QueueEnd(ThisProcess& self, Queue queue, PeerWatch watch, Taken taken,
                   std::atomic<uint32_t>& mine, std::atomic<uint32_t>& other)
    : self_(self), queue_(queue), watch_(watch), other_(other) {
  uint32_t nobody = 0;
  PM_ASSERT(taken == Taken::before ||
                mine.compare_exchange_strong(nobody, self.slot() + 1, std::memory_order_acq_rel),
            "each end of a queue is taken once");
  FAULT_POINT("queue-attached");
  if (peerIsHere()) wakePeer();
}

bool QueueEnd::peerIsHere() {
  if (peer_ != 0) return true;
  // A read-modify-write: it pairs with the one of the end that comes. See queue.h.
  uint32_t peer = other_.fetch_or(0, std::memory_order_acq_rel);
  PM_ASSERT(peer <= self_.table().slotCount(), "the ends of a queue are slots");
  peer_ = peer;
  return peer != 0;
}

bool QueueEnd::peerIsGone() {
  if (isDetached()) return true;
  if (watch_.isGone == nullptr || !watch_.isGone(watch_.context)) return false;
  markDetached();
  return true;
}

void QueueEnd::wakePeer() {
  if (peerIsHere()) self_.wakeWithLatch(peer_ - 1);
}

void QueueEnd::markDetached() { queue_.shared().detached.exchange(1); }

QueueResult QueueEnd::asResult(WaitEnd end) {
  switch (end) {
    case WaitEnd::satisfied:
      return QueueResult::success;
    case WaitEnd::timedOut:
      return QueueResult::timedOut;
    case WaitEnd::interrupted:
      return QueueResult::interrupted;
    case WaitEnd::postmasterDied:
      return QueueResult::postmasterDied;
  }
  PM_ASSERT(false, "a wait has one of four ends");
  return QueueResult::corrupted;
}

QueueResult QueueEnd::awaitPeer(const QueueOptions& options) {
  return asResult(self_.waitUntil([this] { return isDetached() || peerIsHere() || peerIsGone(); },
                                  options.wait));
}

QueueResult QueueEnd::waitForAttach(const QueueOptions& options) {
  if (!options.nowait) {
    QueueResult waited = awaitPeer(options);
    if (waited != QueueResult::success) return waited;
  } else if (!isDetached() && !peerIsHere() && !peerIsGone()) {
    return QueueResult::wouldBlock;
  }
  return isDetached() || !peerIsHere() ? QueueResult::detached : QueueResult::success;
}

}  // namespace bgworker
