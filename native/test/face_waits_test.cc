// face_waits_test.cc: condition variables and barriers by way of the C tables.

#include <cstring>

#include "test/face_stage.h"

using namespace bgworker;
using face_stage::Actor;
using face_stage::api;
using face_stage::Stage;

namespace {

struct Shared {
  bgworker_cv changed;
  bgworker_barrier gate;
  bgworker_barrier crew;
  std::atomic<uint32_t> turn;
  std::atomic<uint32_t> elected;
};

Shared& shared(bgworker_context* context) { return face_stage::shared<Shared>(context); }

}  // namespace

// ---- condition variables

TEST("a condition variable: prepared, woken, timed out, cancelled") {
  Stage stage;
  Stage::Own one(stage, 0), two(stage, 1);
  bgworker_context *c = one.actor, *d = two.actor;
  bgworker_cv* cv = &shared(c).changed;
  bgworker_segment segment{};
  face_stage::checkRows({
      CALLED(api.cv->init(c, cv), 0), CALLED(api.cv->cancel_sleep(c), 0),
      CALLED(api.cv->timed_sleep(c, cv, 0), 0), /* prepares */
      CALLED(api.cv->timed_sleep(c, cv, 0), 1), CALLED(api.cv->timed_sleep(c, cv, 1), 1),
      CALLED(api.cv->signal(d, cv), 0), CALLED(api.cv->sleep(c, cv), 0),
      CALLED(api.cv->broadcast(d, cv), 0), CALLED(api.cv->cancel_sleep(c), 1),
      CALLED(api.cv->cancel_sleep(c), 0), CALLED(api.cv->prepare_to_sleep(c, cv), 0),
      CALLED(api.cv->signal(d, cv), 0), CALLED(api.cv->timed_sleep(c, cv, 0), 0),
      // One in a segment that goes while it is slept on.
      CALLED(api.dsm->create(c, 64, &segment), 0),
      CALLED(api.cv->prepare_to_sleep(c, static_cast<bgworker_cv*>(segment.address)), 0),
      CALLED(api.dsm->detach(c, segment.handle), 0), CALLED(api.cv->cancel_sleep(c), 0),
      CALLED(api.cv->prepare_to_sleep(c, cv), 0), /* and is cancelled at the end */
  });
}

WORLD_TEST("who sleeps on a condition variable is woken by who changes the condition") {
  const uint32_t rounds = worlds::scaled(5000);
  Stage stage;
  stage.run(world, 2, [&](Actor& actor) {
    Shared& all = shared(actor);
    for (uint32_t i = 0; i < rounds; ++i) {
      CHECK_EQUAL(api.cv->prepare_to_sleep(actor, &all.changed), 0);
      while (all.turn.load() != 2 * i + actor.index) {
        CHECK_EQUAL(api.cv->timed_sleep(actor, &all.changed, processes::kPatienceMs), 0);
      }
      CHECK(api.cv->cancel_sleep(actor) >= 0);
      all.turn.fetch_add(1);
      CHECK_EQUAL(api.cv->broadcast(actor, &all.changed), 0);
    }
  });
}

// ---- barriers

TEST("a barrier: attached once, static or dynamic, alone") {
  Stage stage;
  Stage::Own one(stage, 0), two(stage, 1);
  bgworker_context *c = one.actor, *d = two.actor;
  Shared& all = shared(c);
  uint32_t phase = 7, count = 7;
  face_stage::checkRows({
      CALLED(api.barrier->init(c, &all.gate, 262144), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.barrier->init(c, &all.gate, 1), 0),
      CALLED(api.barrier->init(c, &all.crew, 0), 0),
      CALLED(api.barrier->attach(c, &all.gate, &phase), BGWORKER_ERR_BARRIER_STATIC),
      CALLED(api.barrier->detach(c, &all.gate), BGWORKER_ERR_BARRIER_STATIC),
      CALLED(api.barrier->arrive_and_detach(c, &all.gate), BGWORKER_ERR_BARRIER_STATIC),
      CALLED(api.barrier->arrive_and_detach_except_last(c, &all.gate), BGWORKER_ERR_BARRIER_STATIC),
      CALLED(api.barrier->arrive_and_wait(c, &all.gate), 1),
      CALLED(api.barrier->arrive_and_wait(d, &all.gate), 1),
      CALLED(api.barrier->arrive_and_wait(c, &all.crew), BGWORKER_ERR_BARRIER_NOT_ATTACHED),
      CALLED(api.barrier->detach(c, &all.crew), BGWORKER_ERR_BARRIER_NOT_ATTACHED),
      CALLED(api.barrier->attach(c, &all.crew, nullptr), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.barrier->attach(c, &all.crew, &phase), 0),
      CALLED(api.barrier->attach(c, &all.crew, &phase), BGWORKER_ERR_BARRIER_ATTACHED),
      CALLED(api.barrier->init(c, &all.crew, 0), BGWORKER_ERR_BARRIER_ATTACHED),
      CALLED(api.barrier->attach(d, &all.crew, &phase), 0),
      CALLED(api.barrier->participants(d, &all.crew, &count), 0),
      CALLED(api.barrier->arrive_and_detach_except_last(d, &all.crew), 0),
      CALLED(api.barrier->arrive_and_detach_except_last(d, &all.crew),
             BGWORKER_ERR_BARRIER_NOT_ATTACHED),
      CALLED(api.barrier->arrive_and_detach_except_last(c, &all.crew), 1),
      CALLED(api.barrier->arrive_and_wait(c, &all.crew), 1),
      CALLED(api.barrier->arrive_and_detach(c, &all.crew), 1),
      CALLED(api.barrier->detach(c, &all.crew), BGWORKER_ERR_BARRIER_NOT_ATTACHED),
      CALLED(api.barrier->attach(c, &all.crew, &phase), 0),
      CALLED(api.barrier->detach(c, &all.crew), 1),
      CALLED(api.barrier->phase(c, &all.crew, &phase), 0),
  });
  CHECK_EQUAL(count, 2U);
  // Ended by c alone: once staying, once waiting, once leaving; a plain detach ends none.
  CHECK_EQUAL(phase, 3U);
}

