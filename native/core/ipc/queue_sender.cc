#include <cstring>

#include "core/ipc/queue.h"

namespace bgworker {
namespace {

uint32_t padded(uint32_t bytes) { return (bytes + kQueueAlignment - 1) & ~(kQueueAlignment - 1); }

}  // namespace

QueueSender::QueueSender(ThisProcess& self, Queue queue, PeerWatch watch, Taken taken)
    : QueueEnd(self, queue, watch, taken, queue.shared().sender, queue.shared().receiver) {}

QueueResult QueueSender::send(std::span<const uint8_t> message, const QueueOptions& options) {
  return send({&message, 1}, options);
}

QueueResult QueueSender::send(std::span<const std::span<const uint8_t>> parts,
                              const QueueOptions& options) {
  PM_ASSERT(!left_, "nobody sends after he has detached");
  uint64_t total = 0;
  for (std::span<const uint8_t> part : parts) total += part.size();
  if (total > kMaxMessageBytes) return QueueResult::tooLarge;
  if (!lengthSent_) {
    uint8_t length[sizeof total];
    std::memcpy(length, &total, sizeof total);
    size_t sent = 0;
    // A length word is 8 bytes in a ring of whole 8 bytes: it goes in one piece or not at all.
    QueueResult result = sendBytes(length, sizeof length, options.nowait, options.wait, &sent);
    if (result != QueueResult::success) {
      if (result == QueueResult::detached) forget();
      return result;
    }
    lengthSent_ = true;
    FAULT_POINT("queue-length-sent");
  }
  uint64_t before = 0;
  for (std::span<const uint8_t> part : parts) {
    QueueResult result = sendPart(part.data(), part.size(), before, options);
    if (result != QueueResult::success) return result;
    before += part.size();
  }
  if (partialBytes_ > 0) {
    size_t sent = 0;
    QueueResult result = sendBytes(partial_, partialBytes_, options.nowait, options.wait, &sent);
    if (result == QueueResult::detached) forget();
    if (result != QueueResult::success) return result;
  }
  forget();
  // The bytes are in the ring, but nobody will read them.
  if (isDetached()) return QueueResult::detached;
  if (options.forceFlush || pending_ > queue_.ringBytes() / 4) flush();
  return QueueResult::success;
}

/** Sends what done_ says is left of a part that begins `before` bytes into the message. Whole 8
 *  bytes go into the ring; what is left of a part waits in partial_ for the beginning of the next,
 *  since only the end of a message is padded. */
QueueResult QueueSender::sendPart(const uint8_t* data, size_t bytes, uint64_t before,
                                  const QueueOptions& options) {
  PM_ASSERT(done_ >= before || bytes == 0, "the parts of a message are sent in order");
  size_t at = done_ - before < bytes ? static_cast<size_t>(done_ - before) : bytes;
  while (at < bytes) {
    QueueResult result = QueueResult::success;
    if (partialBytes_ > 0 || bytes - at < kQueueAlignment) {
      if (partialBytes_ < kQueueAlignment) {
        partial_[partialBytes_++] = data[at++];
        ++done_;
      }
      if (partialBytes_ < kQueueAlignment) continue;
      size_t sent = 0;
      result = sendBytes(partial_, kQueueAlignment, options.nowait, options.wait, &sent);
      if (result == QueueResult::success) partialBytes_ = 0;
    } else {
      size_t whole = (bytes - at) & ~static_cast<size_t>(kQueueAlignment - 1);
      size_t sent = 0;
      result = sendBytes(data + at, whole, options.nowait, options.wait, &sent);
      at += sent;
      done_ += sent;
    }
    if (result == QueueResult::detached) forget();
    if (result != QueueResult::success) return result;
  }
  return QueueResult::success;
}

QueueResult QueueSender::sendBytes(const uint8_t* data, size_t bytes, bool nowait,
                                   const WaitOptions& wait, size_t* sent) {
  const uint32_t ringBytes = queue_.ringBytes();
  while (*sent < bytes) {
    bool sound = true;
    uint32_t available = freeBytes(&sound);
    if (!sound) return QueueResult::corrupted;
    if (isDetached()) return QueueResult::detached;
    if (available == 0) {
      // The other end learns what there is before we wait for it, even before it has come.
      if (pending_ > 0) flush();
      if (!peerIsHere()) {
        if (nowait) {
          if (peerIsGone()) return QueueResult::detached;
          if (!peerIsHere()) return QueueResult::wouldBlock;
          continue;  // It may have read before we saw it.
        }
        QueueResult waited = awaitPeer({.wait = wait});
        if (waited != QueueResult::success) return waited;
        if (!peerIsHere()) {
          markDetached();
          return QueueResult::detached;
        }
        continue;
      }
      if (nowait) return QueueResult::wouldBlock;
      QueueResult waited = asResult(self_.waitUntil([this] { return canContinue(); }, wait));
      if (waited != QueueResult::success) return waited;
      continue;
    }
    // A long message is published by quarters of the ring, so that the other end reads one while
    // we write the next.
    if (pending_ > ringBytes / 4) flush();
    size_t chunk = bytes - *sent;
    if (chunk > available) chunk = available;
    if (chunk > padded(ringBytes / 4 + 1)) chunk = padded(ringBytes / 4 + 1);
    if (chunk > ringBytes - position_) chunk = ringBytes - position_;
    std::memcpy(queue_.ring() + position_, data + *sent, chunk);
    *sent += chunk;
    uint32_t put = padded(static_cast<uint32_t>(chunk));
    pending_ += put;
    position_ += put;
    if (position_ == ringBytes) position_ = 0;
  }
  return QueueResult::success;
}

uint32_t QueueSender::freeBytes(bool* sound) {
  SharedQueue& shared = queue_.shared();
  // Acquire: pairs with the release in QueueReceiver::publish(), so that we do not overwrite what
  // the receiver still reads. Our own counter is read back, for a scribbler's sake.
  uint32_t read = shared.read.load(std::memory_order_acquire);
  uint32_t used = shared.written.load(std::memory_order_relaxed) + pending_ - read;
  *sound = used <= queue_.ringBytes() && used % kQueueAlignment == 0;
  return *sound ? queue_.ringBytes() - used : 0;
}

bool QueueSender::canContinue() {
  bool sound = true;
  return freeBytes(&sound) > 0 || !sound || isDetached() || (peer_ == 0 && peerIsGone());
}

void QueueSender::publish() {
  SharedQueue& shared = queue_.shared();
  // Release: pairs with the acquire in QueueReceiver::receiveBytes().
  shared.written.store(shared.written.load(std::memory_order_relaxed) + pending_,
                       std::memory_order_release);
  pending_ = 0;
}

void QueueSender::flush() {
  publish();
  FAULT_POINT("queue-published");
  wakePeer();
}

void QueueSender::forget() {
  done_ = 0;
  partialBytes_ = 0;
  lengthSent_ = false;
}

void QueueSender::detach() {
  if (left_) return;
  left_ = true;
  if (pending_ > 0) publish();
  FAULT_POINT("queue-detaching");
  markDetached();
  wakePeer();
}

}  // namespace bgworker
