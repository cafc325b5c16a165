// sync_condition_test.cc: condition variables: oldest first, all of now, none lost.

#include <memory>

#include "core/sync/condition_variable.h"
#include "test/worlds.h"

using namespace bgworker;
using worlds::patiently;
using worlds::Player;
using worlds::scaled;
using worlds::Stage;

namespace {

struct Shared {
  SharedConditionVariable cv;
  SharedConditionVariable other;
  SharedSpinlock lock;
  uint64_t items; /* under lock */
  uint64_t taken; /* under lock */
  std::atomic<uint32_t> phase;
};

}  // namespace

WORLD_TEST("what producers signal, consumers take, to the last item") {
  const uint64_t rounds = scaled(40000);
  Stage stage(8, sizeof(Shared));
  stage.run(world, 8, [&](Player& player) {
    auto& shared = player.shared<Shared>();
    if (player.index < 3) {
      for (uint64_t i = 0; i < rounds; ++i) {
        {
          SpinGuard guard(shared.lock);
          ++shared.items;
        }
        signalOne(player.self, shared.cv);
      }
      return;
    }
    ConditionSleeper sleeper(player.self);
    for (bool done = false; !done;) {
      bool took = false;
      {
        SpinGuard guard(shared.lock);
        took = shared.items > 0;
        if (took) {
          --shared.items;
          ++shared.taken;
        }
        done = shared.taken == 3 * rounds;
      }
      if (!took && !done) CHECK(sleeper.sleep(shared.cv, patiently()) == WaitEnd::satisfied);
    }
    sleeper.cancel();
    broadcast(player.self, shared.cv);  // the others see that it is done
  });
  CHECK_EQUAL(stage.shared<Shared>().taken, 3 * rounds);
  CHECK_EQUAL(stage.shared<Shared>().cv.waiters.head.load(), 0U);
}

WORLD_TEST("a broadcast wakes everyone who waits, each time") {
  const uint32_t rounds = scaled(5000);
  Stage stage(8, sizeof(Shared));
  stage.run(world, 8, [&](Player& player) {
    auto& shared = player.shared<Shared>();
    if (player.index == 0) {
      for (uint32_t round = 1; round <= rounds; ++round) {
        shared.phase.store(round);
        broadcast(player.self, shared.cv);
      }
      return;
    }
    ConditionSleeper sleeper(player.self);
    sleeper.prepare(shared.cv);
    while (shared.phase.load() != rounds) {
      CHECK(sleeper.sleep(shared.cv, patiently()) == WaitEnd::satisfied);
    }
    sleeper.cancel();
  });
}

TEST("signal wakes the oldest, broadcast all of now, and who is woken queues at the end") {
  Stage stage(3, sizeof(Shared));
  auto& cv = stage.shared<Shared>().cv;
  ThisProcess a(stage.table(), stage.bells(), 0), b(stage.table(), stage.bells(), 1),
      c(stage.table(), stage.bells(), 2);
  {
    ConditionWait first(a), second(b), third(c);
    signalOne(a, cv);  // nobody
    CHECK(first.begin(cv) && second.begin(cv));
    signalOne(c, cv);
    CHECK(!second.takeWake() && first.takeWake() && !first.takeWake());
    signalOne(c, cv);
    CHECK(!first.takeWake() && second.takeWake());
    broadcast(c, cv);
    CHECK(third.begin(cv));
    CHECK(first.takeWake() && second.takeWake() && !third.takeWake());
    // Cancelling says whether a signal was swallowed, for it to be passed on.
    signalOne(a, cv);
    CHECK(third.cancel() && !third.cancel());
    CHECK(!first.cancel());
    signalOne(a, cv);
    CHECK(second.takeWake());
  }
  CHECK_EQUAL(cv.waiters.head.load(), 0U);
  for (ThisProcess* process : {&a, &b, &c}) process->leave();
}

TEST("a broadcast reaches who has waited while others came and went four billion times") {
  Stage stage(2, sizeof(Shared));
  auto& cv = stage.shared<Shared>().cv;
  ThisProcess a(stage.table(), stage.bells(), 0), b(stage.table(), stage.bells(), 1);
  for (uint32_t others : {1U << 31, (1U << 31) + 1, UINT32_MAX}) {
    ConditionWait old(a);
    CHECK(old.begin(cv));
    cv.tickets.fetch_add(others);
    ConditionWait young(b);
    CHECK(young.begin(cv));
    broadcast(b, cv);
    CHECK(old.takeWake() && young.takeWake());
  }
  for (ThisProcess* process : {&a, &b}) process->leave();
}

TEST("a broadcast reaches more waiters than it wakes at once, and one process may have many") {
  Stage stage(4, sizeof(Shared));
  auto& cv = stage.shared<Shared>().cv;
  cv.tickets.store(UINT32_MAX - 50);  // they wrap
  std::vector<std::unique_ptr<ThisProcess>> all;
  std::vector<std::unique_ptr<ConditionWait>> waits;
  for (uint32_t slot = 0; slot < 4; ++slot) {
    all.push_back(std::make_unique<ThisProcess>(stage.table(), stage.bells(), slot));
    for (int i = 0; i < 50; ++i) {
      waits.push_back(std::make_unique<ConditionWait>(*all.back()));
      CHECK(waits.back()->begin(cv));
    }
  }
  broadcast(*all[0], cv);
  for (auto& wait : waits) CHECK(wait->takeWake() && !wait->takeWake());
  waits.clear();
  for (auto& process : all) process->leave();
}

TEST("sleep without prepare returns at once, preparing another ends the first, time ends it") {
  Stage stage(1, sizeof(Shared));
  auto& shared = stage.shared<Shared>();
  ThisProcess self(stage.table(), stage.bells(), 0);
  ConditionSleeper sleeper(self);
  CHECK(sleeper.sleep(shared.cv, {}) == WaitEnd::satisfied);
  CHECK(sleeper.sleep(shared.cv, {.deadlineNs = deadlineInMs(5)}) == WaitEnd::timedOut);
  signalOne(self, shared.cv);  // after a timeout it waits on, until it cancels
  CHECK(sleeper.sleep(shared.cv, {.deadlineNs = 0}) == WaitEnd::satisfied);
  sleeper.prepare(shared.other);
  CHECK_EQUAL(shared.cv.waiters.head.load(), 0U);
  signalOne(self, shared.other);
  CHECK(sleeper.cancel() && !sleeper.cancel());
  self.leave();
}

WORLD_TEST("a signal that comes before the sleep, and one that comes on the way back, count") {
  for (const char* point : {"sleep-prepared", "sleep-checked", "cv-woken"}) {
    Stage stage(2, sizeof(Shared));
    worlds::Meeting meeting;
    stage.run(world, 2, [&](Player& player) {
      auto& shared = player.shared<Shared>();
      bool onTheWay = std::strcmp(point, "cv-woken") == 0;
      if (player.index == 1) {
        meeting.await();
        shared.phase.fetch_add(1);
        signalOne(player.self, shared.cv);
        meeting.letGo();
        return;
      }
      ConditionSleeper sleeper(player.self);
      sleeper.prepare(shared.cv);
      if (onTheWay) signalOne(player.self, shared.cv);
      meeting.arm(point);
      while (shared.phase.load() == 0) {
        CHECK(sleeper.sleep(shared.cv, patiently()) == WaitEnd::satisfied);
      }
      sleeper.cancel();
      fault::disarmAll();
    });
  }
}
