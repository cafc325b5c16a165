#include "addon/attachment.h"

#include "addon/convert.h"
#include "addon/main_area.h"
#include "addon/shared_error.h"

namespace bgworker {
namespace {

constexpr const char* kLeftCode = "ERR_SHMEM_LEFT";
constexpr const char* kLeft = "this process has left shared memory";
constexpr napi_type_tag kTypeTag = {0x6267776f726b6572, 0x6174746163686d74};

bool isWithin(const void* place, const void* address, size_t bytes) {
  const auto at = reinterpret_cast<uintptr_t>(place), from = reinterpret_cast<uintptr_t>(address);
  return at >= from && at - from < bytes;
}

}  // namespace

void Attached::endWaitsWithin(const void* address, size_t bytes) {
  lockWaits.dropIf([&](LockWait& one) { return isWithin(one.wait.lock, address, bytes); });
  conditionWaits.dropIf([&](ConditionWait& one) { return isWithin(one.target(), address, bytes); });
  arrivals.dropIf([&](ArrivalWait& one) { return isWithin(one.barrier, address, bytes); });
  if (sleptOn == nullptr || !isWithin(sleptOn, address, bytes)) return;
  sleeper.cancel();
  sleptOn = nullptr;
}

void Attached::endAll() {
  lockWaits.clear();
  conditionWaits.clear();
  arrivals.clear();
  sleeper.cancel();
  // What was inserted for the callback of an update only must not stay.
  if (updating != nullptr && updating->inserted()) {
    (void)updating->erase().ok();
  } else if (updating != nullptr) {
    updating->release();
  }
  updating = nullptr;
  structClaims.clear();
  namedClaims.clear();
  hashes.clear();
}

AttachmentObject::AttachmentObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<AttachmentObject>(info) {
  Napi::Env env = info.Env();
  MainAreaObject* object = MainAreaObject::from(info[0]);
  if (object == nullptr) return;
  MainArea& area = *object->core();
  std::optional<std::vector<int>> numbers = readDescriptors(info[1], "doorbells");
  if (!numbers.has_value()) return;
  if (numbers->size() != area.slotCount()) {
    throwTypeError(env, "doorbells must be one for each slot");
    return;
  }
  std::optional<int64_t> slot = readInteger(info[2], "slot", 0, area.slotCount() - 1);
  if (!slot.has_value()) return;
  std::optional<int> death = readDescriptor(info[3], "deathDescriptor");
  if (!death.has_value()) return;

  const AreaLayout& layout = area.layout();
  Result<Directory> directory =
      Directory::attach(area.fixed().subspan(layout.directory.offset, layout.directory.bytes));
  if (!directory.ok()) {
    throwSharedError(env, directory.error());
    return;
  }
  Result<DynamicSegments> segments =
      DynamicSegments::attach(area.descriptor(), area.fixed(), layout);
  if (!segments.ok()) {
    throwSharedError(env, segments.error());
    return;
  }
  std::vector<Descriptor> bells;
  for (int number : *numbers) bells.emplace_back(number);
  auto attached = std::make_unique<Attached>(area, Doorbells::adopt(std::move(bells)),
                                             static_cast<uint32_t>(*slot), *death,
                                             directory.value(), std::move(segments.value()));
  Result<Registry> registry = Registry::attach(area.fixed(), layout, attached->segments);
  if (!registry.ok()) {
    attached->self.leave();
    throwSharedError(env, registry.error());
    return;
  }
  attached->registry.emplace(std::move(registry.value()));
  Napi::ArrayBuffer fixed = Napi::ArrayBuffer::New(env, area.fixed().data(), area.bytes());
  if (env.IsExceptionPending()) {
    attached->self.leave();
    throwTooLarge(env);
    return;
  }
  Value().TypeTag(&kTypeTag);
  area_ = Napi::Persistent(info[0].As<Napi::Object>());
  fixed_ = Napi::Persistent(fixed);
  attached_ = std::move(attached);
}

AttachmentObject::~AttachmentObject() {
  // One that was not ended stays as it is: its process leaves without cleanup, which is a crash,
  // and here no JavaScript value may be touched any more.
  (void)attached_.release();
}

Attached* AttachmentObject::attachedOf(const Napi::Value& value) {
  Napi::Env env = value.Env();
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTypeTag)) {
    throwTypeError(env, "attachment must be an Attachment, or null");
    return nullptr;
  }
  Attached* attached = Unwrap(value.As<Napi::Object>())->attached_.get();
  if (attached == nullptr) throwSharedCode(env, kLeftCode, kLeft);
  return attached;
}

Attached* AttachmentObject::live(const Info& info) {
  if (attached_ != nullptr) return attached_.get();
  throwSharedCode(info.Env(), kLeftCode, kLeft);
  return nullptr;
}

