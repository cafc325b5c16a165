// sync_lwlock_test.cc: the lock excludes, nobody starves, nobody is forgotten.

#include "core/sync/held_locks.h"
#include "core/sync/lwlock.h"
#include "test/worlds.h"

using namespace bgworker;
using lwlock::Mode;
using worlds::Player;
using worlds::scaled;
using worlds::Stage;

namespace {

struct Shared {
  PaddedLwlock locks[4];
  uint64_t plain;                    /* under locks[0] */
  uint64_t twin;                     /* under locks[0]; equal to plain */
  std::atomic<uint64_t> progress[8]; /* how often each had the lock */
  std::atomic<uint64_t> variable;
  std::atomic<uint32_t> stop;
  std::atomic<uint32_t> readers;
};

SharedLwlock& lockOf(Player& player, int which = 0) {
  return player.shared<Shared>().locks[which].lock;
}

/** Waits without blocking, as an event loop does, but for the loop. */
bool acquireAsLoop(Player& player, SharedLwlock& lock, Mode mode) {
  lwlock::Wait wait;
  switch (lwlock::begin(player.self, lock, mode, wait)) {
    case lwlock::Begun::acquired:
      return true;
    case lwlock::Begun::noNode:
      return false;
    case lwlock::Begun::waiting:
      break;
  }
  WaitOptions options = worlds::patiently();
  return player.self.waitUntil([&] { return lwlock::isGranted(player.self, wait); }, options) ==
         WaitEnd::satisfied;
}

void checkIdle(const Stage& stage) {
  SharedLwlock& lock = stage.shared<Shared>().locks[0].lock;
  CHECK_EQUAL(lock.state.load() & ~lwlock::kHandoff, 0U);
  CHECK_EQUAL(lock.waiters.head.load(), 0U);
  CHECK_EQUAL(lock.waiters.tail.load(), 0U);
}

}  // namespace

WORLD_TEST("eight who count under an exclusive lock lose nothing, and all progress") {
  const uint32_t rounds = scaled(200000);
  Stage stage(8, sizeof(Shared));
  stage.run(world, 8, [&](Player& player) {
    for (uint32_t i = 0; i < rounds; ++i) {
      lwlock::acquire(player.self, lockOf(player), Mode::exclusive);
      ++player.shared<Shared>().plain;
      if (i % 32 == 0) sched_yield();  // with two cores, else, few would ever meet
      lwlock::release(player.self, lockOf(player), Mode::exclusive);
    }
  });
  CHECK_EQUAL(stage.shared<Shared>().plain, 8ULL * rounds);
  checkIdle(stage);
}

WORLD_TEST("readers never see a writer's half-done work, whichever way each one waits") {
  const uint32_t rounds = scaled(100000);
  Stage stage(8, sizeof(Shared));
  stage.run(world, 8, [&](Player& player) {
    auto& shared = player.shared<Shared>();
    std::minstd_rand random(player.index + 1);
    for (uint32_t i = 0; i < rounds; ++i) {
      Mode mode = random() % 4 == 0 ? Mode::exclusive : Mode::shared;
      SharedLwlock& lock = lockOf(player);
      switch (random() % 3) {
        case 0:
          lwlock::acquire(player.self, lock, mode);
          break;
        case 1:
          CHECK(acquireAsLoop(player, lock, mode));
          break;
        default:
          if (!lwlock::tryAcquire(lock, mode)) continue;
      }
      if (mode == Mode::exclusive) {
        CHECK_EQUAL(shared.readers.load(), 0U);
        ++shared.plain;
        if (i % 16 == 0) sched_yield();
        ++shared.twin;
      } else {
        shared.readers.fetch_add(1);
        CHECK_EQUAL(shared.plain, shared.twin);
        shared.readers.fetch_sub(1);
      }
      lwlock::release(player.self, lock, mode);
    }
  });
  checkIdle(stage);
}

