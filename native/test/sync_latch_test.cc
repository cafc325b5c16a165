// sync_latch_test.cc: a set is never lost, whenever it comes.

#include <poll.h>
#include <sys/time.h>

#include "core/sync/latch.h"
#include "test/worlds.h"

using namespace bgworker;
using worlds::patiently;
using worlds::Player;
using worlds::scaled;
using worlds::Stage;

namespace {

struct Counters {
  std::atomic<uint64_t> sent[8];
  std::atomic<uint32_t> flag;
};

/** The two ways to sleep: on the futex, or on the doorbell together with something else. */
WaitOptions onDoorbell(const sigset_t* mask) {
  WaitOptions options = patiently();
  options.signalMask = mask;
  return options;
}

sigset_t emptyMask() {
  sigset_t none;
  sigemptyset(&none);
  return none;
}

void pingPong(Player& player, uint32_t rounds, const WaitOptions& options) {
  std::atomic<uint32_t>& other = player.self.table().at(1 - player.index).latch;
  for (uint32_t round = 0; round < rounds; ++round) {
    if (player.index == 0) setLatch(player.self, other);
    CHECK(waitLatch(player.self, player.self.latch(), options) == WaitEnd::satisfied);
    resetLatch(player.self.latch());
    if (player.index == 1) setLatch(player.self, other);
  }
}

/** A sleeper that stands at `point` when the latch is set must not sleep through it. */
void setWhileAt(const char* point, World world, const WaitOptions& options) {
  Stage stage(2, 64);
  worlds::Meeting meeting;
  stage.run(world, 2, [&](Player& player) {
    if (player.index == 0) {
      meeting.arm(point);
      CHECK(waitLatch(player.self, player.self.latch(), options) == WaitEnd::satisfied);
      CHECK(latchIsSet(player.self.latch()));
      fault::disarmAll();
    } else {
      meeting.await();
      setLatch(player.self, player.self.table().at(0).latch);
      meeting.letGo();
    }
  });
}

}  // namespace

TEST("a latch is a level with at most one owner") {
  Stage stage(2, 64);
  auto& latch = stage.shared<SharedLatch>().word;
  ThisProcess self(stage.table(), stage.bells(), 0);
  setLatch(self, latch);  // nobody owns it: it is set, and that is all
  CHECK(latchIsSet(latch));
  CHECK(ownLatch(latch, 0) && !ownLatch(latch, 1) && !ownLatch(latch, 0));
  CHECK(latchIsSet(latch) && ownsLatch(self, latch));
  CHECK(waitLatch(self, latch, {.deadlineNs = 0}) == WaitEnd::satisfied);
  resetLatch(latch);
  CHECK(!latchIsSet(latch) && ownsLatch(self, latch));
  CHECK(waitLatch(self, latch, {.deadlineNs = 0}) == WaitEnd::timedOut);
  disownLatch(latch);
  CHECK(!ownsLatch(self, latch) && ownLatch(latch, 1));
  CHECK(worlds::aborts([&] { (void)waitLatch(self, latch, {}); }));
  self.leave();
}

TEST("a slot is taken by one process at a time, and left with nothing waiting") {
  Stage stage(2, 64);
  CHECK(worlds::aborts([&] {
    ThisProcess one(stage.table(), stage.bells(), 0), two(stage.table(), stage.bells(), 0);
  }));
  CHECK(worlds::aborts([&] { ThisProcess wrong(stage.table(), stage.bells(), 2); }));
  CHECK(worlds::aborts([&] { stage.table().node(128); }));
  disownLatch(stage.table().at(0).latch);  // the first of these aborted while it owned it
  CHECK(worlds::aborts([&] {
    ThisProcess self(stage.table(), stage.bells(), 0);
    (void)self.takeNode(false);
    self.leave();
  }));
}

