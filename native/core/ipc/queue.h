// queue.h: a message queue in shared memory: one sender, one receiver, whole messages, in order.
//
// PostgreSQL's shm_mq. A message may be longer than the ring, through which it then streams. Each
// end is set once and for ever; detaching is for ever, too.
//
//     Result<Queue> queue = Queue::create(memory, bytes);      // one of them
//     QueueSender sender(self, queue.value(), {});             // the other opens it, and receives
//     sender.send({data, size}, {.nowait = true});
//
//  Who writes what, and why nobody needs a lock
//  --------------------------------------------
//  magic, ringBytes    written once, by create(). open() compares ringBytes with the size of the
//                      memory and keeps its own copy; nobody reads the shared ones again.
//  sender, receiver    slot + 1 of each end, 0 while it has not come; changed once, from 0, by that
//                      end. The other end looks with a read-modify-write as long as it sees 0: so
//                      either it sees the new end and wakes it, or the new end's own exchange comes
//                      later and acquires everything that was published before.
//  detached            from 0 to 1 by either end, or by who finds the other dead before it came.
//  written             bytes ever put into the ring, modulo 2^32. Stored by the sender only
//                      (release), after the bytes. It may lag behind what the sender has put there.
//  read                bytes ever taken out, modulo 2^32. Stored by the receiver only (release),
//                      when it does not look at them any more.
//  ring                the bytes from read to written belong to the receiver, the rest to the
//                      sender. A length word of 8 bytes (little end first, as the machine's) and
//                      the message, padded to 8; a length word never wraps.
//
// Each end keeps its own position in the ring, from 0, modulo ringBytes: written and read are only
// compared with each other, by their difference, which is at most ringBytes < 2^31 and so is right
// although they wrap. What the other end writes is not believed: a difference over ringBytes and a
// length over the limit are `corrupted`, and no copy leaves the ring.
//
// Contract with JavaScript (Int32Array over the queue): magic 0, ringBytes 1, sender 2, receiver 3,
// detached 4; written is index 16, read is index 32, the ring starts at byte 192. An end is driven
// by one language from its attach() to its detach(). After a store to written or read: look at the
// other end (Atomics.or(words, 2 or 3, 0) until it is there), set bit 31 of its latch and wake it
// (process_table.h).

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/result.h"
#include "core/sync/this_process.h"

namespace bgworker {

inline constexpr uint32_t kQueueMagic = 0x514d4742;  // "BGMQ" in memory
inline constexpr uint32_t kMaxMessageBytes = 0x3fffffff;
inline constexpr uint32_t kQueueAlignment = 8;
inline constexpr uint32_t kMaxRingBytes = 1U << 30;

struct alignas(64) SharedQueue {
  uint32_t magic;                 /* written once by create() */
  uint32_t ringBytes;             /* written once by create() */
  std::atomic<uint32_t> sender;   /* written once by the sender */
  std::atomic<uint32_t> receiver; /* written once by the receiver */
  std::atomic<uint32_t> detached; /* set by either */
  uint32_t unused[11];
  alignas(64) std::atomic<uint32_t> written; /* written by the sender only */
  alignas(64) std::atomic<uint32_t> read;    /* written by the receiver only */
};
static_assert(sizeof(SharedQueue) == 192 && offsetof(SharedQueue, sender) == 8 &&
                  offsetof(SharedQueue, receiver) == 12 && offsetof(SharedQueue, detached) == 16 &&
                  offsetof(SharedQueue, written) == 64 && offsetof(SharedQueue, read) == 128,
              "the layout is a contract between processes and with JavaScript");

inline constexpr size_t kMinimumQueueBytes = sizeof(SharedQueue) + kQueueAlignment;

enum class QueueResult {
  success,
  wouldBlock, /* nowait only */
  detached,
  // What follows is not PostgreSQL's: there, it is an error or an interrupt.
  interrupted,    /* call again with the same arguments */
  timedOut,       /* likewise */
  postmasterDied, /* likewise, if you care */
  tooLarge,       /* "cannot send a message of size": over kMaxMessageBytes; nothing was sent */
  noMemory,       /* no buffer for a message of this size; it stays in the queue */
  corrupted,      /* the shared part contradicts itself; the queue is of no further use */
};

/** A view of a queue whose header has been checked. Copied freely. */
class Queue {
 public:
  /** Makes a queue in `bytes` of memory, rounded down to 8; `memory` on a cache line. EINVAL: it is
   *  not, or fewer than kMinimumQueueBytes, or more than a ring can have. */
  static Result<Queue> create(void* memory, size_t bytes);
  /** A queue that was made in this memory. EPROTO: it was not. */
  static Result<Queue> open(void* memory, size_t bytes);

  SharedQueue& shared() const { return *shared_; }
  uint32_t ringBytes() const { return ringBytes_; }
  uint8_t* ring() const { return reinterpret_cast<uint8_t*>(shared_ + 1); }

  /** Slot + 1 of the ends, as they say: for a view of the system. 0 for nobody. */
  uint32_t sender() const { return shared_->sender.load(std::memory_order_acquire); }
  uint32_t receiver() const { return shared_->receiver.load(std::memory_order_acquire); }

  /** This process is that end from now on. false: it was taken. */
  bool takeSender(const ThisProcess& self) const { return take(shared_->sender, self); }
  bool takeReceiver(const ThisProcess& self) const { return take(shared_->receiver, self); }