WORLD_TEST("waits that are cancelled at any moment leave a sound list and an awake successor") {
  const uint32_t rounds = scaled(100000);
  Stage stage(8, sizeof(Shared));
  stage.run(world, 8, [&](Player& player) {
    std::minstd_rand random(player.index + 7);
    SharedLwlock& lock = lockOf(player);
    for (uint32_t i = 0; i < rounds; ++i) {
      Mode mode = random() % 2 == 0 ? Mode::exclusive : Mode::shared;
      lwlock::Wait wait;
      lwlock::Begun begun = lwlock::begin(player.self, lock, mode, wait);
      if (begun == lwlock::Begun::waiting) {
        bool granted = false;
        for (uint32_t looks = random() % 64; looks > 0 && !granted; --looks) {
          granted = lwlock::isGranted(player.self, wait);
        }
        if (!granted) {
          // Half of the time it is in earnest, so that a lost wake-up would stop the test.
          if (random() % 2 == 0) {
            lwlock::cancel(player.self, wait);
            continue;
          }
          CHECK(player.self.waitUntil([&] { return lwlock::isGranted(player.self, wait); },
                                      worlds::patiently()) == WaitEnd::satisfied);
        }
      }
      if (i % 16 == 0) sched_yield();
      lwlock::release(player.self, lock, mode);
    }
  });
  checkIdle(stage);
}

WORLD_TEST("nobody starves: each of eight gets its share while all want the lock all the time") {
  Stage stage(8, sizeof(Shared));
  const uint64_t total = scaled(1000000);
  stage.run(world, 8, [&](Player& player) {
    auto& shared = player.shared<Shared>();
    for (bool done = false; !done;) {
      lwlock::acquire(player.self, lockOf(player), Mode::exclusive);
      done = ++shared.plain >= total;
      if (shared.plain % 64 == 0) sched_yield();
      shared.progress[player.index].fetch_add(1);
      lwlock::release(player.self, lockOf(player), Mode::exclusive);
    }
  });
  for (auto& progress : stage.shared<Shared>().progress) {
    CHECK(progress.load() * 8 * 20 >= total);  // at least a twentieth of a fair share
  }
}

WORLD_TEST("a writer gets through a crowd of readers that never lets the lock go") {
  Stage stage(8, sizeof(Shared));
  stage.run(world, 8, [&](Player& player) {
    auto& shared = player.shared<Shared>();
    if (player.index == 0) {
      for (int i = 0; i < 20; ++i) {
        lwlock::acquire(player.self, lockOf(player), Mode::exclusive);
        lwlock::release(player.self, lockOf(player), Mode::exclusive);
      }
      shared.stop.store(1);
      return;
    }
    // Two locks, crosswise, so that some reader has the lock at each moment.
    while (shared.stop.load() == 0) {
      lwlock::acquire(player.self, lockOf(player), Mode::shared);
      sched_yield();
      lwlock::release(player.self, lockOf(player), Mode::shared);
    }
  });
}

WORLD_TEST("a release between a waiter's last look and its sleep is not lost") {
  for (const char* point : {"lwlock-queued", "sleep-prepared", "sleep-checked"}) {
    Stage stage(2, sizeof(Shared));
    worlds::Meeting meeting;
    DescriptorPair held = processes::pipePair();
    stage.run(world, 2, [&](Player& player) {
      if (player.index == 0) {
        lwlock::acquire(player.self, lockOf(player), Mode::exclusive);
        processes::writeByte(held.second.get(), 1);
        meeting.await();
        lwlock::release(player.self, lockOf(player), Mode::exclusive);
        meeting.letGo();
      } else {
        CHECK_EQUAL(processes::readByte(held.first.get()), 1);
        meeting.arm(point);
        lwlock::acquire(player.self, lockOf(player), Mode::exclusive);
        lwlock::release(player.self, lockOf(player), Mode::exclusive);
        fault::disarmAll();
      }
    });
  }
}

