// sync_barrier_test.cc: all arrive before any goes on, and one of them is elected.

#include "core/sync/barrier.h"
#include "test/worlds.h"

using namespace bgworker;
using barrier::Arrived;
using worlds::patiently;
using worlds::Player;
using worlds::scaled;
using worlds::Stage;

namespace {

constexpr uint32_t kPlayers = 4;
constexpr uint32_t kPhases = 1000;

struct Shared {
  SharedBarrier barrier;
  std::atomic<uint32_t> arrivals[kPhases + 1];
  std::atomic<uint32_t> elected[kPhases + 1];
  std::atomic<uint32_t> last;
  std::atomic<uint64_t> phases;
};

bool arrive(Player& player, SharedBarrier& it, bool blocking) {
  if (blocking) {
    Arrived arrived = barrier::arriveAndWait(player.self, it, {});
    CHECK(arrived == Arrived::elected || arrived == Arrived::notElected);
    return arrived == Arrived::elected;
  }
  barrier::Arrival arrival(player.self);
  if (arrival.begin(it) == barrier::Arrival::Begun::waiting) {
    CHECK(player.self.waitUntil([&] { return arrival.isReleased(); }, patiently()) ==
          WaitEnd::satisfied);
  }
  return arrival.elected();
}

}  // namespace

WORLD_TEST("a thousand phases: nobody is ahead of anybody, and each has one elected") {
  Stage stage(kPlayers, sizeof(Shared));
  barrier::init(stage.shared<Shared>().barrier, kPlayers);
  stage.run(world, kPlayers, [&](Player& player) {
    auto& shared = player.shared<Shared>();
    for (uint32_t phase = 0; phase < kPhases; ++phase) {
      CHECK_EQUAL(barrier::phase(shared.barrier), phase);
      shared.arrivals[phase].fetch_add(1);
      if (arrive(player, shared.barrier, player.index % 2 == 0)) shared.elected[phase].fetch_add(1);
      CHECK_EQUAL(shared.arrivals[phase].load(), kPlayers);
    }
  });
  for (uint32_t phase = 0; phase < kPhases; ++phase) {
    CHECK_EQUAL(stage.shared<Shared>().elected[phase].load(), 1U);
  }
}

WORLD_TEST("a dynamic barrier survives that everybody comes and goes") {
  const uint32_t rounds = scaled(10000);
  Stage stage(8, sizeof(Shared));
  stage.run(world, 8, [&](Player& player) {
    auto& shared = player.shared<Shared>();
    std::minstd_rand random(player.index + 3);
    for (uint32_t round = 0; round < rounds; ++round) {
      uint32_t phase = barrier::attach(shared.barrier);
      bool attached = true;
      for (uint32_t i = random() % 4; i > 0 && attached; --i) {
        CHECK_EQUAL(barrier::phase(shared.barrier), phase);
        if (arrive(player, shared.barrier, random() % 2 == 0)) shared.phases.fetch_add(1);
        ++phase;
      }
      switch (random() % 3) {
        case 0:
          barrier::detach(player.self, shared.barrier);
          break;
        case 1:
          barrier::arriveAndDetach(player.self, shared.barrier);
          break;
        default:
          if (barrier::arriveAndDetachExceptLast(player.self, shared.barrier)) {
            CHECK_EQUAL(barrier::phase(shared.barrier), phase + 1);
            barrier::detach(player.self, shared.barrier);
          }
      }
    }
  });
  CHECK_EQUAL(barrier::participants(stage.shared<Shared>().barrier), 0U);
  CHECK_EQUAL(stage.shared<Shared>().barrier.arrived.load(), 0U);
  CHECK_EQUAL(stage.shared<Shared>().barrier.advanced.waiters.head.load(), 0U);
}

WORLD_TEST("who detaches releases those who wait, and one of them is elected") {
  Stage stage(3, sizeof(Shared));
  DescriptorPair arrived = processes::pipePair();
  {
    ThisProcess self(stage.table(), stage.bells(), 0);
    for (int i = 0; i < 3; ++i) CHECK_EQUAL(barrier::attach(stage.shared<Shared>().barrier), 0U);
    self.leave();
  }
  stage.run(world, 3, [&](Player& player) {
    auto& shared = player.shared<Shared>();
    if (player.index == 0) {
      for (int i = 0; i < 2; ++i) CHECK_EQUAL(processes::readByte(arrived.first.get()), 1);
      CHECK(!barrier::detach(player.self, shared.barrier));
      return;
    }
    barrier::Arrival arrival(player.self);
    CHECK(arrival.begin(shared.barrier) == barrier::Arrival::Begun::waiting);
    processes::writeByte(arrived.second.get(), 1);
    CHECK(player.self.waitUntil([&] { return arrival.isReleased(); }, patiently()) ==
          WaitEnd::satisfied);
    if (arrival.elected()) shared.elected[0].fetch_add(1);
  });
  CHECK_EQUAL(stage.shared<Shared>().elected[0].load(), 1U);
  CHECK_EQUAL(barrier::phase(stage.shared<Shared>().barrier), 1U);
}

