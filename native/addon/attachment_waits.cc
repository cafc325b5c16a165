// attachment_waits.cc: condition variables and barriers, each in a form that does not block, for
// the event loop, and in one that does.

#include <cmath>

#include "addon/attachment.h"
#include "addon/convert.h"

namespace bgworker {
namespace {

constexpr int kReleasedElected = -1, kNoNode = -2;

template <typename Wait>
Wait* readWait(const Napi::CallbackInfo& info, const Numbered<Wait>& waits, int64_t& number) {
  std::optional<int64_t> read = readInteger(info[0], "wait", 0, UINT32_MAX);
  if (!read.has_value()) return nullptr;
  number = *read;
  Wait* wait = waits.get(number);
  if (wait == nullptr) throwTypeError(info.Env(), "wait must be one that is under way");
  return wait;
}

const char* nameOf(WaitEnd end) {
  switch (end) {
    case WaitEnd::satisfied:
      return "satisfied";
    case WaitEnd::timedOut:
      return "timedOut";
    case WaitEnd::interrupted:
      return "interrupted";
    case WaitEnd::postmasterDied:
      return "postmasterDied";
  }
  return "interrupted";
}

const char* nameOf(barrier::Arrived arrived) {
  switch (arrived) {
    case barrier::Arrived::elected:
      return "elected";
    case barrier::Arrived::notElected:
      return "notElected";
    case barrier::Arrived::interrupted:
      return "interrupted";
    case barrier::Arrived::postmasterDied:
      return "postmasterDied";
  }
  return "interrupted";
}

/** The third argument, undefined for none. false: it is neither, and that is thrown. */
bool readPhase(const Napi::CallbackInfo& info, barrier::ArrivedIn& phase) {
  if (info[2].IsUndefined()) return true;
  std::optional<int64_t> read = readInteger(info[2], "arrivedIn", 0, UINT32_MAX);
  if (read.has_value()) phase = static_cast<uint32_t>(*read);
  return read.has_value();
}

}  // namespace

Napi::Value AttachmentObject::beginCondition(const Info& info) {
  auto* condition = placeOf<SharedConditionVariable>(info);
  if (condition == nullptr) return info.Env().Undefined();
  auto wait = std::make_unique<ConditionWait>(attached_->self);
  if (!wait->begin(*condition)) return Napi::Number::New(info.Env(), kNoNode);
  return Napi::Number::New(info.Env(), attached_->conditionWaits.add(std::move(wait)));
}

Napi::Value AttachmentObject::takeWake(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  int64_t number = 0;
  ConditionWait* wait = readWait(info, attached->conditionWaits, number);
  if (wait == nullptr) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), wait->takeWake());
}

Napi::Value AttachmentObject::cancelCondition(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  int64_t number = 0;
  ConditionWait* wait = readWait(info, attached->conditionWaits, number);
  if (wait == nullptr) return info.Env().Undefined();
  bool wasWoken = wait->cancel();
  attached->conditionWaits.drop(number);
  return Napi::Boolean::New(info.Env(), wasWoken);
}

Napi::Value AttachmentObject::signalCondition(const Info& info) {
  auto* condition = placeOf<SharedConditionVariable>(info);
  if (condition != nullptr) signalOne(attached_->self, *condition);
  return info.Env().Undefined();
}

Napi::Value AttachmentObject::broadcastCondition(const Info& info) {
  auto* condition = placeOf<SharedConditionVariable>(info);
  if (condition != nullptr) broadcast(attached_->self, *condition);
  return info.Env().Undefined();
}

Napi::Value AttachmentObject::sleepOnCondition(const Info& info) {
  auto* condition = placeOf<SharedConditionVariable>(info);
  if (condition == nullptr) return info.Env().Undefined();
  WaitOptions options;
  if (!info[2].IsUndefined()) {
    std::optional<int64_t> timeoutMs = readInteger(info[2], "timeoutMs", 0, INT32_MAX);
    if (!timeoutMs.has_value()) return info.Env().Undefined();
    options.deadlineNs = deadlineInMs(*timeoutMs);
  }
  attached_->sleptOn = condition;
  return Napi::String::New(info.Env(), nameOf(attached_->sleeper.sleep(*condition, options)));
}

