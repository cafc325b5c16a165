// face_locks_test.cc: latches, spinlocks and LWLocks by way of the C tables.

#include <cstring>

#include "test/face_stage.h"

using namespace bgworker;
using face_stage::Actor;
using face_stage::api;
using face_stage::Stage;

namespace {

struct Shared {
  bgworker_padded_lwlock lock;
  bgworker_latch latches[8];
  bgworker_spinlock spin;
  uint64_t plain; /* under lock, or spin */
  std::atomic<uint32_t> turn;
};

Shared& shared(bgworker_context* context) { return face_stage::shared<Shared>(context); }

}  // namespace

// ---- latches

TEST("a latch: owned once, set by anyone, waited on by its owner") {
  Stage stage;
  Stage::Own one(stage, 0), two(stage, 1);
  bgworker_context *c = one.actor, *d = two.actor;
  bgworker_latch* latch = &shared(c).latches[0];
  face_stage::checkRows({
      CALLED(api.latch->init(c, latch), 0),
      CALLED(api.latch->disown(c, latch), BGWORKER_ERR_LATCH_FOREIGN),
      CALLED(api.latch->wait(c, latch, 0), BGWORKER_ERR_LATCH_FOREIGN),
      CALLED(api.latch->set(d, latch), 0),
      CALLED(api.latch->own(c, latch), 0),
      CALLED(api.latch->is_set(c, latch), 1),
      CALLED(api.latch->own(c, latch), BGWORKER_ERR_LATCH_OWNED),
      CALLED(api.latch->own(d, latch), BGWORKER_ERR_LATCH_OWNED),
      CALLED(api.latch->reset(d, latch), BGWORKER_ERR_LATCH_FOREIGN),
      CALLED(api.latch->wait(d, latch, -1), BGWORKER_ERR_LATCH_FOREIGN),
      CALLED(api.latch->disown(d, latch), BGWORKER_ERR_LATCH_FOREIGN),
      CALLED(api.latch->wait(c, latch, -1), BGWORKER_LATCH_SET),
      CALLED(api.latch->wait(c, latch, -1), BGWORKER_LATCH_SET),
      CALLED(api.latch->reset(c, latch), 0),
      CALLED(api.latch->is_set(c, latch), 0),
      CALLED(api.latch->wait(c, latch, 0), BGWORKER_TIMEOUT),
      CALLED(api.latch->wait(c, latch, 1), BGWORKER_TIMEOUT),
      CALLED(api.latch->disown(c, latch), 0),
      CALLED(api.latch->own(d, latch), 0),
      // The process latch, by null, and that of another by its slot.
      CALLED(api.latch->set_slot(c, 1), 0),
      CALLED(api.latch->is_set(d, nullptr), 1),
      CALLED(api.latch->reset(d, nullptr), 0),
      CALLED(api.latch->is_set(d, nullptr), 0),
      CALLED(api.latch->set_slot(c, 8), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.latch->own(c, nullptr), BGWORKER_ERR_LATCH_OWNED),
      CALLED(api.latch->disown(c, nullptr), BGWORKER_ERR_INVALID_ARGUMENT),
  });
  // Memory that was never a latch.
  latch->word = 0x7fffffff;
  CHECK_EQUAL(api.latch->set(c, latch), BGWORKER_ERR_CORRUPT);
}

TEST(
    "wait() tells of the process latch and resets it; a latch that is owned is disowned at the "
    "end") {
  Stage stage;
  bgworker_latch* latch = nullptr;
  {
    Stage::Own one(stage, 0);
    latch = &shared(one.actor).latches[0];
    CHECK_EQUAL(api.latch->own(one.actor, latch), 0);
    CHECK_EQUAL(api.wait(one.actor, 0), static_cast<unsigned>(BGWORKER_TIMEOUT));
    CHECK_EQUAL(api.latch->set(one.actor, nullptr), 0);
    CHECK_EQUAL(api.wait(one.actor, -1), static_cast<unsigned>(BGWORKER_LATCH_SET));
    CHECK_EQUAL(api.wait(one.actor, 0), static_cast<unsigned>(BGWORKER_TIMEOUT));
  }
  Stage::Own two(stage, 0);
  CHECK_EQUAL(api.latch->own(two.actor, latch), 0);
}

