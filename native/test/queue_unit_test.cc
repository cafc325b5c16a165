// queue_unit_test.cc: what a queue answers, in one process that holds both of its ends.

#include <memory>

#include "core/ipc/queue.h"
#include "test/worlds.h"

using namespace bgworker;
using worlds::Stage;

namespace {

using Bytes = std::vector<uint8_t>;

constexpr QueueOptions kNowait{.nowait = true};
constexpr QueueOptions kLazy{.nowait = true, .forceFlush = false};

Bytes pattern(size_t bytes, uint32_t seed = 1) {
  Bytes made(bytes);
  std::minstd_rand random(seed);
  for (uint8_t& byte : made) byte = static_cast<uint8_t>(random());
  return made;
}

/** Two processes in one, and a queue with a ring of this size between them. */
struct Fixture {
  explicit Fixture(uint32_t ringBytes)
      : stage(2, sizeof(SharedQueue) + ringBytes),
        left(stage.table(), stage.bells(), 0),
        right(stage.table(), stage.bells(), 1),
        bytes(sizeof(SharedQueue) + ringBytes) {
    CHECK(Queue::create(stage.memory(), bytes).ok());
  }
  ~Fixture() {
    left.leave();
    right.leave();
  }
  Queue queue() {
    Result<Queue> opened = Queue::open(stage.memory(), bytes);
    CHECK(opened.ok());
    return opened.value();
  }
  Stage stage;
  ThisProcess left, right;
  size_t bytes;
};

bool receives(QueueReceiver& receiver, const Bytes& wanted) {
  std::span<const uint8_t> got;
  QueueResult result = receiver.receive(&got, kNowait);
  return result == QueueResult::success && Bytes(got.begin(), got.end()) == wanted;
}

QueueResult looks(QueueReceiver& receiver) {
  std::span<const uint8_t> got;
  return receiver.receive(&got, kNowait);
}

}  // namespace

TEST("a queue needs its header and 8 bytes, on a cache line; other headers are refused") {
  Stage stage(1, 4096);
  auto* memory = static_cast<uint8_t*>(stage.memory());
  CHECK(!Queue::create(memory, kMinimumQueueBytes - 1).ok());
  CHECK(!Queue::create(memory + 8, 1024).ok());
  CHECK(!Queue::create(memory, size_t{1} << 31).ok());
  Result<Queue> odd = Queue::create(memory, kMinimumQueueBytes + 7);
  CHECK(odd.ok());
  CHECK_EQUAL(odd.value().ringBytes(), 8U);
  CHECK(Queue::create(memory, 1024).ok());
  CHECK(Queue::open(memory, 1024).ok() && Queue::open(memory, 1031).ok());
  for (size_t wrong : {size_t{1016}, size_t{1032}, size_t{4096}, size_t{0}}) {
    Result<Queue> opened = Queue::open(memory, wrong);
    CHECK(!opened.ok());
  }
  auto& shared = *reinterpret_cast<SharedQueue*>(memory);
  shared.magic ^= 1;
  CHECK_EQUAL(Queue::open(memory, 1024).error().number, EPROTO);
  shared.magic ^= 1;
  shared.ringBytes = 1U << 30;
  CHECK_EQUAL(Queue::open(memory, 1024).error().number, EPROTO);
}

TEST("each end is taken once") {
  Fixture fixture(64);
  QueueSender sender(fixture.left, fixture.queue());
  CHECK_EQUAL(fixture.queue().sender(), 1U);
  CHECK(worlds::aborts([&] { QueueSender second(fixture.right, fixture.queue()); }));
}

TEST("every wrap position, every small length: whole, in order, unchanged") {
  for (uint32_t ringBytes : {8U, 16U, 24U, 40U, 64U}) {
    Fixture fixture(ringBytes);
    QueueSender sender(fixture.left, fixture.queue());
    QueueReceiver receiver(fixture.right, fixture.queue());
    for (uint32_t round = 0; round < 4 * ringBytes; ++round) {
      for (size_t length = 0; length <= 3 * ringBytes; length += 1 + round % 3) {
        Bytes message = pattern(length, round + 1);
        std::span<const uint8_t> got;
        QueueResult sent, received;
        do {  // also when a part of it waits for room
          sent = sender.send(message, kNowait);
          received = receiver.receive(&got, kNowait);
          CHECK(received == QueueResult::success || received == QueueResult::wouldBlock);
        } while (sent == QueueResult::wouldBlock);
        CHECK(sent == QueueResult::success);
        if (received != QueueResult::success) received = receiver.receive(&got, kNowait);
        CHECK(received == QueueResult::success);
        CHECK(Bytes(got.begin(), got.end()) == message);
      }
    }
  }
}

TEST("the counters wrap around 2^32 and nothing notices") {
  Fixture fixture(40);
  auto& shared = fixture.queue().shared();
  shared.written.store(UINT32_MAX - 103);
  shared.read.store(UINT32_MAX - 103);
  QueueSender sender(fixture.left, fixture.queue());
  QueueReceiver receiver(fixture.right, fixture.queue());
  for (uint32_t i = 0; i < 50; ++i) {
    Bytes message = pattern(i % 30, i + 1);
    CHECK(sender.send(message, kNowait) == QueueResult::success);
    CHECK(receives(receiver, message));
    CHECK(looks(receiver) == QueueResult::wouldBlock);  // gives the room back
  }
}

