// face_verbs_test.cc: what every verb of the C tables refuses, and that the set of errors is
// closed.

#include <limits>
#include <set>

#include "test/face_stage.h"

using namespace bgworker;
using face_stage::Actor;
using face_stage::api;
using face_stage::Stage;

namespace {

/** Calls it with nothing but the context: null pointers, zeroes, handles that are none. */
template <typename Result, typename... Arguments>
int callWithNothing(Result (*verb)(bgworker_context*, Arguments...), bgworker_context* context) {
  return static_cast<int>(verb(context, std::remove_cv_t<Arguments>{}...));
}

template <typename Visit>
void forEachVerb(Visit visit) {
#define VERB(noun, verb) visit(#noun "->" #verb, api.noun->verb)
  visit("slot", api.slot);
  VERB(shmem, init_struct), VERB(shmem, find_struct);
  VERB(dsm, create), VERB(dsm, attach), VERB(dsm, find_mapping), VERB(dsm, detach);
  VERB(dsm, pin_mapping), VERB(dsm, unpin_mapping), VERB(dsm, release_unpinned);
  VERB(dsm, pin_segment), VERB(dsm, unpin_segment), VERB(dsm, on_detach);
  VERB(dsm, cancel_on_detach), VERB(dsm, named);
  VERB(latch, init), VERB(latch, own), VERB(latch, disown), VERB(latch, set);
  VERB(latch, set_slot), VERB(latch, is_set), VERB(latch, reset), VERB(latch, wait);
  VERB(spinlock, init), VERB(spinlock, acquire), VERB(spinlock, try_acquire);
  VERB(spinlock, release);
  VERB(lwlock, init), VERB(lwlock, named), VERB(lwlock, named_group), VERB(lwlock, acquire);
  VERB(lwlock, conditional_acquire), VERB(lwlock, acquire_or_wait), VERB(lwlock, release);
  VERB(lwlock, release_all), VERB(lwlock, held_by_me);
  VERB(cv, init), VERB(cv, named), VERB(cv, prepare_to_sleep), VERB(cv, sleep);
  VERB(cv, timed_sleep), VERB(cv, cancel_sleep), VERB(cv, signal), VERB(cv, broadcast);
  VERB(barrier, init), VERB(barrier, named), VERB(barrier, attach), VERB(barrier, detach);
  VERB(barrier, arrive_and_detach), VERB(barrier, arrive_and_detach_except_last);
  VERB(barrier, arrive_and_wait), VERB(barrier, phase), VERB(barrier, participants);
  VERB(mq, create), VERB(mq, set_sender), VERB(mq, set_receiver), VERB(mq, get_sender);
  VERB(mq, get_receiver), VERB(mq, attach_sender), VERB(mq, attach_receiver);
  VERB(mq, wait_for_attach), VERB(mq, send), VERB(mq, sendv), VERB(mq, flush);
  VERB(mq, receive), VERB(mq, detach);
  VERB(hash, open), VERB(hash, find), VERB(hash, insert), VERB(hash, remove);
  VERB(hash, visit), VERB(hash, visit_or_insert), VERB(hash, scan), VERB(hash, count);
#undef VERB
}

size_t countVerbs() {
  size_t count = 0;
  forEachVerb([&count](const char*, auto) { ++count; });
  return count;
}

void checkAll(bgworker_context* context, int wanted) {
  forEachVerb([&](const char* name, auto verb) {
    const int got = callWithNothing(verb, context);
    if (got != wanted) throw harness::Failure{std::string(name) + " gave " + std::to_string(got)};
  });
}

}  // namespace

TEST("the list of verbs in this test is complete") {
  const size_t pointers =
      sizeof(bgworker_shmem_api) + sizeof(bgworker_dsm_api) + sizeof(bgworker_latch_api) +
      sizeof(bgworker_spinlock_api) + sizeof(bgworker_lwlock_api) + sizeof(bgworker_cv_api) +
      sizeof(bgworker_barrier_api) + sizeof(bgworker_mq_api) + sizeof(bgworker_hash_api);
  CHECK_EQUAL(countVerbs(), 1 + pointers / sizeof(void*));
}