Napi::Value AttachmentObject::endSleep(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  attached->sleptOn = nullptr;
  return Napi::Boolean::New(info.Env(), attached->sleeper.cancel());
}

Napi::Value AttachmentObject::initBarrier(const Info& info) {
  auto* shared = placeOf<SharedBarrier>(info);
  if (shared == nullptr) return info.Env().Undefined();
  std::optional<int64_t> count = readInteger(info[2], "participants", 0, INT32_MAX);
  if (count.has_value()) barrier::init(*shared, static_cast<uint32_t>(*count));
  return info.Env().Undefined();
}

Napi::Value AttachmentObject::attachBarrier(const Info& info) {
  auto* shared = placeOf<SharedBarrier>(info);
  if (shared == nullptr) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), barrier::attach(*shared));
}

Napi::Value AttachmentObject::leaveBarrier(const Info& info,
                                           bool (*verb)(ThisProcess&, SharedBarrier&,
                                                        barrier::ArrivedIn)) {
  auto* shared = placeOf<SharedBarrier>(info);
  if (shared == nullptr) return info.Env().Undefined();
  barrier::ArrivedIn arrivedIn;
  if (!readPhase(info, arrivedIn)) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), verb(attached_->self, *shared, arrivedIn));
}

Napi::Value AttachmentObject::detachBarrier(const Info& info) {
  return leaveBarrier(info, barrier::detach);
}

Napi::Value AttachmentObject::arriveAndDetach(const Info& info) {
  return leaveBarrier(info, barrier::arriveAndDetach);
}

Napi::Value AttachmentObject::arriveAndDetachExceptLast(const Info& info) {
  return leaveBarrier(info, barrier::arriveAndDetachExceptLast);
}

Napi::Value AttachmentObject::barrierState(const Info& info) {
  Napi::Env env = info.Env();
  auto* shared = placeOf<SharedBarrier>(info);
  if (shared == nullptr) return env.Undefined();
  Napi::Object object = Napi::Object::New(env);
  object.Set("phase", Napi::Number::New(env, barrier::phase(*shared)));
  object.Set("participants", Napi::Number::New(env, barrier::participants(*shared)));
  object.Set("isStatic", Napi::Boolean::New(env, shared->isStatic.load() != 0));
  return object;
}

Napi::Value AttachmentObject::beginArrival(const Info& info) {
  auto* shared = placeOf<SharedBarrier>(info);
  if (shared == nullptr) return info.Env().Undefined();
  std::unique_ptr<ArrivalWait> kept(new ArrivalWait{barrier::Arrival(attached_->self), shared});
  switch (kept->arrival.begin(*shared)) {
    case barrier::Arrival::Begun::released:
      return Napi::Number::New(info.Env(), kReleasedElected);
    case barrier::Arrival::Begun::noNode:
      return Napi::Number::New(info.Env(), kNoNode);
    case barrier::Arrival::Begun::waiting:
      break;
  }
  return Napi::Number::New(info.Env(), attached_->arrivals.add(std::move(kept)));
}

Napi::Value AttachmentObject::arrivalState(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  int64_t number = 0;
  ArrivalWait* wait = readWait(info, attached->arrivals, number);
  if (wait == nullptr) return info.Env().Undefined();
  if (!wait->arrival.isReleased()) return Napi::String::New(info.Env(), "waiting");
  const bool elected = wait->arrival.elected();
  attached->arrivals.drop(number);
  return Napi::String::New(info.Env(), elected ? "elected" : "notElected");
}

Napi::Value AttachmentObject::forgetArrival(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  int64_t number = 0;
  if (readWait(info, attached->arrivals, number)) attached->arrivals.drop(number);
  return info.Env().Undefined();
}

Napi::Value AttachmentObject::arriveAndWait(const Info& info) {
  auto* shared = placeOf<SharedBarrier>(info);
  if (shared == nullptr) return info.Env().Undefined();
  // No handler of JavaScript's runs while this thread is blocked, so a signal ends nothing.
  WaitOptions options;
  options.interruptible = false;
  return Napi::String::New(info.Env(),
                           nameOf(barrier::arriveAndWait(attached_->self, *shared, options)));
}

}  // namespace bgworker
