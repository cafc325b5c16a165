// latch.cc: latches (include/bgworker/latch.h).

#include "core/face/latch.h"

#include "core/face/context.h"
#include "core/face/tables.h"
#include "core/face/waits.h"

namespace bgworker::face {

unsigned waitForLatch(Holdings& holdings, std::atomic<uint32_t>& word, int64_t timeoutMs) {
  // First of all: a latch that somebody sets all the time would keep signals out for ever.
  letSignalsIn();
  unsigned events = 0;
  if (takeUntoldSignal()) events |= BGWORKER_SIGNALLED;
  if (latchIsSet(word)) events |= BGWORKER_LATCH_SET;
  if (events != 0) return events;
  switch (waitLatch(holdings.memory.self, word, untilDeadline(deadlineOf(timeoutMs)))) {
    case WaitEnd::satisfied:
      return BGWORKER_LATCH_SET;
    case WaitEnd::timedOut:
      return BGWORKER_TIMEOUT;
    case WaitEnd::interrupted:
      return BGWORKER_SIGNALLED;
    case WaitEnd::postmasterDied:
      return BGWORKER_POSTMASTER_DEATH;
  }
  PM_ASSERT(false, "a wait has one of four ends");
  return 0;
}

namespace {

static_assert(sizeof(bgworker_latch) == sizeof(SharedLatch), "a latch is as large for C");

/** Null stands for the process latch. */
int enterAtLatch(bgworker_context* context, const bgworker_latch* latch, Holdings** held,
                 std::atomic<uint32_t>** word) {
  if (int refused = enter(context, held)) return refused;
  if (latch == nullptr) {
    *word = &(*held)->memory.self.latch();
    return 0;
  }
  auto* shared = (*held)->placeOf<SharedLatch>(latch);
  if (shared == nullptr) return BGWORKER_ERR_BAD_PLACE;
  *word = &shared->word;
  return 0;
}

/** The same for what only the owner may do. */
int enterAtOwnLatch(bgworker_context* context, const bgworker_latch* latch, Holdings** held,
                    std::atomic<uint32_t>** word) {
  if (int refused = enterAtLatch(context, latch, held, word)) return refused;
  return ownsLatch((*held)->memory.self, **word) ? 0 : BGWORKER_ERR_LATCH_FOREIGN;
}

int init(bgworker_context* context, bgworker_latch* latch) {
  Holdings* held = nullptr;
  std::atomic<uint32_t>* word = nullptr;
  if (int refused = enterAtLatch(context, latch, &held, &word)) return refused;
  // The process latch has been one from the beginning, and goes with the process.
  if (latch == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  word->store(0);
  std::erase(held->latches, word);
  return 0;
}

int own(bgworker_context* context, bgworker_latch* latch) {
  Holdings* held = nullptr;
  std::atomic<uint32_t>* word = nullptr;
  if (int refused = enterAtLatch(context, latch, &held, &word)) return refused;
  if (!ownLatch(*word, held->memory.self.slot())) return BGWORKER_ERR_LATCH_OWNED;
  held->latches.push_back(word);
  return 0;
}

int disown(bgworker_context* context, bgworker_latch* latch) {
  Holdings* held = nullptr;
  std::atomic<uint32_t>* word = nullptr;
  if (int refused = enterAtOwnLatch(context, latch, &held, &word)) return refused;
  if (latch == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  disownLatch(*word);
  std::erase(held->latches, word);
  return 0;
}

int set(bgworker_context* context, bgworker_latch* latch) {
  Holdings* held = nullptr;
  std::atomic<uint32_t>* word = nullptr;
  if (int refused = enterAtLatch(context, latch, &held, &word)) return refused;
  const uint32_t owner = word->load(std::memory_order_relaxed) & kLatchOwner;
  // Memory that was never a latch can say anything.
  if (owner > held->memory.self.table().slotCount()) return BGWORKER_ERR_CORRUPT;
  setLatch(held->memory.self, *word);
  return 0;
}

int setSlot(bgworker_context* context, uint32_t slot) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  const ProcessTable& table = held->memory.self.table();
  if (slot >= table.slotCount()) return BGWORKER_ERR_INVALID_ARGUMENT;
  setLatch(held->memory.self, table.at(slot).latch);
  return 0;
}

int isSet(bgworker_context* context, const bgworker_latch* latch) {
  Holdings* held = nullptr;
  std::atomic<uint32_t>* word = nullptr;
  if (int refused = enterAtLatch(context, latch, &held, &word)) return refused;
  return latchIsSet(*word) ? 1 : 0;
}

int reset(bgworker_context* context, bgworker_latch* latch) {
  Holdings* held = nullptr;
  std::atomic<uint32_t>* word = nullptr;
  if (int refused = enterAtOwnLatch(context, latch, &held, &word)) return refused;
  resetLatch(*word);
  return 0;
}

int wait(bgworker_context* context, bgworker_latch* latch, int64_t timeoutMs) {
  Holdings* held = nullptr;
  std::atomic<uint32_t>* word = nullptr;
  if (int refused = enterAtOwnLatch(context, latch, &held, &word)) return refused;
  return static_cast<int>(waitForLatch(*held, *word, timeoutMs));
}

}  // namespace

const bgworker_latch_api kLatchApi = {init, own, disown, set, setSlot, isSet, reset, wait};

}  // namespace bgworker::face
