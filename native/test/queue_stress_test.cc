// queue_stress_test.cc: queues between two who sleep and wake, and PostgreSQL's test_shm_mq.

#include "core/ipc/queue.h"
#include "test/worlds.h"

using namespace bgworker;
using worlds::Player;
using worlds::scaled;
using worlds::Stage;

namespace {

using Bytes = std::vector<uint8_t>;

QueueOptions patient(bool forceFlush = true) {
  return {.forceFlush = forceFlush, .wait = worlds::patiently()};
}

/** The queue number `which` of those that lie one behind the other, each of `bytes`. */
Queue queueAt(Player& player, uint32_t which, size_t bytes) {
  Result<Queue> queue = Queue::open(player.shared<uint8_t[1]>() + which * bytes, bytes);
  CHECK(queue.ok());
  return queue.value();
}

void makeQueues(const Stage& stage, uint32_t count, size_t bytes) {
  for (uint32_t i = 0; i < count; ++i) {
    CHECK(Queue::create(static_cast<uint8_t*>(stage.memory()) + i * bytes, bytes).ok());
  }
}

/** Both ends make the same messages, so that each byte can be compared. */
class Model {
 public:
  Model(uint32_t seed, size_t least, size_t most) : random_(seed), least_(least), most_(most) {}
  const Bytes& next() {
    bytes_.resize(least_ + random_() % (most_ - least_ + 1));
    uint32_t word = static_cast<uint32_t>(random_());
    for (uint8_t& byte : bytes_)
      byte = static_cast<uint8_t>((word = word * 1664525 + 1013904223) >> 24);
    return bytes_;
  }

 private:
  std::minstd_rand random_;
  size_t least_, most_;
  Bytes bytes_;
};

/** test_shm_mq: a ring of `workers` who pass on, between the queues; player 0 sends into the first
 *  and receives from the last, with `ahead` messages under way. */
void passAround(World world, uint32_t workers, size_t queueBytes, uint32_t count, Model model,
                uint32_t ahead) {
  Stage stage(workers + 1, (workers + 1) * queueBytes);
  makeQueues(stage, workers + 1, queueBytes);
  stage.run(world, workers + 1, [&](Player& player) {
    QueueReceiver in(player.self,
                     queueAt(player, (player.index + workers) % (workers + 1), queueBytes));
    QueueSender out(player.self, queueAt(player, player.index, queueBytes));
    std::span<const uint8_t> got;
    if (player.index != 0) {
      // Ends when the one before detaches, and so releases the next.
      QueueResult result;
      while ((result = in.receive(&got, patient())) == QueueResult::success) {
        CHECK(out.send(got, patient()) == QueueResult::success);
      }
      CHECK(result == QueueResult::detached);
      return;
    }
    Model sending = model, expecting = model;
    uint32_t sent = 0, received = 0;
    const Bytes* message = &sending.next();
    while (received < count) {
      bool idle = true;
      if (sent < count && sent - received < ahead) {
        QueueResult result = out.send(*message, {.nowait = true});
        CHECK(result == QueueResult::success || result == QueueResult::wouldBlock);
        if (result == QueueResult::success) {
          idle = false;
          if (++sent < count) message = &sending.next();
        }
      }
      QueueResult result = in.receive(&got, {.nowait = true});
      CHECK(result == QueueResult::success || result == QueueResult::wouldBlock);
      if (result == QueueResult::success) {
        idle = false;
        ++received;
        const Bytes& wanted = expecting.next();
        CHECK(got.size() == wanted.size() && std::equal(got.begin(), got.end(), wanted.begin()));
      }
      if (!idle) continue;
      // As PostgreSQL's does it: wait on the process latch, reset it, look at both again.
      CHECK(waitLatch(player.self, player.self.latch(), worlds::patiently()) == WaitEnd::satisfied);
      resetLatch(player.self.latch());
    }
    out.detach();
    CHECK(in.receive(&got, patient()) == QueueResult::detached);
  });
}

void sendAndCompare(World world, size_t queueBytes, uint32_t count, Model model, bool forceFlush,
                    uint32_t spins) {
  Stage stage(2, queueBytes);
  makeQueues(stage, 1, queueBytes);
  stage.run(world, 2, [&](Player& player) {
    Model mine = model;
    QueueOptions options = patient(forceFlush);
    options.wait.spins = spins;
    if (player.index == 0) {
      QueueSender sender(player.self, queueAt(player, 0, queueBytes));
      for (uint32_t i = 0; i < count; ++i) {
        CHECK(sender.send(mine.next(), options) == QueueResult::success);
      }
      return;
    }
    QueueReceiver receiver(player.self, queueAt(player, 0, queueBytes));
    std::span<const uint8_t> got;
    for (uint32_t i = 0; i < count; ++i) {
      CHECK(receiver.receive(&got, options) == QueueResult::success);
      const Bytes& wanted = mine.next();
      CHECK(got.size() == wanted.size() && std::equal(got.begin(), got.end(), wanted.begin()));
    }
    CHECK(receiver.receive(&got, options) == QueueResult::detached);
  });
}

/** The sender dies at a fault point; what the receiver then gets is whole messages only. */
void senderDiesAt(const char* point, uint32_t skip, uint32_t whole) {
  const size_t bytes = sizeof(SharedQueue) + 4096;
  Stage stage(2, bytes);
  makeQueues(stage, 1, bytes);
  pid_t sender = stage.inProcess(0, [&](Player& player) {
    fault::arm({point, fault::Action::die, skip, -1, -1});
    QueueSender end(player.self, queueAt(player, 0, bytes));
    Model model(1, 10, 100);
    for (int i = 0; i < 10; ++i) CHECK(end.send(model.next(), patient()) == QueueResult::success);
  });
  CHECK(WIFSIGNALED(processes::waitFor(sender)));
  CHECK_EQUAL(WIFSIGNALED(processes::waitFor(stage.inProcess(
                  1,
                  [&](Player& player) {
                    QueueReceiver end(player.self, queueAt(player, 0, bytes));
                    Model model(1, 10, 100);
                    std::span<const uint8_t> got;
                    for (uint32_t i = 0; i < whole; ++i) {
                      CHECK(end.receive(&got, {.nowait = true}) == QueueResult::success);
                      const Bytes& wanted = model.next();
                      CHECK(got.size() == wanted.size() &&
                            std::equal(got.begin(), got.end(), wanted.begin()));
                    }
                    // Killed, it detached nothing: the crash cycle is what ends this wait.
                    CHECK(end.receive(&got, {.nowait = true}) == QueueResult::wouldBlock);
                  }))),
              false);
}

}  // namespace