WORLD_TEST("a waiter that gives up when it has been woken passes the wake on") {
  Stage stage(3, sizeof(Shared));
  DescriptorPair held = processes::pipePair(), first = processes::pipePair();
  DescriptorPair second = processes::pipePair(), released = processes::pipePair();
  stage.run(world, 3, [&](Player& player) {
    SharedLwlock& lock = lockOf(player);
    lwlock::Wait wait;
    if (player.index == 0) {
      lwlock::acquire(player.self, lock, Mode::exclusive);
      processes::writeByte(held.second.get(), 1);
      CHECK_EQUAL(processes::readByte(second.first.get()), 1);
      lwlock::release(player.self, lock, Mode::exclusive);
      processes::writeByte(released.second.get(), 1);
    } else if (player.index == 1) {
      CHECK_EQUAL(processes::readByte(held.first.get()), 1);
      CHECK(lwlock::begin(player.self, lock, Mode::exclusive, wait) == lwlock::Begun::waiting);
      processes::writeByte(first.second.get(), 1);
      CHECK_EQUAL(processes::readByte(released.first.get()), 1);
      CHECK(!lwlock::cancel(player.self, wait));
    } else {
      CHECK_EQUAL(processes::readByte(first.first.get()), 1);
      CHECK(lwlock::begin(player.self, lock, Mode::exclusive, wait) == lwlock::Begun::waiting);
      processes::writeByte(second.second.get(), 1);
      CHECK(player.self.waitUntil([&] { return lwlock::isGranted(player.self, wait); },
                                  worlds::patiently()) == WaitEnd::satisfied);
      lwlock::release(player.self, lock, Mode::exclusive);
    }
  });
  checkIdle(stage);
}

TEST("a holder that is killed leaves waiters that wait, and a sound list") {
  Stage stage(4, sizeof(Shared));
  DescriptorPair ready = processes::pipePair();
  auto begin = [&](uint32_t index, Mode mode) {
    pid_t child = stage.inProcess(index, [&](Player& player) {
      lwlock::Wait wait;
      lwlock::Begun begun = lwlock::begin(player.self, lockOf(player), mode, wait);
      processes::writeByte(ready.second.get(), begun == lwlock::Begun::waiting ? 2 : 1);
      (void)player.self.waitUntil([&] { return lwlock::isGranted(player.self, wait); }, {});
    });
    CHECK_EQUAL(processes::readByte(ready.first.get()), index == 0 ? 1 : 2);
    return child;
  };
  auto end = [](pid_t child) {
    kill(child, SIGKILL);
    CHECK(WIFSIGNALED(processes::waitFor(child)));
  };
  // The holder dies with the lock held: its body sleeps for ever on a wait that is none.
  pid_t holder = stage.inProcess(0, [&](Player& player) {
    lwlock::acquire(player.self, lockOf(player), Mode::exclusive);
    processes::writeByte(ready.second.get(), 1);
    (void)player.self.waitUntil([] { return false; }, {});
  });
  CHECK_EQUAL(processes::readByte(ready.first.get()), 1);
  pid_t waiters[3];
  for (uint32_t i = 0; i < 3; ++i)
    waiters[i] = begin(i + 1, i == 1 ? Mode::shared : Mode::exclusive);
  end(holder);
  SharedLwlock& lock = stage.shared<Shared>().locks[0].lock;
  CHECK(!lwlock::isFree(lock) && !lwlock::tryAcquire(lock, Mode::shared));
  WaitList list(stage.table(), lock.waiters);
  uint32_t node = list.front();
  for (uint32_t slot = 1; slot <= 3; ++slot, node = list.after(node)) {
    CHECK_EQUAL(ProcessTable::slotOf(node), slot);
  }
  CHECK_EQUAL(node, WaitList::kNone);
  for (pid_t waiter : waiters) end(waiter);
}

