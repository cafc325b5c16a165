// barrier.cc: barriers (include/bgworker/barrier.h).
//
// Core asserts that who leaves a barrier, or arrives at it, takes part in it; so it is kept here of
// which ones this process does.

#include <cstring>

#include "core/face/context.h"
#include "core/face/names.h"
#include "core/face/tables.h"
#include "core/face/waits.h"

namespace bgworker::face {
namespace {

static_assert(sizeof(bgworker_barrier) == sizeof(SharedBarrier), "a barrier is as large for C");

/** As many as there can be processes. */
constexpr uint32_t kMostParticipants = 262143;

bool isStatic(const SharedBarrier& barrier) {
  return barrier.isStatic.load(std::memory_order_relaxed) != 0;
}

BarrierPart& takePart(Holdings& held, SharedBarrier& barrier) {
  held.barriers.push_back(std::make_unique<BarrierPart>(barrier, held.memory.self));
  return *held.barriers.back();
}

void leavePart(Holdings& held, const BarrierPart& part) {
  std::erase_if(held.barriers, [&part](const auto& one) { return one.get() == &part; });
}

int init(bgworker_context* context, bgworker_barrier* barrier, uint32_t participants) {
  Holdings* held = nullptr;
  SharedBarrier* shared = nullptr;
  if (int refused = enterAt(context, barrier, &held, &shared)) return refused;
  if (participants > kMostParticipants) return BGWORKER_ERR_INVALID_ARGUMENT;
  if (held->partIn(*shared) != nullptr) return BGWORKER_ERR_BARRIER_ATTACHED;
  std::memset(barrier, 0, sizeof *barrier);
  barrier::init(*shared, participants);
  return 0;
}

int initialiseFor(void* address, size_t, void* participants) {
  barrier::init(*static_cast<SharedBarrier*>(address), *static_cast<uint32_t*>(participants));
  return 0;
}

int named(bgworker_context* context, const char* name, uint32_t participants,
          bgworker_barrier** barrier) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (barrier == nullptr || participants > kMostParticipants) return BGWORKER_ERR_INVALID_ARGUMENT;
  void* address = nullptr;
  const int found = claimThing(*held, kBarrierPrefix, name, sizeof(SharedBarrier), initialiseFor,
                               &participants, &address);
  if (found < 0) return found;
  const auto& shared = *static_cast<SharedBarrier*>(address);
  const bool same = participants == 0
                        ? !isStatic(shared)
                        : isStatic(shared) && barrier::participants(shared) == participants;
  if (!same) return BGWORKER_ERR_PARAMETERS_WRONG;
  *barrier = static_cast<bgworker_barrier*>(address);
  return found;
}

int attach(bgworker_context* context, bgworker_barrier* barrier, uint32_t* phase) {
  Holdings* held = nullptr;
  SharedBarrier* shared = nullptr;
  if (int refused = enterAt(context, barrier, &held, &shared)) return refused;
  if (phase == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  if (isStatic(*shared)) return BGWORKER_ERR_BARRIER_STATIC;
  if (held->partIn(*shared) != nullptr) return BGWORKER_ERR_BARRIER_ATTACHED;
  *phase = barrier::attach(*shared);
  takePart(*held, *shared).attached = true;
  return 0;
}

/** `staysIfTrue`: what the verb says is that this process stays. */
template <bool (*verb)(ThisProcess&, SharedBarrier&, barrier::ArrivedIn), bool staysIfTrue>
int leaveBy(bgworker_context* context, bgworker_barrier* barrier) {
  Holdings* held = nullptr;
  SharedBarrier* shared = nullptr;
  if (int refused = enterAt(context, barrier, &held, &shared)) return refused;
  if (isStatic(*shared)) return BGWORKER_ERR_BARRIER_STATIC;
  BarrierPart* part = held->partIn(*shared);
  if (part == nullptr || !part->attached) return BGWORKER_ERR_BARRIER_NOT_ATTACHED;
  // Of a wait that something else ended.
  const barrier::ArrivedIn arrivedIn = part->arrival.giveUp();
  part->arrived = false;
  const bool answer = verb(held->memory.self, *shared, arrivedIn);
  if (!(answer && staysIfTrue)) leavePart(*held, *part);
  return answer ? 1 : 0;
}

/** 1: the phase is over; 0: it is not yet; or the error. */
int arrive(BarrierPart& part) {
  if (part.arrived) return 0;
  // Not as a blocking wait, which the last wait nodes are kept for: it may go on while others
  // begin.
  switch (part.arrival.begin(part.barrier)) {
    case barrier::Arrival::Begun::released:
      return 1;
    case barrier::Arrival::Begun::waiting:
      part.arrived = true;
      return 0;
    case barrier::Arrival::Begun::noNode:
      break;
  }
  return BGWORKER_ERR_TOO_MANY_WAITS;
}

int arriveAndWait(bgworker_context* context, bgworker_barrier* barrier) {
  Holdings* held = nullptr;
  SharedBarrier* shared = nullptr;
  if (int refused = enterAt(context, barrier, &held, &shared)) return refused;
  BarrierPart* part = held->partIn(*shared);
  if (part == nullptr) {
    if (!isStatic(*shared)) return BGWORKER_ERR_BARRIER_NOT_ATTACHED;
    part = &takePart(*held, *shared);
  }
  const int over = arrive(*part);
  int end = over;
  if (over == 0) {
    end = waitOutSignals(-1, [&](const WaitOptions& options) {
      return held->memory.self.waitUntil([part] { return part->arrival.isReleased(); }, options);
    });
    if (end < 0) return end;
    part->arrived = false;
  }
  const int elected = part->arrival.elected() ? 1 : 0;
  if (!part->attached) leavePart(*held, *part);
  return end < 0 ? end : elected;
}

int phaseOf(bgworker_context* context, const bgworker_barrier* barrier, uint32_t* phase) {
  Holdings* held = nullptr;
  SharedBarrier* shared = nullptr;
  if (int refused = enterAt(context, barrier, &held, &shared)) return refused;
  if (phase == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  *phase = barrier::phase(*shared);
  return 0;
}

int participantsOf(bgworker_context* context, const bgworker_barrier* barrier, uint32_t* count) {
  Holdings* held = nullptr;
  SharedBarrier* shared = nullptr;
  if (int refused = enterAt(context, barrier, &held, &shared)) return refused;
  if (count == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  *count = barrier::participants(*shared);
  return 0;
}

}  // namespace

const bgworker_barrier_api kBarrierApi = {
    init,
    named,
    attach,
    leaveBy<barrier::detach, false>,
    leaveBy<barrier::arriveAndDetach, false>,
    leaveBy<barrier::arriveAndDetachExceptLast, true>,
    arriveAndWait,
    phaseOf,
    participantsOf,
};

}  // namespace bgworker::face