TEST("alone: each verb does to the phase what PostgreSQL's does") {
  Stage stage(1, sizeof(Shared));
  ThisProcess self(stage.table(), stage.bells(), 0);
  SharedBarrier& it = stage.shared<Shared>().barrier;
  CHECK_EQUAL(barrier::attach(it), 0U);
  CHECK(barrier::arriveAndWait(self, it, {}) == Arrived::elected);
  CHECK_EQUAL(barrier::phase(it), 1U);
  CHECK(barrier::detach(self, it));
  CHECK_EQUAL(barrier::phase(it), 1U);  // a plain detach of the last ends no phase
  CHECK_EQUAL(barrier::attach(it), 1U);
  CHECK(barrier::arriveAndDetach(self, it));
  CHECK_EQUAL(barrier::phase(it), 2U);
  CHECK_EQUAL(barrier::attach(it), 2U);
  CHECK(barrier::arriveAndDetachExceptLast(self, it));
  CHECK_EQUAL(barrier::phase(it), 3U);
  CHECK_EQUAL(barrier::participants(it), 1U);
  CHECK_EQUAL(barrier::attach(it), 3U);
  CHECK(!barrier::arriveAndDetachExceptLast(self, it));
  CHECK_EQUAL(barrier::participants(it), 1U);
  CHECK(barrier::detach(self, it));
  self.leave();
}

TEST("who gave up to wait and leaves takes the arrival along, unless the phase is over") {
  Stage stage(1, sizeof(Shared));
  ThisProcess self(stage.table(), stage.bells(), 0);
  SharedBarrier& it = stage.shared<Shared>().barrier;
  using Verb = bool (*)(ThisProcess&, SharedBarrier&, barrier::ArrivedIn);
  for (Verb leave : {Verb{barrier::detach}, Verb{barrier::arriveAndDetach},
                     Verb{barrier::arriveAndDetachExceptLast}}) {
    const uint32_t phase = barrier::attach(it);
    barrier::attach(it);
    {
      barrier::Arrival givenUp(self);
      CHECK(givenUp.begin(it) == barrier::Arrival::Begun::waiting);
    }
    CHECK(!leave(self, it, phase));
    CHECK_EQUAL(it.arrived.load(), 0U);
    CHECK_EQUAL(barrier::phase(it), phase);
    // The other one has not arrived yet, and ends the phase when it does.
    CHECK(barrier::arriveAndWait(self, it, {}) == Arrived::elected);
    barrier::attach(it);
    CHECK(!leave(self, it, phase));
    CHECK_EQUAL(barrier::phase(it), phase + 1);
    CHECK(barrier::detach(self, it));
  }
  self.leave();
}

TEST("misuse of a barrier stops the worker") {
  auto stops = [](uint32_t participants, void (*act)(ThisProcess&, SharedBarrier&)) {
    Stage stage(1, sizeof(Shared));
    ThisProcess self(stage.table(), stage.bells(), 0);
    barrier::init(stage.shared<Shared>().barrier, participants);
    CHECK(worlds::aborts([&] { act(self, stage.shared<Shared>().barrier); }));
    self.leave();
  };
  auto detach = [](ThisProcess& self, SharedBarrier& it) { (void)barrier::detach(self, it); };
  stops(0, detach);
  stops(0, [](ThisProcess& self, SharedBarrier& it) {
    barrier::attach(it);
    (void)barrier::detach(self, it, 0);  // it has not arrived
  });
  stops(0, [](ThisProcess& self, SharedBarrier& it) { barrier::arriveAndWait(self, it, {}); });
  stops(2, [](ThisProcess&, SharedBarrier& it) { barrier::attach(it); });
  stops(2, detach);
  stops(2,
        [](ThisProcess& self, SharedBarrier& it) { barrier::arriveAndDetachExceptLast(self, it); });
}

TEST("a wait at a barrier is interruptible, and the arrival stays") {
  Stage stage(1, sizeof(Shared));
  DescriptorPair death = processes::pipePair();
  ThisProcess self(stage.table(), stage.bells(), 0, death.first.get());
  SharedBarrier& it = stage.shared<Shared>().barrier;
  barrier::init(it, 2);
  death.second.reset();
  CHECK(barrier::arriveAndWait(self, it, {}) == Arrived::postmasterDied);
  CHECK_EQUAL(it.arrived.load(), 1U);
  CHECK_EQUAL(it.advanced.waiters.head.load(), 0U);
  self.leave();
}