WORLD_TEST("eight pass a thousand phases, and one is elected in each") {
  const uint32_t phases = worlds::scaled(1000);
  Stage stage;
  {
    Stage::Own one(stage, 0);
    CHECK_EQUAL(api.barrier->init(one.actor, &shared(one.actor).gate, 8), 0);
  }
  stage.run(world, 8, [&](Actor& actor) {
    Shared& all = shared(actor);
    uint32_t phase = 0;
    for (uint32_t i = 0; i < phases; ++i) {
      const int elected = api.barrier->arrive_and_wait(actor, &all.gate);
      CHECK(elected == 0 || elected == 1);
      if (elected == 1) all.elected.fetch_add(1);
      // Nobody is two ahead: the next phase needs this one's arrival.
      CHECK_EQUAL(api.barrier->phase(actor, &all.gate, &phase), 0);
      CHECK_EQUAL(phase, i + 1);
    }
  });
  Stage::Own late(stage, 0);
  CHECK_EQUAL(shared(late.actor).elected.load(), phases);
}

TEST("an arrival that the postmaster's death ended is one: waited on again, or taken back") {
  Stage stage;
  bgworker::DescriptorPair death = processes::pipePair();
  death.second.reset();
  Stage::Own one(stage, 0, death.first.get()), two(stage, 1);
  bgworker_context *c = one.actor, *d = two.actor;
  Shared& all = shared(c);
  uint32_t phase = 0;
  face_stage::checkRows({
      CALLED(api.barrier->attach(c, &all.crew, &phase), 0),
      CALLED(api.barrier->attach(d, &all.crew, &phase), 0),
      CALLED(api.barrier->arrive_and_wait(c, &all.crew), BGWORKER_ERR_POSTMASTER_DIED),
      CALLED(api.barrier->arrive_and_wait(c, &all.crew), BGWORKER_ERR_POSTMASTER_DIED),
      // It has arrived once, whatever it called twice.
      CALLED(api.barrier->arrive_and_wait(d, &all.crew), 1),
      CALLED(api.barrier->arrive_and_wait(c, &all.crew), 0),
      CALLED(api.barrier->phase(c, &all.crew, &phase), 0),
      CALLED(static_cast<int>(phase), 1),
      // It leaves without having arrived: the phase is the other's alone.
      CALLED(api.barrier->arrive_and_wait(c, &all.crew), BGWORKER_ERR_POSTMASTER_DIED),
      CALLED(api.barrier->detach(c, &all.crew), 0),
      CALLED(api.barrier->phase(c, &all.crew, &phase), 0),
      CALLED(static_cast<int>(phase), 1),
      CALLED(api.barrier->arrive_and_wait(d, &all.crew), 1),
      CALLED(api.barrier->phase(c, &all.crew, &phase), 0),
      CALLED(static_cast<int>(phase), 2),
  });
}

TEST("who stands at too many barriers is told so, and can still wait for locks") {
  Stage stage;
  bgworker::DescriptorPair death = processes::pipePair();
  death.second.reset();
  Stage::Own one(stage, 0, death.first.get());
  bgworker_context* c = one.actor;
  bgworker_segment segment{};
  CHECK_EQUAL(api.dsm->create(c, 64 * sizeof(bgworker_barrier), &segment), 0);
  auto* barriers = static_cast<bgworker_barrier*>(segment.address);
  int result = 0, count = 0;
  for (; count < 64; ++count) {
    CHECK_EQUAL(api.barrier->init(c, &barriers[count], 2), 0);
    result = api.barrier->arrive_and_wait(c, &barriers[count]);
    if (result != BGWORKER_ERR_POSTMASTER_DIED) break;
  }
  CHECK_EQUAL(result, BGWORKER_ERR_TOO_MANY_WAITS);
  CHECK_EQUAL(count, 60);
  CHECK_EQUAL(api.cv->prepare_to_sleep(c, &shared(c).changed), 0);
  CHECK_EQUAL(api.dsm->detach(c, segment.handle), 0);
}
