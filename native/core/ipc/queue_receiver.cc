#include <bit>
#include <cstdlib>
#include <cstring>

#include "core/ipc/queue.h"

namespace bgworker {
namespace {

uint64_t padded(uint64_t bytes) {
  return (bytes + kQueueAlignment - 1) & ~uint64_t{kQueueAlignment - 1};
}

}  // namespace

QueueReceiver::QueueReceiver(ThisProcess& self, Queue queue, PeerWatch watch, Taken taken)
    : QueueEnd(self, queue, watch, taken, queue.shared().receiver, queue.shared().sender) {}

QueueReceiver::~QueueReceiver() {
  detach();
  std::free(buffer_);
}

QueueResult QueueReceiver::receive(std::span<const uint8_t>* message, const QueueOptions& options) {
  PM_ASSERT(!left_, "nobody receives after he has detached");
  if (!peerIsHere()) {
    if (options.nowait) {
      // In this order: a sender that comes and goes between the two looks is then still seen.
      bool gone = peerIsGone();
      if (!peerIsHere()) return gone ? QueueResult::detached : QueueResult::wouldBlock;
    } else {
      QueueResult waited = awaitPeer(options);
      if (waited != QueueResult::success) return waited;
      if (!peerIsHere()) {
        markDetached();
        return QueueResult::detached;
      }
    }
  }
  // The message before this one is not looked at any more.
  if (pending_ > queue_.ringBytes() / 4) publish();
  if (!lengthKnown_) {
    bool whole = false;
    QueueResult result = receiveLength(options, message, &whole);
    if (result != QueueResult::success || whole) return result;
  }
  std::span<const uint8_t> chunk;
  QueueResult result = receiveBytes(nextPiece(), options, &chunk);
  if (result != QueueResult::success) return result;
  if (copied_ == 0 && chunk.size() >= expected_) {
    *message = chunk.first(static_cast<size_t>(expected_));
    consume(padded(expected_));
    lengthKnown_ = false;
    wanted_ = kQueueAlignment;
    return QueueResult::success;
  }
  return copyRest(chunk, options, message);
}

/** Reads the length word, and if the whole message follows it in one piece, that. */
QueueResult QueueReceiver::receiveLength(const QueueOptions& options,
                                         std::span<const uint8_t>* message, bool* whole) {
  std::span<const uint8_t> chunk;
  QueueResult result = receiveBytes(kQueueAlignment, options, &chunk);
  if (result != QueueResult::success) return result;
  if (chunk.size() < kQueueAlignment) return QueueResult::corrupted;
  uint64_t length;
  std::memcpy(&length, chunk.data(), sizeof length);
  if (length > kMaxMessageBytes) return QueueResult::corrupted;
  chunk = chunk.subspan(kQueueAlignment);
  *whole = chunk.size() >= padded(length);
  if (*whole) {
    *message = chunk.first(static_cast<size_t>(length));
    consume(kQueueAlignment + padded(length));
    return QueueResult::success;
  }
  consume(kQueueAlignment);
  expected_ = length;
  copied_ = 0;
  lengthKnown_ = true;
  return QueueResult::success;
}

/** The message wraps, or is longer than the ring: it is put together in the buffer. */
QueueResult QueueReceiver::copyRest(std::span<const uint8_t> chunk, const QueueOptions& options,
                                    std::span<const uint8_t>* message) {
  if (!growBuffer(expected_)) return QueueResult::noMemory;
  for (;;) {
    uint64_t left = expected_ - copied_;
    uint64_t bytes = chunk.size() < left ? chunk.size() : left;
    std::memcpy(buffer_ + copied_, chunk.data(), static_cast<size_t>(bytes));
    copied_ += bytes;
    consume(padded(bytes));
    if (copied_ == expected_) break;
    if (pending_ > queue_.ringBytes() / 4) publish();
    QueueResult result = receiveBytes(nextPiece(), options, &chunk);
    if (result != QueueResult::success) return result;
  }
  *message = {buffer_, static_cast<size_t>(expected_)};
  lengthKnown_ = false;
  copied_ = 0;
  wanted_ = kQueueAlignment;
  return QueueResult::success;
}

/** How much of the message to wait for: all that is left, if it can lie in one piece and so need
 *  not be copied; else a quarter of the ring, to copy it while the sender writes the next. */
uint64_t QueueReceiver::nextPiece() const {
  uint64_t left = expected_ - copied_;
  bool inOnePiece = copied_ == 0 && left <= queue_.ringBytes() - position_;
  uint64_t quarter = padded(queue_.ringBytes() / 4);
  return inOnePiece || left < quarter ? left : quarter;
}

/** What lies in the ring in one piece: `needed` bytes at least, or all until the ring's end. */
QueueResult QueueReceiver::receiveBytes(uint64_t needed, const QueueOptions& options,
                                        std::span<const uint8_t>* chunk) {
  SharedQueue& shared = queue_.shared();
  const uint32_t ringBytes = queue_.ringBytes();
  wanted_ = needed;
  for (;;) {
    // Acquire: pairs with the release in QueueSender::publish(), which the bytes stand before.
    uint32_t written = shared.written.load(std::memory_order_acquire);
    uint32_t used = written - shared.read.load(std::memory_order_relaxed) - pending_;
    if (used > ringBytes || used % kQueueAlignment != 0) return QueueResult::corrupted;
    if (used >= needed || position_ + used >= ringBytes) {
      uint32_t straight = ringBytes - position_;
      *chunk = {queue_.ring() + position_, used < straight ? used : straight};
      return QueueResult::success;
    }
    // Only now: what was sent before the end is still delivered.
    if (isDetached()) {
      if (shared.written.load(std::memory_order_acquire) != written) continue;
      return QueueResult::detached;
    }
    if (options.nowait) {
      if (pending_ == 0) return QueueResult::wouldBlock;
      publish();
      continue;
    }
    // To spin is not to wait: what was consumed is published before the sleep, not before.
    WaitOptions wait = options.wait;
    for (wait.spins = 0; wait.spins < options.wait.spins && !canContinue(); ++wait.spins) relax();
    if (canContinue()) continue;
    wait.spins = 0;
    if (pending_ > 0) {
      publish();
      continue;
    }
    QueueResult waited = asResult(self_.waitUntil([this] { return canContinue(); }, wait));
    if (waited != QueueResult::success) return waited;
  }
}

bool QueueReceiver::canContinue() {
  if (!peerIsHere()) return peerIsGone();
  SharedQueue& shared = queue_.shared();
  // 64 bits, for a counter that somebody scribbled on: receive() then says so.
  uint64_t used = shared.written.load(std::memory_order_acquire) -
                  shared.read.load(std::memory_order_relaxed) - pending_;
  return used >= wanted_ || position_ + used >= queue_.ringBytes() || isDetached();
}

void QueueReceiver::consume(uint64_t bytes) {
  pending_ += static_cast<uint32_t>(bytes);
  position_ += static_cast<uint32_t>(bytes);
  if (position_ == queue_.ringBytes()) position_ = 0;
  PM_ASSERT(position_ < queue_.ringBytes(), "nobody consumes beyond the end of the ring");
}

void QueueReceiver::publish() {
  SharedQueue& shared = queue_.shared();
  // Release: pairs with the acquire in QueueSender::freeBytes(): we are done with these bytes.
  shared.read.store(shared.read.load(std::memory_order_relaxed) + pending_,
                    std::memory_order_release);
  pending_ = 0;
  wakePeer();
}

bool QueueReceiver::growBuffer(uint64_t bytes) {
  if (FAULT_POINT_FAILS("queue-no-memory")) return false;
  if (bytes <= bufferBytes_) return true;
  uint64_t grown = std::bit_ceil(bytes);
  // Nothing of the old buffer is needed: it grows only before the first bytes of a message.
  auto* fresh = static_cast<uint8_t*>(std::malloc(static_cast<size_t>(grown)));
  if (fresh == nullptr) return false;
  std::free(buffer_);
  buffer_ = fresh;
  bufferBytes_ = grown;
  return true;
}

void QueueReceiver::detach() {
  if (left_) return;
  left_ = true;
  if (pending_ > 0) publish();
  markDetached();
  wakePeer();
}

}  // namespace bgworker