TEST("without shared memory, every verb says so") {
  NativeWorker worker{nullptr, "apart", {}, -1};
  bgworker_context context(worker);
  checkAll(&context, BGWORKER_ERR_NOT_ATTACHED);
}

TEST("without a context, every verb refuses") { checkAll(nullptr, BGWORKER_ERR_INVALID_ARGUMENT); }

TEST("on another thread, every verb refuses") {
  Stage stage;
  Stage::Own one(stage, 0);
  std::string failed;
  std::thread([&] {
    try {
      checkAll(one.actor, BGWORKER_ERR_WRONG_THREAD);
    } catch (const harness::Failure& failure) {
      failed = failure.what;
    }
  }).join();
  CHECK_EQUAL(failed, "");
}

TEST("null pointers and handles that are none are refused, and what needs none is done") {
  // Of an actor that has nothing, so that these have nothing to do.
  const std::set<std::string> harmless = {"slot",
                                          "dsm->release_unpinned",
                                          "latch->set",
                                          "latch->set_slot",
                                          "latch->is_set",
                                          "latch->reset",
                                          "latch->wait",
                                          "lwlock->release_all",
                                          "cv->cancel_sleep"};
  const std::set<std::string> byHandle = {"mq->wait_for_attach",
                                          "mq->send",
                                          "mq->sendv",
                                          "mq->flush",
                                          "mq->receive",
                                          "mq->detach",
                                          "hash->find",
                                          "hash->insert",
                                          "hash->remove",
                                          "hash->visit",
                                          "hash->visit_or_insert",
                                          "hash->scan",
                                          "hash->count"};
  const std::set<std::string> bySegment = {"dsm->detach", "dsm->pin_mapping", "dsm->unpin_mapping",
                                           "dsm->pin_segment", "dsm->cancel_on_detach"};
  Stage stage;
  Stage::Own one(stage, 3);
  forEachVerb([&](const char* name, auto verb) {
    int wanted = BGWORKER_ERR_INVALID_ARGUMENT;
    if (harmless.contains(name)) wanted = 0;
    if (byHandle.contains(name)) wanted = BGWORKER_ERR_BAD_HANDLE;
    if (bySegment.contains(name)) wanted = BGWORKER_ERR_NOT_MAPPED;
    if (std::string(name) == "slot") wanted = 3;
    // Null is the process latch, which is owned.
    if (std::string(name) == "latch->own") wanted = BGWORKER_ERR_LATCH_OWNED;
    if (std::string(name) == "dsm->unpin_segment") wanted = BGWORKER_ERR_UNKNOWN_SEGMENT;
    if (std::string(name) == "latch->wait") wanted = BGWORKER_TIMEOUT;
    // set() has set it.
    if (std::string(name) == "latch->is_set") wanted = 1;
    const int got = callWithNothing(verb, one.actor);
    if (got != wanted) throw harness::Failure{std::string(name) + " gave " + std::to_string(got)};
  });
}

TEST("every error has a sentence of its own, and there are no others") {
  std::set<std::string> sentences;
  for (int error = -1; error >= BGWORKER_ERR_BUFFER_TOO_SMALL; --error) {
    sentences.insert(api.error_text(error));
  }
  CHECK_EQUAL(sentences.size(), static_cast<size_t>(-BGWORKER_ERR_BUFFER_TOO_SMALL));
  CHECK(!sentences.contains(""));
  const std::string unknown = "no error that this bgworker knows";
  CHECK(!sentences.contains(unknown));
  CHECK_EQUAL(api.error_text(BGWORKER_ERR_BUFFER_TOO_SMALL - 1), unknown);
  CHECK_EQUAL(api.error_text(std::numeric_limits<int>::min()), unknown);
  CHECK_EQUAL(std::string(api.error_text(0)), "no error");
  CHECK_EQUAL(std::string(api.error_text(std::numeric_limits<int>::max())), "no error");
}

TEST("the table says its size and its version") {
  CHECK_EQUAL(api.size, sizeof(bgworker_api));
  CHECK_EQUAL(api.version, static_cast<uint32_t>(BGWORKER_API_VERSION));
}