TEST("waits of the event loop leave nodes for the blocking ones") {
  Stage stage(2, 64);
  ThisProcess self(stage.table(), stage.bells(), 1);
  std::vector<uint32_t> taken;
  for (uint32_t node; (node = self.takeNode(false)) != ThisProcess::kNoNode;) taken.push_back(node);
  CHECK_EQUAL(taken.size(), size_t{kNodesPerSlot - ThisProcess::kNodesForBlocking});
  for (uint32_t i = 0; i < ThisProcess::kNodesForBlocking; ++i)
    taken.push_back(self.takeNode(true));
  CHECK_EQUAL(self.takeNode(true), ThisProcess::kNoNode);
  for (uint32_t node : taken) {
    CHECK_EQUAL(ProcessTable::slotOf(node), 1U);
    self.returnNode(node);
  }
  self.leave();
}

WORLD_TEST("two who set each other's latch never miss it, on the futex") {
  Stage stage(2, 64);
  stage.run(world, 2, [](Player& player) { pingPong(player, scaled(40000), patiently()); });
}

WORLD_TEST("two who set each other's latch never miss it, on the doorbell") {
  Stage stage(2, 64);
  sigset_t none = emptyMask();
  stage.run(world, 2, [&](Player& player) { pingPong(player, scaled(40000), onDoorbell(&none)); });
}

WORLD_TEST("seven set one latch, and all that they sent is seen") {
  const uint32_t rounds = scaled(200000);
  Stage stage(8, sizeof(Counters));
  stage.run(world, 8, [&](Player& player) {
    auto& counters = player.shared<Counters>();
    std::atomic<uint32_t>& latch = player.self.table().at(0).latch;
    if (player.index != 0) {
      for (uint32_t i = 1; i <= rounds; ++i) {
        counters.sent[player.index].store(i, std::memory_order_relaxed);
        setLatch(player.self, latch);
      }
      return;
    }
    for (;;) {
      resetLatch(latch);
      uint64_t sum = 0;
      for (auto& sent : counters.sent) sum += sent.load(std::memory_order_relaxed);
      if (sum == 7ULL * rounds) break;
      CHECK(waitLatch(player.self, latch, patiently()) == WaitEnd::satisfied);
    }
  });
}

WORLD_TEST("a set between the sleeper's mark and its last look is found") {
  setWhileAt("sleep-prepared", world, patiently());
  sigset_t none = emptyMask();
  setWhileAt("sleep-prepared", world, onDoorbell(&none));
}

WORLD_TEST("a set between the last look and the sleep wakes") {
  setWhileAt("sleep-checked", world, patiently());
  sigset_t none = emptyMask();
  setWhileAt("sleep-checked", world, onDoorbell(&none));
}

WORLD_TEST(
    "a setter that stands between the bit and the wake does not hold up an owner that looks") {
  Stage stage(3, 64);
  worlds::Meeting meeting;
  DescriptorPair seen = processes::pipePair();
  stage.run(world, 2, [&](Player& player) {
    std::atomic<uint32_t>& latch = player.self.table().at(0).latch;
    if (player.index == 1) {
      meeting.arm("latch-set");
      setLatch(player.self, latch);
      return;
    }
    meeting.await();
    CHECK(waitLatch(player.self, latch, patiently()) == WaitEnd::satisfied);
    resetLatch(latch);
    meeting.letGo();
    // The setter's ring, if it comes, is one for nothing.
    CHECK(waitLatch(player.self, latch, {.deadlineNs = 0}) == WaitEnd::timedOut);
  });
}

WORLD_TEST("an event loop that watches its doorbell is woken, and not by what it has seen") {
  Stage stage(2, sizeof(Counters));
  DescriptorPair seen = processes::pipePair();
  stage.run(world, 2, [&](Player& player) {
    std::atomic<uint32_t>& latch = player.self.table().at(0).latch;
    for (int round = 0; round < 200; ++round) {
      if (player.index == 1) {
        setLatch(player.self, latch);
        CHECK_EQUAL(processes::readByte(seen.first.get()), 1);
        continue;
      }
      player.self.prepareToSleep();
      while (!latchIsSet(latch)) {
        pollfd bell{player.self.doorbell(), POLLIN, 0};
        CHECK_EQUAL(poll(&bell, 1, processes::kPatienceMs), 1);
        player.self.consume();
        if (!latchIsSet(latch)) player.self.prepareToSleep();
      }
      resetLatch(latch);
      processes::writeByte(seen.second.get(), 1);
    }
  });
}