WORLD_TEST("two play ping-pong by latches") {
  const uint32_t rounds = worlds::scaled(20000);
  Stage stage;
  stage.run(world, 2, [&](Actor& actor) {
    Shared& all = shared(actor);
    bgworker_latch* own = &all.latches[actor.index];
    bgworker_latch* other = &all.latches[1 - actor.index];
    CHECK_EQUAL(api.latch->own(actor, own), 0);
    for (uint32_t i = 0; i < rounds; ++i) {
      while (all.turn.load() != 2 * i + actor.index) {
        CHECK(api.latch->wait(actor, own, processes::kPatienceMs) == BGWORKER_LATCH_SET);
        CHECK_EQUAL(api.latch->reset(actor, own), 0);
      }
      all.turn.fetch_add(1);
      CHECK_EQUAL(api.latch->set(actor, other), 0);
    }
  });
}

// ---- spinlocks

TEST("a spinlock: taken, tried, released; one that stays taken is stuck, and no abort") {
  Stage stage;
  Stage::Own one(stage, 0);
  bgworker_context* c = one.actor;
  bgworker_spinlock* lock = &shared(c).spin;
  one.actor.own.holdings->spinLimits = {.spins = 2, .yields = 0, .sleeps = 2, .minSleepUs = 1};
  face_stage::checkRows({
      CALLED(api.spinlock->init(c, lock), 0),
      CALLED(api.spinlock->release(c, lock), BGWORKER_ERR_LOCK_NOT_HELD),
      CALLED(api.spinlock->acquire(c, lock), 0),
      CALLED(api.spinlock->try_acquire(c, lock), 0),
      CALLED(api.spinlock->acquire(c, lock), BGWORKER_ERR_LOCK_STUCK),
      CALLED(api.spinlock->release(c, lock), 0),
      CALLED(api.spinlock->try_acquire(c, lock), 1),
      CALLED(api.spinlock->release(c, lock), 0),
  });
}

WORLD_TEST("eight who count under a lock lose nothing: spinlock and LWLock") {
  const uint32_t rounds = worlds::scaled(50000);
  Stage stage;
  stage.run(world, 8, [&](Actor& actor) {
    Shared& all = shared(actor);
    for (uint32_t i = 0; i < rounds; ++i) {
      CHECK(api.lwlock->acquire(actor, &all.lock.lock, BGWORKER_LW_EXCLUSIVE) >= 0);
      ++all.plain;
      CHECK_EQUAL(api.lwlock->release(actor, &all.lock.lock), 0);
    }
  });
  stage.run(world, 4, [&](Actor& actor) {
    Shared& all = shared(actor);
    for (uint32_t i = 0; i < rounds / 8; ++i) {
      CHECK_EQUAL(api.spinlock->acquire(actor, &all.spin), 0);
      ++all.plain;
      CHECK_EQUAL(api.spinlock->release(actor, &all.spin), 0);
    }
  });
  Stage::Own late(stage, 0);
  CHECK_EQUAL(shared(late.actor).plain, uint64_t{8} * rounds + uint64_t{4} * (rounds / 8));
}

// ---- LWLocks

