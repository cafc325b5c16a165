// dsm.cc: dynamic segments (include/bgworker/dsm.h).

#include <algorithm>

#include "core/face/context.h"
#include "core/face/tables.h"

namespace bgworker::face {
namespace {

bgworker_segment asSegment(const SegmentView& view) {
  return {view.handle, view.address, view.bytes};
}

/** What a verb that maps gives back. */
int give(Holdings& held, Result<SegmentView> mapped, bgworker_segment* segment) {
  if (!mapped.ok()) return errorOf(mapped.error());
  held.watch(mapped.value().handle);
  *segment = asSegment(mapped.value());
  return 0;
}

int create(bgworker_context* context, size_t bytes, bgworker_segment* segment) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (segment == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  return give(*held, held->memory.segments.create(bytes), segment);
}

int attach(bgworker_context* context, uint32_t handle, bgworker_segment* segment) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (segment == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  return give(*held, held->memory.segments.attach(handle), segment);
}

int findMapping(bgworker_context* context, uint32_t handle, bgworker_segment* segment) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (segment == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  const SegmentView view = held->memory.segments.find(handle);
  if (view.address == nullptr) return BGWORKER_ERR_NOT_MAPPED;
  return give(*held, view, segment);
}

int detach(bgworker_context* context, uint32_t handle) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (held->memory.segments.find(handle).address == nullptr) return BGWORKER_ERR_NOT_MAPPED;
  // The entry lies in one of them, and whoever holds it looks at it when this returns.
  if (held->entryIsHeld()) return BGWORKER_ERR_ENTRY_HELD;
  held->memory.segments.detach(handle);
  return 0;
}

int releaseUnpinned(bgworker_context* context) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (held->entryIsHeld()) return BGWORKER_ERR_ENTRY_HELD;
  held->memory.segments.releaseUnpinned();
  return 0;
}

template <Status (DynamicSegments::*verb)(uint32_t)>
int onSegment(bgworker_context* context, uint32_t handle) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  return errorOf((held->memory.segments.*verb)(handle));
}

void runDetachCall(const SegmentView& view, void* argument) {
  auto* call = static_cast<DetachCall*>(argument);
  Holdings& held = call->holdings;
  const DetachCall copy = *call;
  // Before it runs, for it may register others, or never return.
  std::erase_if(held.detachCalls, [call](const auto& one) { return one.get() == call; });
  const bgworker_segment segment = asSegment(view);
  copy.callback(held.context, &segment, copy.arg);
}

int onDetach(bgworker_context* context, uint32_t handle, bgworker_detach_callback callback,
             void* arg) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (callback == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  if (held->memory.segments.find(handle).address == nullptr) return BGWORKER_ERR_NOT_MAPPED;
  held->watch(handle);
  auto call = std::make_unique<DetachCall>(DetachCall{*held, handle, callback, arg});
  if (int refused = errorOf(held->memory.segments.onDetach(handle, runDetachCall, call.get()))) {
    return refused;
  }
  held->detachCalls.push_back(std::move(call));
  return 0;
}

int cancelOnDetach(bgworker_context* context, uint32_t handle, bgworker_detach_callback callback,
                   void* arg) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (held->memory.segments.find(handle).address == nullptr) return BGWORKER_ERR_NOT_MAPPED;
  auto& calls = held->detachCalls;
  const auto latest = std::find_if(calls.rbegin(), calls.rend(), [&](const auto& call) {
    return call->segment == handle && call->callback == callback && call->arg == arg;
  });
  if (latest == calls.rend()) return BGWORKER_ERR_NO_SUCH_CALLBACK;
  (void)held->memory.segments.cancelOnDetach(handle, runDetachCall, latest->get());
  calls.erase(std::next(latest).base());
  return 0;
}

int named(bgworker_context* context, const char* name, size_t bytes,
          bgworker_initialiser initialise, void* arg, bgworker_segment* segment) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (name == nullptr || segment == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  Result<NamedClaim> made = held->memory.registry.claim(name, RegistryKind::segment, bytes);
  if (!made.ok()) return errorOf(made.error());
  NamedClaim& claim = made.value();
  held->watch(claim.view().handle);
  const SegmentView view = claim.view();
  if (claim.found()) {
    *segment = asSegment(view);
    return 1;
  }
  if (initialise != nullptr) {
    // An initialiser that calls exit() does not come back here.
    held->namedClaims.push_back(&claim);
    const int failed = initialise(context, view.address, view.bytes, arg);
    held->namedClaims.pop_back();
    // The claim abandons itself, and the segment with it.
    if (failed != 0) return BGWORKER_ERR_INITIALISER_FAILED;
  }
  if (int refused = errorOf(claim.publish())) return refused;
  *segment = asSegment(view);
  return 0;
}

}  // namespace

const bgworker_dsm_api kDsmApi = {
    create,
    attach,
    findMapping,
    detach,
    onSegment<&DynamicSegments::pinMapping>,
    onSegment<&DynamicSegments::unpinMapping>,
    releaseUnpinned,
    onSegment<&DynamicSegments::pinSegment>,
    onSegment<&DynamicSegments::unpinSegment>,
    onDetach,
    cancelOnDetach,
    named,
};

}  // namespace bgworker::face
