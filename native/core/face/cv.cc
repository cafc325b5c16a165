// cv.cc: condition variables (include/bgworker/cv.h).

#include <cstring>

#include "core/face/context.h"
#include "core/face/names.h"
#include "core/face/tables.h"
#include "core/face/waits.h"

namespace bgworker::face {
namespace {

static_assert(sizeof(bgworker_cv) == sizeof(SharedConditionVariable),
              "a condition variable is as large for C");

int init(bgworker_context* context, bgworker_cv* cv) {
  Holdings* held = nullptr;
  SharedConditionVariable* shared = nullptr;
  if (int refused = enterAt(context, cv, &held, &shared)) return refused;
  // What this process itself waits for would be forgotten.
  if (held->sleeper.target() == shared) held->sleeper.cancel();
  std::memset(cv, 0, sizeof *cv);
  return 0;
}

/** Zeroes are one. */
int named(bgworker_context* context, const char* name, bgworker_cv** cv) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (cv == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  void* address = nullptr;
  const int found =
      claimThing(*held, kConditionVariablePrefix, name, sizeof **cv, nullptr, nullptr, &address);
  if (found >= 0) *cv = static_cast<bgworker_cv*>(address);
  return found;
}

int prepareToSleep(bgworker_context* context, bgworker_cv* cv) {
  Holdings* held = nullptr;
  SharedConditionVariable* shared = nullptr;
  if (int refused = enterAt(context, cv, &held, &shared)) return refused;
  held->sleeper.prepare(*shared);
  return 0;
}

int timedSleep(bgworker_context* context, bgworker_cv* cv, int64_t timeoutMs) {
  Holdings* held = nullptr;
  SharedConditionVariable* shared = nullptr;
  if (int refused = enterAt(context, cv, &held, &shared)) return refused;
  return waitOutSignals(
      timeoutMs, [&](const WaitOptions& options) { return held->sleeper.sleep(*shared, options); });
}

int sleep(bgworker_context* context, bgworker_cv* cv) { return timedSleep(context, cv, -1); }

int cancelSleep(bgworker_context* context) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  return held->sleeper.cancel() ? 1 : 0;
}

int signal(bgworker_context* context, bgworker_cv* cv) {
  Holdings* held = nullptr;
  SharedConditionVariable* shared = nullptr;
  if (int refused = enterAt(context, cv, &held, &shared)) return refused;
  signalOne(held->memory.self, *shared);
  return 0;
}

int broadcastVerb(bgworker_context* context, bgworker_cv* cv) {
  Holdings* held = nullptr;
  SharedConditionVariable* shared = nullptr;
  if (int refused = enterAt(context, cv, &held, &shared)) return refused;
  broadcast(held->memory.self, *shared);
  return 0;
}

}  // namespace

const bgworker_cv_api kCvApi = {
    init, named, prepareToSleep, sleep, timedSleep, cancelSleep, signal, broadcastVerb,
};

}  // namespace bgworker::face