TEST("a blocking wait gives a swallowed ring back to the loop") {
  Stage stage(1, 64);
  ThisProcess self(stage.table(), stage.bells(), 0);
  self.loopWatches(true);
  self.prepareToSleep();
  setLatch(self, self.latch());
  CHECK(waitLatch(self, self.latch(), patiently()) == WaitEnd::satisfied);
  pollfd bell{self.doorbell(), POLLIN, 0};
  CHECK_EQUAL(poll(&bell, 1, 0), 1);
  self.consume();
  CHECK_EQUAL(poll(&bell, 1, 0), 0);
  self.leave();
}

TEST("a blocking wait rings for the loop only if it took something from it") {
  Stage stage(1, 64);
  DescriptorPair death = processes::pipePair();
  ThisProcess self(stage.table(), stage.bells(), 0, death.first.get());
  self.loopWatches(true);
  pollfd bell{self.doorbell(), POLLIN, 0};
  auto timesOut = [&](bool postmasterDeath) {
    CHECK(waitLatch(self, self.latch(),
                    {.deadlineNs = deadlineInMs(1), .postmasterDeath = postmasterDeath}) ==
          WaitEnd::timedOut);
    return poll(&bell, 1, 0);
  };
  for (bool byPoll : {false, true}) {
    CHECK_EQUAL(timesOut(byPoll), 0);
    // The mark that is taken away is one of the loop's: nobody would ring it any more.
    self.prepareToSleep();
    CHECK_EQUAL(timesOut(byPoll), 1);
    self.consume();
    CHECK_EQUAL(timesOut(byPoll), 0);
    // A ring that came before the wait is still there after it.
    self.prepareToSleep();
    self.wake(0);
    CHECK_EQUAL(timesOut(byPoll), 1);
    self.consume();
  }
  self.leave();
}

TEST("timeout, signal and the postmaster's death end a wait") {
  Stage stage(1, 64);
  DescriptorPair death = processes::pipePair();
  ThisProcess self(stage.table(), stage.bells(), 0, death.first.get());
  int64_t before = monotonicNs();
  CHECK(waitLatch(self, self.latch(), {.deadlineNs = deadlineInMs(20)}) == WaitEnd::timedOut);
  CHECK(monotonicNs() - before >= 20000000);
  CHECK(waitLatch(self, self.latch(), {.deadlineNs = deadlineInMs(5), .postmasterDeath = false}) ==
        WaitEnd::timedOut);

  struct sigaction action {
  }, old{};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, &old);
  sigset_t blocked, none = emptyMask();
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  raise(SIGUSR1);  // pending: it comes in while we sleep, and only then
  CHECK(waitLatch(self, self.latch(), onDoorbell(&none)) == WaitEnd::interrupted);
  raise(SIGUSR1);
  CHECK(waitLatch(self, self.latch(),
                  {.deadlineNs = deadlineInMs(10), .signalMask = &none, .interruptible = false}) ==
        WaitEnd::timedOut);
  pthread_sigmask(SIG_UNBLOCK, &blocked, nullptr);
  sigaction(SIGUSR1, &old, nullptr);

  death.second.reset();
  CHECK(waitLatch(self, self.latch(), patiently()) == WaitEnd::postmasterDied);
  CHECK(waitLatch(self, self.latch(), {.deadlineNs = 0, .postmasterDeath = false}) ==
        WaitEnd::timedOut);
  setLatch(self, self.latch());
  CHECK(waitLatch(self, self.latch(), patiently()) == WaitEnd::satisfied);
  self.leave();
}

TEST("a wake costs no system call unless the owner sleeps") {
  Stage stage(2, 64);
  ThisProcess self(stage.table(), stage.bells(), 0), other(stage.table(), stage.bells(), 1);
  pollfd bell{self.doorbell(), POLLIN, 0};
  setLatch(other, self.latch());
  other.wake(0);
  other.wakeWithLatch(0);
  CHECK_EQUAL(poll(&bell, 1, 0), 0);
  self.prepareToSleep();
  other.wake(0);
  CHECK_EQUAL(poll(&bell, 1, 0), 1);
  self.consume();
  self.leave();
  other.leave();
}
