// sync_spinlock_test.cc: the spinlock excludes, and notices when it is stuck; the words for C.

#include "core/sync/atomics.h"
#include "core/sync/spinlock.h"
#include "test/worlds.h"

using namespace bgworker;
using worlds::Player;
using worlds::scaled;
using worlds::Stage;

namespace {

struct Shared {
  SharedSpinlock lock;
  uint64_t plain; /* under lock, and not atomic: a sanitizer sees if it is not */
  bgworker_atomic_u64 atomic;
};

}  // namespace

WORLD_TEST("eight who add under a spinlock, and without, lose nothing") {
  const uint32_t rounds = scaled(20000);
  Stage stage(8, sizeof(Shared));
  stage.run(world, 8, [&](Player& player) {
    auto& shared = player.shared<Shared>();
    for (uint32_t i = 0; i < rounds; ++i) {
      lockSpinlock(shared.lock, kInnerSpin);
      ++shared.plain;
      unlockSpinlock(shared.lock);
      bgworker_atomic_fetch_add_u64(&shared.atomic, 1);
    }
  });
  CHECK_EQUAL(stage.shared<Shared>().plain, 8ULL * rounds);
  CHECK_EQUAL(bgworker_atomic_read_u64(&stage.shared<Shared>().atomic), 8ULL * rounds);
}

TEST("a spinlock whose holder is gone is stuck, and the waiter panics") {
  SharedSpinlock lock{};
  const SpinLimits quick{.spins = 10, .sleeps = 5, .minSleepUs = 10, .maxSleepUs = 20};
  CHECK(trySpinlock(lock) && !trySpinlock(lock));
  CHECK(!lockSpinlockWithin(lock, quick));
  CHECK(worlds::aborts([&] { lockSpinlock(lock, quick); }));
  unlockSpinlock(lock);
  CHECK(lockSpinlockWithin(lock, quick));
}

TEST("the atomic words do what PostgreSQL's do") {
  bgworker_atomic_u32 word;
  bgworker_atomic_init_u32(&word, 5);
  CHECK_EQUAL(bgworker_atomic_exchange_u32(&word, 7), 5U);
  uint32_t expected = 6;
  CHECK(!bgworker_atomic_compare_exchange_u32(&word, &expected, 9));
  CHECK_EQUAL(expected, 7U);
  CHECK(bgworker_atomic_compare_exchange_u32(&word, &expected, 9));
  CHECK_EQUAL(bgworker_atomic_fetch_sub_u32(&word, 10), 9U);
  CHECK_EQUAL(bgworker_atomic_fetch_or_u32(&word, 1), UINT32_MAX);
  CHECK_EQUAL(bgworker_atomic_fetch_and_u32(&word, 12), UINT32_MAX);
  CHECK_EQUAL(bgworker_atomic_read_u32(&word), 12U);
  bgworker_atomic_write_u32(&word, 1);
  CHECK_EQUAL(bgworker_atomic_fetch_add_u32(&word, 1), 1U);
  bgworker_atomic_flag flag{};
  CHECK(bgworker_atomic_test_set_flag(&flag) && !bgworker_atomic_test_set_flag(&flag));
  CHECK(!bgworker_atomic_unlocked_test_flag(&flag));
  bgworker_atomic_clear_flag(&flag);
  CHECK(bgworker_atomic_unlocked_test_flag(&flag));
}
