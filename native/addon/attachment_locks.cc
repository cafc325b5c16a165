// attachment_locks.cc: the slow paths of LWLocks. Who holds what is lib/shared/'s to know: there
// locks are taken and released without coming here, while nobody waits.

#include "addon/attachment.h"
#include "addon/convert.h"

namespace bgworker {
namespace {

constexpr int kAcquired = -1, kNoNode = -2;

std::optional<lwlock::Mode> readMode(const Napi::Value& value) {
  std::string mode = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (mode == "shared") return lwlock::Mode::shared;
  if (mode == "exclusive") return lwlock::Mode::exclusive;
  throwTypeError(value.Env(), "mode must be 'shared' or 'exclusive'");
  return std::nullopt;
}

LockWait* readWait(const Napi::CallbackInfo& info, Attached& attached, int64_t& number) {
  std::optional<int64_t> read = readInteger(info[0], "wait", 0, UINT32_MAX);
  if (!read.has_value()) return nullptr;
  number = *read;
  LockWait* wait = attached.lockWaits.get(number);
  if (wait == nullptr) throwTypeError(info.Env(), "wait must be one that is under way");
  return wait;
}

}  // namespace

Napi::Value AttachmentObject::tryLock(const Info& info) {
  auto* lock = placeOf<SharedLwlock>(info);
  if (lock == nullptr) return info.Env().Undefined();
  std::optional<lwlock::Mode> mode = readMode(info[2]);
  if (!mode.has_value()) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), lwlock::tryAcquire(*lock, *mode));
}

Napi::Value AttachmentObject::beginLock(const Info& info) {
  auto* lock = placeOf<SharedLwlock>(info);
  if (lock == nullptr) return info.Env().Undefined();
  std::optional<lwlock::Mode> mode = readMode(info[2]);
  if (!mode.has_value()) return info.Env().Undefined();
  auto kept = std::unique_ptr<LockWait>(new LockWait{attached_->self});
  kept->isOver = true;
  switch (lwlock::begin(attached_->self, *lock, *mode, kept->wait)) {
    case lwlock::Begun::acquired:
      return Napi::Number::New(info.Env(), kAcquired);
    case lwlock::Begun::noNode:
      return Napi::Number::New(info.Env(), kNoNode);
    case lwlock::Begun::waiting:
      break;
  }
  kept->isOver = false;
  return Napi::Number::New(info.Env(), attached_->lockWaits.add(std::move(kept)));
}

Napi::Value AttachmentObject::isGranted(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  int64_t number = 0;
  LockWait* wait = readWait(info, *attached, number);
  if (wait == nullptr) return info.Env().Undefined();
  wait->isOver = lwlock::isGranted(attached->self, wait->wait);
  const bool granted = wait->isOver;
  if (granted) attached->lockWaits.drop(number);
  return Napi::Boolean::New(info.Env(), granted);
}

Napi::Value AttachmentObject::cancelLock(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  int64_t number = 0;
  LockWait* wait = readWait(info, *attached, number);
  if (wait == nullptr) return info.Env().Undefined();
  wait->isOver = true;
  bool hadIt = lwlock::cancel(attached->self, wait->wait);
  attached->lockWaits.drop(number);
  return Napi::Boolean::New(info.Env(), hadIt);
}

Napi::Value AttachmentObject::acquireLock(const Info& info) {
  auto* lock = placeOf<SharedLwlock>(info);
  if (lock == nullptr) return info.Env().Undefined();
  std::optional<lwlock::Mode> mode = readMode(info[2]);
  if (!mode.has_value()) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), lwlock::acquire(attached_->self, *lock, *mode));
}

Napi::Value AttachmentObject::releaseLock(const Info& info) {
  auto* lock = placeOf<SharedLwlock>(info);
  if (lock == nullptr) return info.Env().Undefined();
  std::optional<lwlock::Mode> mode = readMode(info[2]);
  if (mode.has_value()) lwlock::release(attached_->self, *lock, *mode);
  return info.Env().Undefined();
}

}  // namespace bgworker