WORLD_TEST("test_shm_mq: 0 and 1 byte, 2,000 times, through 1,024 bytes") {
  passAround(world, 1, 1024, scaled(2000), Model(1, 0, 0), 1);
  passAround(world, 1, 1024, scaled(2000), Model(2, 1, 1), 1);
}

WORLD_TEST("test_shm_mq: 100 to 1,000 random bytes, 10,000 times, through 32 KB") {
  passAround(world, 1, 32768, scaled(10000), Model(3, 100, 1000), UINT32_MAX);
}

WORLD_TEST("test_shm_mq: 270,000 bytes, 200 times, pipelined, through 16 KB and 3 workers") {
  passAround(world, 3, 16384, scaled(200), Model(4, 270000, 270000), UINT32_MAX);
}

WORLD_TEST("random sizes, byte for byte, through rings of all kinds") {
  for (uint32_t ringBytes : {8U, 64U, 1000U, 32768U}) {
    for (bool forceFlush : {true, false}) {
      for (uint32_t spins : {0U, 200U}) {
        sendAndCompare(world, sizeof(SharedQueue) + (ringBytes & ~63U) + (ringBytes < 64 ? 8 : 0),
                       scaled(1000), Model(ringBytes, 0, ringBytes < 100 ? 300 : 2 * ringBytes),
                       forceFlush, spins);
      }
    }
  }
}

WORLD_TEST("many small messages, lazily flushed") {
  sendAndCompare(world, 65536, scaled(200000), Model(9, 0, 64), false, 0);
}