TEST("a lock: its modes, its holders, and what it refuses") {
  Stage stage;
  Stage::Own one(stage, 0), two(stage, 1);
  bgworker_context *c = one.actor, *d = two.actor;
  bgworker_lwlock* lock = &shared(c).lock.lock;
  constexpr int kShared = BGWORKER_LW_SHARED, kExclusive = BGWORKER_LW_EXCLUSIVE;
  face_stage::checkRows({
      CALLED(api.lwlock->init(c, lock), 0),
      CALLED(api.lwlock->release(c, lock), BGWORKER_ERR_LOCK_NOT_HELD),
      CALLED(api.lwlock->acquire(c, lock, 2), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.lwlock->conditional_acquire(c, lock, -1), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.lwlock->acquire(c, lock, kShared), 1),
      CALLED(api.lwlock->held_by_me(c, lock), 1),
      CALLED(api.lwlock->held_by_me(d, lock), 0),
      CALLED(api.lwlock->acquire(d, lock, kShared), 1),
      CALLED(api.lwlock->conditional_acquire(d, lock, kExclusive), 0),
      CALLED(api.lwlock->release(d, lock), 0),
      CALLED(api.lwlock->release(d, lock), BGWORKER_ERR_LOCK_NOT_HELD),
      // It would wait for itself.
      CALLED(api.lwlock->acquire(c, lock, kExclusive), BGWORKER_ERR_LOCK_HELD),
      CALLED(api.lwlock->acquire_or_wait(c, lock, kExclusive), BGWORKER_ERR_LOCK_HELD),
      CALLED(api.lwlock->conditional_acquire(c, lock, kExclusive), 0),
      CALLED(api.lwlock->acquire(c, lock, kShared), 1),
      CALLED(api.lwlock->init(c, lock), BGWORKER_ERR_LOCK_HELD),
      CALLED(api.lwlock->release(c, lock), 0),
      CALLED(api.lwlock->release(c, lock), 0),
      CALLED(api.lwlock->acquire_or_wait(c, lock, kExclusive), 1),
      CALLED(api.lwlock->conditional_acquire(d, lock, kShared), 0),
      CALLED(api.lwlock->acquire(c, lock, kShared), BGWORKER_ERR_LOCK_HELD),
      CALLED(api.lwlock->release_all(c), 0),
      CALLED(api.lwlock->held_by_me(c, lock), 0),
      CALLED(api.lwlock->conditional_acquire(d, lock, kExclusive), 1),
  });
}

TEST("200 locks and no more; all are free when the worker ends, and those of a segment with it") {
  Stage stage;
  Stage::Own two(stage, 1);
  bgworker_padded_lwlock* locks = nullptr;
  bgworker_segment segment{}, same{};
  {
    Stage::Own one(stage, 0);
    bgworker_context* c = one.actor;
    CHECK_EQUAL(api.lwlock->named_group(c, "many", 201, &locks), 0);
    for (int i = 0; i < 200; ++i) {
      CHECK_EQUAL(api.lwlock->acquire(c, &locks[i].lock, i % 2), 1);
    }
    face_stage::checkRows({
        CALLED(api.lwlock->acquire(c, &locks[200].lock, 0), BGWORKER_ERR_TOO_MANY_LOCKS),
        CALLED(api.lwlock->conditional_acquire(c, &locks[200].lock, 0),
               BGWORKER_ERR_TOO_MANY_LOCKS),
        CALLED(api.lwlock->acquire_or_wait(c, &locks[200].lock, 0), BGWORKER_ERR_TOO_MANY_LOCKS),
        CALLED(api.lwlock->release(c, &locks[0].lock), 0),
        CALLED(api.dsm->create(c, sizeof(bgworker_lwlock), &segment), 0),
        CALLED(api.lwlock->acquire(c, static_cast<bgworker_lwlock*>(segment.address), 1), 1),
        CALLED(api.dsm->attach(two.actor, segment.handle, &same), 0),
        CALLED(api.lwlock->conditional_acquire(two.actor,
                                               static_cast<bgworker_lwlock*>(same.address), 0),
               0),
        CALLED(api.dsm->detach(c, segment.handle), 0),
        CALLED(api.lwlock->conditional_acquire(two.actor,
                                               static_cast<bgworker_lwlock*>(same.address), 1),
               1),
        CALLED(api.lwlock->conditional_acquire(two.actor, &locks[1].lock, 0), 0),
    });
  }
  for (int i = 0; i < 199; ++i) {
    CHECK_EQUAL(api.lwlock->conditional_acquire(two.actor, &locks[i].lock, 1), 1);
  }
}