TEST("a message gathered from parts is one message, whatever the parts") {
  std::minstd_rand random(5);
  Fixture fixture(48);
  QueueSender sender(fixture.left, fixture.queue());
  QueueReceiver receiver(fixture.right, fixture.queue());
  for (int round = 0; round < 3000; ++round) {
    Bytes whole = pattern(random() % 120, static_cast<uint32_t>(random()) | 1);
    std::vector<std::span<const uint8_t>> parts;
    for (size_t at = 0; at < whole.size();) {
      size_t bytes = std::min<size_t>(random() % 20, whole.size() - at);
      parts.push_back(std::span<const uint8_t>(whole).subspan(at, bytes));
      at += bytes;
    }
    std::span<const uint8_t> got;
    QueueResult sent, received = QueueResult::wouldBlock;
    do {
      sent = sender.send(parts, kNowait);
      if (received != QueueResult::success) received = receiver.receive(&got, kNowait);
    } while (sent == QueueResult::wouldBlock);
    if (received != QueueResult::success) received = receiver.receive(&got, kNowait);
    CHECK(received == QueueResult::success && Bytes(got.begin(), got.end()) == whole);
  }
}

TEST("a contiguous message is not copied, and stays until the next receive") {
  Fixture fixture(256);
  QueueSender sender(fixture.left, fixture.queue());
  QueueReceiver receiver(fixture.right, fixture.queue());
  Bytes message = pattern(200), next = pattern(30, 2);
  CHECK(sender.send(message, kNowait) == QueueResult::success);
  std::span<const uint8_t> got;
  CHECK(receiver.receive(&got, kNowait) == QueueResult::success);
  CHECK(got.data() == fixture.queue().ring() + 8);
  CHECK_EQUAL(fixture.queue().shared().read.load(), 0U);
  CHECK(sender.send(pattern(100), kNowait) == QueueResult::wouldBlock);
  CHECK(Bytes(got.begin(), got.end()) == message);
}

TEST("flushing: pending bytes are published over a quarter, when forced, full or detached") {
  Fixture fixture(256);
  QueueSender sender(fixture.left, fixture.queue());
  QueueReceiver receiver(fixture.right, fixture.queue());
  auto& shared = fixture.queue().shared();
  CHECK(sender.send(pattern(16), kLazy) == QueueResult::success);
  CHECK(sender.send(pattern(32), kLazy) == QueueResult::success);
  CHECK_EQUAL(shared.written.load(), 0U);  // 64 of 256: not over a quarter
  CHECK(looks(receiver) == QueueResult::wouldBlock);
  CHECK(sender.send(pattern(0), kLazy) == QueueResult::success);
  CHECK_EQUAL(shared.written.load(), 72U);
  CHECK(receives(receiver, pattern(16)) && receives(receiver, pattern(32)));
  CHECK(receives(receiver, {}));
  CHECK_EQUAL(shared.read.load(), 0U);  // one of 64 was over no quarter either
  CHECK(looks(receiver) == QueueResult::wouldBlock);
  CHECK_EQUAL(shared.read.load(), 72U);
  CHECK(sender.send(pattern(8), kLazy) == QueueResult::success);
  CHECK(sender.send(pattern(1), kNowait) == QueueResult::success);
  CHECK_EQUAL(shared.written.load(), 104U);
  CHECK(sender.send(pattern(8), kLazy) == QueueResult::success);
  CHECK_EQUAL(shared.written.load(), 104U);
  sender.detach();
  CHECK_EQUAL(shared.written.load(), 120U);
  CHECK(receives(receiver, pattern(8)) && receives(receiver, pattern(1)));
  CHECK(receives(receiver, pattern(8)));
  CHECK(looks(receiver) == QueueResult::detached && looks(receiver) == QueueResult::detached);
}

TEST("before the receiver comes, the ring takes what fits; then its death is asked about") {
  Fixture fixture(64);
  bool gone = false;
  PeerWatch watch{[](void* context) { return *static_cast<bool*>(context); }, &gone};
  {
    QueueSender sender(fixture.left, fixture.queue(), watch);
    CHECK(sender.waitForAttach(kNowait) == QueueResult::wouldBlock);
    CHECK(sender.send(pattern(24), kNowait) == QueueResult::success);
    CHECK(sender.send(pattern(24), kNowait) == QueueResult::success);
    CHECK(sender.send(pattern(24), kNowait) == QueueResult::wouldBlock);
    CHECK(!sender.canContinue());
    gone = true;
    CHECK(sender.canContinue());
    CHECK(sender.send(pattern(24), kNowait) == QueueResult::detached);
    CHECK(sender.send(pattern(1), kNowait) == QueueResult::detached && sender.isDetached());
    CHECK(sender.waitForAttach({}) == QueueResult::detached);
  }
  Fixture other(64);
  QueueReceiver receiver(other.right, other.queue(), watch);
  CHECK(looks(receiver) == QueueResult::detached);
  Fixture third(64);
  gone = false;
  QueueReceiver hopeful(third.right, third.queue(), watch);
  CHECK(looks(hopeful) == QueueResult::wouldBlock);
  // A sender that came, sent and went is no dead peer: its messages are delivered.
  {
    QueueSender sender(third.left, third.queue());
    CHECK(sender.send(pattern(9), kNowait) == QueueResult::success);
  }
  gone = true;
  CHECK(receives(hopeful, pattern(9)));
  CHECK(looks(hopeful) == QueueResult::detached);
}