void* AttachmentObject::placeOf(const Info& info, size_t bytes, size_t alignment) {
  Attached* attached = live(info);
  if (attached == nullptr) return nullptr;
  Napi::Env env = info.Env();
  if (!info[0].IsArrayBuffer()) {
    throwTypeError(env, "buffer must be an ArrayBuffer");
    return nullptr;
  }
  Napi::ArrayBuffer buffer = info[0].As<Napi::ArrayBuffer>();
  std::optional<int64_t> offset = readInteger(info[1], "byteOffset", 0, int64_t{1} << 52);
  if (!offset.has_value()) return nullptr;
  const size_t length = buffer.ByteLength(), at = static_cast<size_t>(*offset);
  auto* place = static_cast<std::byte*>(buffer.Data()) + at;
  bool sound = length >= bytes && at <= length - bytes && at % alignment == 0;
  if (sound && buffer.Data() == attached->area.fixed().data()) return place;
  // The buffer must be one of ours itself: a number that happens to be a mapped address is not.
  for (const auto& [handle, reference] : attached->buffers) {
    SegmentView view = attached->segments.find(handle);
    if (sound && view.address == buffer.Data()) return place;
  }
  throwSharedCode(env, "ERR_SHMEM_BAD_PLACE",
                  "this is no aligned place in shared memory that is mapped in this process");
  return nullptr;
}

Napi::Value AttachmentObject::end(const Info& info) {
  if (attached_ == nullptr) return info.Env().Undefined();
  attached_->endAll();
  // Each runs onSegmentDetach() first.
  attached_->segments.detachAll();
  attached_->self.leave();
  attached_.reset();
  return info.Env().Undefined();
}

Napi::Value AttachmentObject::fixed(const Info& info) {
  return fixed_.IsEmpty() ? info.Env().Undefined() : fixed_.Value();
}

Napi::Value AttachmentObject::slot(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), attached->self.slot());
}

Napi::Value AttachmentObject::processTableOffset(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), static_cast<double>(attached->area.processTableOffset()));
}

Napi::Value AttachmentObject::doorbell(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), attached->self.doorbell());
}

Napi::Value AttachmentObject::loopWatches(const Info& info) {
  if (Attached* attached = live(info)) attached->self.loopWatches(info[0].ToBoolean());
  return info.Env().Undefined();
}

Napi::Value AttachmentObject::prepareToSleep(const Info& info) {
  if (Attached* attached = live(info)) attached->self.prepareToSleep();
  return info.Env().Undefined();
}

Napi::Value AttachmentObject::consume(const Info& info) {
  if (Attached* attached = live(info)) attached->self.consume();
  return info.Env().Undefined();
}

Napi::Value AttachmentObject::ring(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  std::optional<int64_t> slot = readInteger(info[0], "slot", 0, attached->area.slotCount() - 1);
  if (!slot.has_value()) return info.Env().Undefined();
  std::optional<int64_t> asleep = readInteger(info[1], "asleep", INT32_MIN, UINT32_MAX);
  if (!asleep.has_value()) return info.Env().Undefined();
  attached->self.ring(static_cast<uint32_t>(*slot), static_cast<uint32_t>(*asleep));
  return info.Env().Undefined();
}

Napi::Value AttachmentObject::wake(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  std::optional<int64_t> slot = readInteger(info[0], "slot", 0, attached->area.slotCount() - 1);
  if (slot.has_value()) attached->self.wake(static_cast<uint32_t>(*slot));
  return info.Env().Undefined();
}

void AttachmentObject::define(Napi::Env env, Napi::Object exports) {
  using Self = AttachmentObject;
#define VERB(name) InstanceMethod(#name, &Self::name)
#define FIELD(name) InstanceAccessor(#name, &Self::name, nullptr)
  exports.Set("Attachment", DefineClass(env, "Attachment",
                                        {FIELD(fixed),
                                         FIELD(slot),
                                         FIELD(processTableOffset),
                                         FIELD(doorbell),
                                         VERB(end),
                                         VERB(loopWatches),
                                         VERB(prepareToSleep),
                                         VERB(consume),
                                         VERB(ring),
                                         VERB(wake),
                                         VERB(claimStruct),
                                         VERB(publishStruct),
                                         VERB(abandonStruct),
                                         VERB(listStructs),
                                         VERB(claimNamed),
                                         VERB(publishNamed),
                                         VERB(abandonNamed),
                                         VERB(listNamed),
                                         VERB(createSegment),
                                         VERB(attachSegment),
                                         VERB(findSegment),
                                         VERB(detachSegment),
                                         VERB(releaseUnpinned),
                                         VERB(pinMapping),
                                         VERB(unpinMapping),
                                         VERB(pinSegment),
                                         VERB(unpinSegment),
                                         VERB(listSegments),
                                         VERB(openHash),
                                         VERB(hashFind),
                                         VERB(hashInsert),
                                         VERB(hashUpdate),
                                         VERB(hashDelete),
                                         VERB(hashScan),
                                         VERB(hashCount),
                                         VERB(tryLock),
                                         VERB(beginLock),
                                         VERB(isGranted),
                                         VERB(cancelLock),
                                         VERB(acquireLock),
                                         VERB(releaseLock),
                                         VERB(beginCondition),
                                         VERB(takeWake),
                                         VERB(cancelCondition),
                                         VERB(signalCondition),
                                         VERB(broadcastCondition),
                                         VERB(sleepOnCondition),
                                         VERB(endSleep),
                                         VERB(initBarrier),
                                         VERB(attachBarrier),
                                         VERB(detachBarrier),
                                         VERB(arriveAndDetach),
                                         VERB(arriveAndDetachExceptLast),
                                         VERB(barrierState),
                                         VERB(beginArrival),
                                         VERB(arrivalState),
                                         VERB(forgetArrival),
                                         VERB(arriveAndWait)}));
#undef VERB
#undef FIELD
}

}  // namespace bgworker