TEST("a conditional acquire has no side effect, and the words are JavaScript's") {
  SharedLwlock lock{};
  CHECK(lwlock::tryAcquire(lock, Mode::exclusive));
  CHECK_EQUAL(lock.state.load(), 1U << 24);
  CHECK(!lwlock::tryAcquire(lock, Mode::shared) && !lwlock::tryAcquire(lock, Mode::exclusive));
  CHECK_EQUAL(lock.state.load(), 1U << 24);
  lock.state.store(0);
  CHECK(lwlock::tryAcquire(lock, Mode::shared) && lwlock::tryAcquire(lock, Mode::shared));
  CHECK_EQUAL(lock.state.load(), 2U);
  CHECK(!lwlock::tryAcquire(lock, Mode::exclusive));
}

WORLD_TEST("acquireOrWait gets the lock, or waits until it was free and does not get it") {
  const uint32_t rounds = scaled(30000);
  Stage stage(4, sizeof(Shared));
  stage.run(world, 4, [&](Player& player) {
    SharedLwlock& lock = lockOf(player);
    for (uint32_t i = 0; i < rounds; ++i) {
      if (player.index < 2) {
        lwlock::acquire(player.self, lock, Mode::exclusive);
      } else if (lwlock::acquireOrWait(player.self, lock, Mode::exclusive) !=
                 lwlock::Acquired::atOnce) {
        continue;
      }
      ++player.shared<Shared>().plain;
      player.shared<Shared>().progress[player.index].fetch_add(1);
      lwlock::release(player.self, lock, Mode::exclusive);
    }
  });
  uint64_t sum = 0;
  for (auto& progress : stage.shared<Shared>().progress) sum += progress.load();
  CHECK_EQUAL(stage.shared<Shared>().plain, sum);
  checkIdle(stage);
}

WORLD_TEST("a variable of a lock is followed by those who wait for it, to the end") {
  const uint64_t last = scaled(5000);
  Stage stage(4, sizeof(Shared));
  DescriptorPair held = processes::pipePair();
  stage.run(world, 4, [&](Player& player) {
    auto& shared = player.shared<Shared>();
    SharedLwlock& lock = lockOf(player);
    if (player.index == 0) {
      lwlock::acquire(player.self, lock, Mode::exclusive);
      for (int i = 0; i < 3; ++i) processes::writeByte(held.second.get(), 1);
      for (uint64_t value = 1; value <= last; ++value) {
        lwlock::updateVar(player.self, lock, shared.variable, value);
      }
      lwlock::releaseClearVar(player.self, lock, shared.variable, 0);
      return;
    }
    CHECK_EQUAL(processes::readByte(held.first.get()), 1);
    uint64_t seen = 0, now = 0;
    while (!lwlock::waitForVar(player.self, lock, shared.variable, seen, &now)) {
      CHECK(now > seen || now == 0);  // 0: cleared, an instant before the release
      seen = now;
    }
    CHECK_EQUAL(shared.variable.load(), 0U);
  });
  checkIdle(stage);
}

TEST("waitForVar ignores who shares the lock") {
  Stage stage(1, sizeof(Shared));
  ThisProcess self(stage.table(), stage.bells(), 0);
  SharedLwlock& lock = stage.shared<Shared>().locks[0].lock;
  std::atomic<uint64_t>& variable = stage.shared<Shared>().variable;
  uint64_t now = 99;
  lwlock::acquire(self, lock, Mode::shared);
  CHECK(lwlock::waitForVar(self, lock, variable, 0, &now));
  lwlock::release(self, lock, Mode::shared);
  lwlock::acquire(self, lock, Mode::exclusive);
  CHECK(!lwlock::waitForVar(self, lock, variable, 5, &now) && now == 0);
  lwlock::release(self, lock, Mode::exclusive);
  CHECK(worlds::aborts([&] { lwlock::updateVar(self, lock, variable, 1); }));
  CHECK(worlds::aborts([&] { lwlock::release(self, lock, Mode::shared); }));
  self.leave();
}