TEST("once the peer is attached only its detaching counts, not its death") {
  Fixture fixture(16);
  bool gone = true;
  PeerWatch watch{[](void* context) { return *static_cast<bool*>(context); }, &gone};
  QueueReceiver receiver(fixture.right, fixture.queue());
  QueueSender sender(fixture.left, fixture.queue(), watch);
  CHECK(sender.send(pattern(8), kNowait) == QueueResult::success);
  CHECK(sender.send(pattern(8), kNowait) == QueueResult::wouldBlock);
  receiver.detach();
  CHECK(sender.send(pattern(8), kNowait) == QueueResult::detached);
  CHECK(sender.waitForAttach({}) == QueueResult::detached);
}

TEST("a half-written message is lost with its sender, a whole one is not") {
  Fixture fixture(64);
  QueueReceiver receiver(fixture.right, fixture.queue());
  {
    QueueSender sender(fixture.left, fixture.queue());
    CHECK(sender.send(pattern(20), kNowait) == QueueResult::success);
    CHECK(sender.send(pattern(200), kNowait) == QueueResult::wouldBlock);
  }
  CHECK(receives(receiver, pattern(20)));
  CHECK(looks(receiver) == QueueResult::detached);
}

TEST("too large is refused before anything is sent") {
  Fixture fixture(64);
  QueueReceiver receiver(fixture.right, fixture.queue());
  QueueSender sender(fixture.left, fixture.queue());
  Bytes small = pattern(8);
  std::span<const uint8_t> large(small.data(), size_t{kMaxMessageBytes} + 1);
  CHECK(sender.send(large, kNowait) == QueueResult::tooLarge);
  CHECK(sender.send(small, kNowait) == QueueResult::success && receives(receiver, small));
}

TEST("what somebody scribbled on the counters or a length is found, by both ends") {
  for (uint32_t wrong : {72U, 4U, UINT32_MAX, 1U << 31}) {
    Fixture fixture(64);
    QueueReceiver receiver(fixture.right, fixture.queue());
    QueueSender sender(fixture.left, fixture.queue());
    fixture.queue().shared().written.store(wrong);
    CHECK(looks(receiver) == QueueResult::corrupted);
    CHECK(sender.send(pattern(8), kNowait) == QueueResult::corrupted);
  }
  for (uint64_t length : {uint64_t{kMaxMessageBytes} + 1, UINT64_MAX, uint64_t{1} << 32}) {
    Fixture fixture(64);
    QueueReceiver receiver(fixture.right, fixture.queue());
    QueueSender sender(fixture.left, fixture.queue());
    CHECK(sender.send(pattern(8), kNowait) == QueueResult::success);
    std::memcpy(fixture.queue().ring(), &length, sizeof length);
    CHECK(looks(receiver) == QueueResult::corrupted);
  }
  Fixture fixture(64);
  fixture.queue().shared().receiver.store(77);
  CHECK(worlds::aborts([&] { QueueSender sender(fixture.left, fixture.queue()); }));
}

TEST("without memory for it, a message stays where it is") {
  Fixture fixture(64);
  QueueReceiver receiver(fixture.right, fixture.queue());
  QueueSender sender(fixture.left, fixture.queue());
  CHECK(sender.send(pattern(40), kNowait) == QueueResult::success &&
        receives(receiver, pattern(40)));
  CHECK(looks(receiver) == QueueResult::wouldBlock);
  Bytes wraps = pattern(40, 3);
  CHECK(sender.send(wraps, kNowait) == QueueResult::success);
  fault::arm({"queue-no-memory", fault::Action::fail, 0, -1, -1});
  CHECK(looks(receiver) == QueueResult::noMemory);
  CHECK(receives(receiver, wraps));
  fault::disarmAll();
}

TEST("nowait never touches the own latch, and a wake sets the peer's") {
  Fixture fixture(64);
  QueueReceiver receiver(fixture.right, fixture.queue());
  QueueSender sender(fixture.left, fixture.queue());
  for (ThisProcess* end : {&fixture.left, &fixture.right}) resetLatch(end->latch());
  CHECK(sender.send(pattern(8), kNowait) == QueueResult::success);
  CHECK(latchIsSet(fixture.right.latch()) && !latchIsSet(fixture.left.latch()));
  CHECK(receives(receiver, pattern(8)));
  CHECK(looks(receiver) == QueueResult::wouldBlock);
  CHECK(latchIsSet(fixture.right.latch()) && latchIsSet(fixture.left.latch()));
}