 private:
  Queue(void* memory, uint32_t ringBytes)
      : shared_(static_cast<SharedQueue*>(memory)), ringBytes_(ringBytes) {}
  static bool take(std::atomic<uint32_t>& end, const ThisProcess& self);
  SharedQueue* shared_;
  uint32_t ringBytes_;
};

/** Is the other end's worker gone, or will it never start? Asked only until that end has come. */
struct PeerWatch {
  bool (*isGone)(void* context) = nullptr;
  void* context = nullptr;
};

struct QueueOptions {
  bool nowait = false;
  /** false: publish and wake only once more than a quarter of the ring is pending. */
  bool forceFlush = true;
  WaitOptions wait{};
};

/** What both ends have in common. Local. */
class QueueEnd {
 public:
  /** Was the end taken for this process, by takeSender() or takeReceiver(), before it is made? */
  enum class Taken { now, before };

  QueueEnd(const QueueEnd&) = delete;
  QueueEnd& operator=(const QueueEnd&) = delete;

  /** success, or detached: the other end is gone without having come. */
  QueueResult waitForAttach(const QueueOptions& options);
  bool isDetached() const { return queue_.shared().detached.load() != 0; }

 protected:
  QueueEnd(ThisProcess& self, Queue queue, PeerWatch watch, Taken taken,
           std::atomic<uint32_t>& mine, std::atomic<uint32_t>& other);
  ~QueueEnd() = default;

  /** Has the other end come? From then on it is known. */
  bool peerIsHere();
  bool peerIsGone();
  void wakePeer();
  void markDetached();
  /** satisfied: the peer is here, or there is reason to give up. */
  QueueResult awaitPeer(const QueueOptions& options);
  static QueueResult asResult(WaitEnd end);

  ThisProcess& self_;
  Queue queue_;
  uint32_t peer_ = 0;     /* slot + 1 of the other end, once known */
  uint32_t position_ = 0; /* our own place in the ring */
  uint32_t pending_ = 0;  /* bytes done and not yet published */
  bool left_ = false;

 private:
  PeerWatch watch_;
  std::atomic<uint32_t>& other_;
};

class QueueSender : public QueueEnd {
 public:
  /** Attaches. The queue has no sender yet (PM_ASSERT; whoever lets users choose takes it first).
   */
  QueueSender(ThisProcess& self, Queue queue, PeerWatch watch = {}, Taken taken = Taken::now);
  ~QueueSender() { detach(); }

  /** After wouldBlock or interrupted, part of the message may have been sent: call again with the
   *  identical message, or detach. */
  QueueResult send(std::span<const uint8_t> message, const QueueOptions& options = {});
  /** One message, gathered from parts. */
  QueueResult send(std::span<const std::span<const uint8_t>> parts,
                   const QueueOptions& options = {});
  /** Publishes what is pending, and wakes. */
  void flush();
  /** Publishes what is pending, says so, wakes. Idempotent. */
  void detach();
  /** Would a send get on, by a byte or by an answer? What an event loop asks after a wake. */
  bool canContinue();
  /** Was a part of a message sent, whose rest must follow? */
  bool isUnderWay() const { return lengthSent_; }

 private:
  QueueResult sendBytes(const uint8_t* data, size_t bytes, bool nowait, const WaitOptions& wait,
                        size_t* sent);
  QueueResult sendPart(const uint8_t* data, size_t bytes, uint64_t before,
                       const QueueOptions& options);
  uint32_t freeBytes(bool* sound);
  void publish();
  void forget();

  uint64_t done_ = 0; /* of the length word, then of the message */
  bool lengthSent_ = false;
  uint8_t partial_[kQueueAlignment]; /* the beginning of 8 bytes that lie in two parts */
  uint32_t partialBytes_ = 0;
};

class QueueReceiver : public QueueEnd {
 public:
  QueueReceiver(ThisProcess& self, Queue queue, PeerWatch watch = {}, Taken taken = Taken::now);
  ~QueueReceiver();

  /** The message stays where it is until the next call: in the ring if it lies there in one piece,
   *  else in a buffer of ours. Its bytes in the ring are the sender's to change, if it is mad. */
  QueueResult receive(std::span<const uint8_t>* message, const QueueOptions& options = {});
  /** Publishes what was consumed. The message received last is gone. Idempotent. */
  void detach();
  /** Would a receive get on? What an event loop asks after a wake. May say yes in vain. */
  bool canContinue();

 private:
  QueueResult receiveBytes(uint64_t needed, const QueueOptions& options,
                           std::span<const uint8_t>* chunk);
  QueueResult receiveLength(const QueueOptions& options, std::span<const uint8_t>* message,
                            bool* whole);
  QueueResult copyRest(std::span<const uint8_t> chunk, const QueueOptions& options,
                       std::span<const uint8_t>* message);
  uint64_t nextPiece() const;
  bool growBuffer(uint64_t bytes);
  void consume(uint64_t bytes);
  void publish();

  uint64_t expected_ = 0;             /* length of the message under way */
  uint64_t copied_ = 0;               /* bytes of it in buffer_ */
  uint64_t wanted_ = kQueueAlignment; /* what the last look for bytes asked for */
  bool lengthKnown_ = false;
  uint8_t* buffer_ = nullptr;
  uint64_t bufferBytes_ = 0;
};

}  // namespace bgworker