TEST("no more share a lock than its word can count, neither at once nor after a wait") {
  Stage stage(2, sizeof(Shared));
  ThisProcess a(stage.table(), stage.bells(), 0), b(stage.table(), stage.bells(), 1);
  SharedLwlock& lock = stage.shared<Shared>().locks[0].lock;
  lock.state.store(lwlock::kSharedMask);
  CHECK(worlds::aborts([&] { lwlock::tryAcquire(lock, Mode::shared); }));
  lock.state.store(0);
  lwlock::acquire(a, lock, Mode::exclusive);
  lwlock::Wait wait;
  CHECK(lwlock::begin(b, lock, Mode::shared, wait) == lwlock::Begun::waiting);
  lwlock::release(a, lock, Mode::exclusive);
  // It was woken; meanwhile as many as there can be have come.
  lock.state.fetch_add(lwlock::kSharedMask);
  CHECK(worlds::aborts([&] { lwlock::isGranted(b, wait); }));
  lock.state.fetch_sub(lwlock::kSharedMask);
  lock.listLock.word.store(0);  // which the one that aborted held
  CHECK(!lwlock::cancel(b, wait));
  for (ThisProcess* process : {&a, &b}) process->leave();
}

TEST("the list of held locks has its limit, and releases what was forgotten") {
  Stage stage(1, kMaxHeldLocks * sizeof(SharedLwlock) + 2 * sizeof(SharedLwlock));
  ThisProcess self(stage.table(), stage.bells(), 0);
  auto* locks = static_cast<SharedLwlock*>(stage.memory());
  HeldLocks held(self);
  using Got = HeldLocks::Got;
  CHECK(!held.release(locks[0]));
  for (uint32_t i = 0; i < kMaxHeldLocks; ++i) {
    Mode mode = i % 2 == 0 ? Mode::shared : Mode::exclusive;
    CHECK(held.acquire(locks[i], mode) == Got::atOnce);
    CHECK(held.holds(locks[i], mode) && held.holds(locks[i]));
  }
  SharedLwlock& more = locks[kMaxHeldLocks];
  CHECK(held.acquire(more, Mode::shared) == Got::tooMany);
  CHECK(held.acquireConditionally(more, Mode::shared) == Got::tooMany);
  CHECK(held.acquireOrWait(more, Mode::shared) == Got::tooMany);
  CHECK_EQUAL(more.state.load(), 0U);
  CHECK(held.release(locks[7]) && !held.release(locks[7]) && !held.holds(locks[7]));
  CHECK(held.acquireConditionally(locks[9], Mode::shared) == Got::notAcquired);
  CHECK(held.acquireOrWait(more, Mode::exclusive) == Got::atOnce);
  held.releaseAll();
  CHECK_EQUAL(held.count(), 0U);
  for (uint32_t i = 0; i <= kMaxHeldLocks; ++i) CHECK(lwlock::isFree(locks[i]));
  self.leave();
}

TEST("a list that somebody scribbled on stops the worker that finds it, within bounds") {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    Stage stage(2, sizeof(Shared));
    std::minstd_rand random(seed + 1);
    SharedLwlock& lock = stage.shared<Shared>().locks[0].lock;
    pid_t child = processes::inChild([&] {
      close(STDERR_FILENO);
      alarm(10);
      ThisProcess self(stage.table(), stage.bells(), 0);
      lock.state.store(lwlock::kExclusive | lwlock::kHasWaiters);
      lock.waiters.head.store(static_cast<uint32_t>(random()) % 200);
      lock.waiters.tail.store(static_cast<uint32_t>(random()) % 200);
      for (uint32_t i = 0; i < stage.table().nodeCount(); ++i) {
        WaitNode& node = stage.table().node(i);
        node.mode.store(static_cast<uint32_t>(random()) % 3);
        node.next.store(static_cast<uint32_t>(random()) % 150);
        node.prev.store(static_cast<uint32_t>(random()) % 150);
      }
      lwlock::release(self, lock, Mode::exclusive);
      return 0;
    });
    int status = processes::waitFor(child);
    CHECK(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGABRT);
  }
}