WORLD_TEST("a peer that is gone before, during and after is noticed by who waits for it") {
  const size_t bytes = sizeof(SharedQueue) + 256;
  for (uint32_t messages : {0U, 1U, 5U, 100U}) {
    for (bool senderLeaves : {true, false}) {
      Stage stage(2, bytes);
      makeQueues(stage, 1, bytes);
      stage.run(world, 2, [&](Player& player) {
        const Bytes message(40, 7);
        std::span<const uint8_t> got;
        if (player.index == 0) {
          QueueSender end(player.self, queueAt(player, 0, bytes));
          uint32_t sent = 0;
          while ((!senderLeaves || sent < messages) &&
                 end.send(message, patient()) == QueueResult::success) {
            ++sent;
          }
          CHECK(sent >= messages);
        } else {
          QueueReceiver end(player.self, queueAt(player, 0, bytes));
          uint32_t received = 0;
          while ((senderLeaves || received < messages) &&
                 end.receive(&got, patient()) == QueueResult::success) {
            ++received;
          }
          CHECK_EQUAL(received, messages);
        }
      });
    }
  }
}

WORLD_TEST(
    "an attach, a publish and a detach between the other's last look and its sleep wake it") {
  const size_t bytes = sizeof(SharedQueue) + 64;
  for (const char* point : {"sleep-prepared", "sleep-checked"}) {
    for (uint32_t skip : {0U, 1U, 2U}) {
      Stage stage(2, bytes);
      makeQueues(stage, 1, bytes);
      worlds::Meeting meeting;
      stage.run(world, 2, [&](Player& player) {
        if (player.index == 0) {
          meeting.await();
          QueueSender end(player.self, queueAt(player, 0, bytes));
          if (skip > 0) {
            meeting.letGo();
            meeting.await();
          }
          const Bytes message(10, 1);
          CHECK(end.send(message, patient()) == QueueResult::success);
          if (skip > 1) {
            meeting.letGo();
            meeting.await();
          }
          end.detach();
          meeting.letGo();
        } else {
          QueueReceiver end(player.self, queueAt(player, 0, bytes));
          for (uint32_t i = 0; i <= skip; ++i) meeting.arm(point);
          std::span<const uint8_t> got;
          CHECK(end.receive(&got, patient()) == QueueResult::success);
          CHECK(end.receive(&got, patient()) == QueueResult::detached);
          fault::disarmAll();
        }
      });
    }
  }
}

TEST("a sender that is killed leaves whole messages, or none") {
  senderDiesAt("queue-attached", 0, 0);
  senderDiesAt("queue-length-sent", 0, 0);
  senderDiesAt("queue-length-sent", 3, 3);
  senderDiesAt("queue-published", 4, 5);
  senderDiesAt("queue-detaching", 0, 10);
}

TEST("a wait in a queue ends by time, and goes on where it was") {
  const size_t bytes = sizeof(SharedQueue) + 64;
  Stage stage(2, bytes);
  makeQueues(stage, 1, bytes);
  ThisProcess left(stage.table(), stage.bells(), 0), right(stage.table(), stage.bells(), 1);
  {
    Result<Queue> queue = Queue::open(stage.memory(), bytes);
    QueueReceiver receiver(right, queue.value());
    std::span<const uint8_t> got;
    QueueOptions quick{.wait = {.deadlineNs = 0}};
    CHECK(receiver.receive(&got, quick) == QueueResult::timedOut);
    CHECK(receiver.waitForAttach(quick) == QueueResult::timedOut);
    QueueSender sender(left, queue.value());
    CHECK(receiver.waitForAttach(quick) == QueueResult::success);
    CHECK(receiver.receive(&got, quick) == QueueResult::timedOut);
    Bytes large(500, 3);
    QueueResult sent, received = QueueResult::timedOut;
    do {
      sent = sender.send(large, quick);
      if (received == QueueResult::timedOut) received = receiver.receive(&got, quick);
    } while (sent == QueueResult::timedOut);
    if (received == QueueResult::timedOut) received = receiver.receive(&got, quick);
    CHECK(sent == QueueResult::success && received == QueueResult::success);
    CHECK(Bytes(got.begin(), got.end()) == large);
  }
  left.leave();
  right.leave();
}