TEST("a named lock is the one that lib/shared/names.ts lays, beside the struct of its name") {
  Stage stage;
  Stage::Own one(stage, 0);
  bgworker_context* c = one.actor;
  const std::string longest(56, 'n'), tooLong(57, 'n');
  bgworker_lwlock *lock = nullptr, *again = nullptr;
  bgworker_padded_lwlock* group = nullptr;
  bgworker_cv* cv = nullptr;
  bgworker_barrier *barrier = nullptr, *four = nullptr;
  void* address = nullptr;
  uint32_t count = 0;
  face_stage::checkRows({
      CALLED(api.lwlock->named(c, "hits", &lock), 0),
      CALLED(api.lwlock->named(c, "hits", &again), 1),
      CALLED(api.shmem->init_struct(c, "hits", 16, nullptr, nullptr, &address), 0),
      CALLED(api.shmem->init_struct(c, "lwlock:hits", 64, nullptr, nullptr, &address), 1),
      CALLED(api.lwlock->named_group(c, "hits", 1, &group), 1),
      CALLED(api.lwlock->named_group(c, "hits", 2, &group), BGWORKER_ERR_ENTRY_SIZE_WRONG),
      CALLED(api.lwlock->named_group(c, "none", 0, &group), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.lwlock->named_group(c, "none", 65537, &group), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.lwlock->named(c, "", &again), BGWORKER_ERR_NAME_EMPTY),
      CALLED(api.lwlock->named(c, nullptr, &again), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.lwlock->named(c, longest.c_str(), &again), 0),
      CALLED(api.lwlock->named(c, tooLong.c_str(), &again), BGWORKER_ERR_NAME_TOO_LONG),
      CALLED(api.cv->named(c, "hits", &cv), 0),
      CALLED(api.shmem->init_struct(c, "cv:hits", 16, nullptr, nullptr, &address), 1),
      CALLED(api.barrier->named(c, "hits", 0, &barrier), 0),
      CALLED(api.shmem->init_struct(c, "barrier:hits", 40, nullptr, nullptr, &address), 1),
      CALLED(api.barrier->named(c, "hits", 4, &four), BGWORKER_ERR_PARAMETERS_WRONG),
      CALLED(api.barrier->named(c, "four", 4, &four), 0),
      CALLED(api.barrier->named(c, "four", 4, &four), 1),
      CALLED(api.barrier->named(c, "four", 3, &barrier), BGWORKER_ERR_PARAMETERS_WRONG),
      CALLED(api.barrier->named(c, "four", 0, &barrier), BGWORKER_ERR_PARAMETERS_WRONG),
      CALLED(api.barrier->named(c, "many", 262144, &barrier), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.barrier->participants(c, four, &count), 0),
  });
  CHECK_EQUAL(count, 4U);
  CHECK_EQUAL(api.lwlock->named(c, "hits", &again), 1);
  CHECK(lock == again);
  CHECK(static_cast<void*>(group) == lock);
}

TEST("a lock's waits end with the postmaster, and hold nothing") {
  for (const bool orWait : {false, true}) {
    Stage stage;
    bgworker::DescriptorPair death = processes::pipePair();
    Stage::Own holder(stage, 0);
    bgworker_lwlock* lock = &shared(holder.actor).lock.lock;
    CHECK_EQUAL(api.lwlock->acquire(holder.actor, lock, BGWORKER_LW_EXCLUSIVE), 1);
    pid_t child = processes::inChild([&] {
      death.second.reset();
      Stage::Own waiter(stage, 1, death.first.get());
      const auto verb = orWait ? api.lwlock->acquire_or_wait : api.lwlock->acquire;
      CHECK_EQUAL(verb(waiter.actor, lock, BGWORKER_LW_SHARED), BGWORKER_ERR_POSTMASTER_DIED);
      CHECK_EQUAL(api.lwlock->held_by_me(waiter.actor, lock), 0);
      return 0;
    });
    death.second.reset();
    CHECK_EQUAL(processes::waitFor(child), 0);
    CHECK_EQUAL(api.lwlock->release(holder.actor, lock), 0);
    CHECK_EQUAL(api.lwlock->conditional_acquire(holder.actor, lock, BGWORKER_LW_EXCLUSIVE), 1);
  }
}
