#include "addon/main_area.h"

#include <limits>
#include <optional>

#include "addon/convert.h"
#include "addon/instance.h"
#include "addon/inventory_object.h"
#include "addon/shared_error.h"

namespace bgworker {
namespace {

constexpr const char* kClosed = "this main area is closed";
/** undefined stands for `otherwise`. */
std::optional<size_t> optionalBytes(const Napi::Value& value, const char* name, size_t otherwise,
                                    size_t most) {
  if (value.IsUndefined()) return otherwise;
  std::optional<int64_t> bytes = readInteger(value, name, 0, static_cast<int64_t>(most));
  if (!bytes.has_value()) return std::nullopt;
  return static_cast<size_t>(*bytes);
}

constexpr napi_type_tag kTypeTag = {0x6267776f726b6572, 0x6d61696e61726561};

}  // namespace

void MainAreaObject::define(Napi::Env env, Napi::Object exports) {
  using Self = MainAreaObject;
  Napi::Function constructor = DefineClass(
      env, "MainArea",
      {StaticMethod("create", &Self::create), StaticMethod("map", &Self::map),
       InstanceMethod("publish", &Self::publish), InstanceMethod("release", &Self::release),
       InstanceMethod("attach", &Self::attach), InstanceMethod("detach", &Self::detach),
       InstanceMethod("takeDeadMan", &Self::takeDeadMan), InstanceMethod("read", &Self::read),
       InstanceMethod("reportActivity", &Self::reportActivity),
       InstanceMethod("clearActivity", &Self::clearActivity),
       InstanceMethod("readActivity", &Self::readActivity),
       InstanceMethod("inventory", &Self::inventory), InstanceMethod("close", &Self::close),
       InstanceAccessor("descriptor", &Self::descriptor, nullptr),
       InstanceAccessor("bytes", &Self::bytes, nullptr),
       InstanceAccessor("slotCount", &Self::slotCount, nullptr),
       InstanceAccessor("structBytes", &Self::structBytes, nullptr),
       InstanceAccessor("address", &Self::address, nullptr)});
  env.GetInstanceData<Instance>()->mainArea = Napi::Persistent(constructor);
  exports.Set("MainArea", constructor);
}

MainAreaObject::MainAreaObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<MainAreaObject>(info) {
  if (info.Length() != 1 || !info[0].IsExternal()) {
    throwTypeError(info.Env(), "a MainArea is made by MainArea.create() or MainArea.map()");
    return;
  }
  Value().TypeTag(&kTypeTag);
  area_.emplace(std::move(*info[0].As<Napi::External<MainArea>>().Data()));
}

MainAreaObject* MainAreaObject::from(const Napi::Value& value) {
  Napi::Env env = value.Env();
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTypeTag)) {
    throwTypeError(env, "the area must be a MainArea");
    return nullptr;
  }
  MainAreaObject* object = Unwrap(value.As<Napi::Object>());
  if (object->area_->isOpen()) return object;
  throwTypeError(env, kClosed);
  return nullptr;
}

Napi::Value MainAreaObject::wrap(Napi::Env env, MainArea area) {
  // The constructor moves out of the local variable before New() returns.
  return env.GetInstanceData<Instance>()->mainArea.New({Napi::External<MainArea>::New(env, &area)});
}

Napi::Value MainAreaObject::create(const Napi::CallbackInfo& info) {
  std::optional<int64_t> slotCount = readInteger(info[0], "slotCount", 1, kMaxSlotCount);
  if (!slotCount.has_value()) return info.Env().Undefined();
  std::optional<size_t> structBytes = optionalBytes(info[1], "structBytes", 0, kMostStructBytes);
  if (!structBytes.has_value()) return info.Env().Undefined();
  std::optional<size_t> windowBytes =
      optionalBytes(info[2], "windowBytes", kDefaultWindowBytes, kMostWindowBytes);
  if (!windowBytes.has_value()) return info.Env().Undefined();
  Result<MainArea> area =
      MainArea::create(static_cast<uint32_t>(*slotCount), *structBytes, *windowBytes);
  if (!area.ok()) return throwSharedError(info.Env(), area.error());
  return wrap(info.Env(), std::move(area.value()));
}

Napi::Value MainAreaObject::map(const Napi::CallbackInfo& info) {
  std::optional<int> descriptor = readDescriptor(info[0], "descriptor");
  if (!descriptor.has_value()) return info.Env().Undefined();
  Result<MainArea> area = MainArea::map(*descriptor);
  if (!area.ok()) return throwSystemError(info.Env(), area.error());
  return wrap(info.Env(), std::move(area.value()));
}

std::optional<uint32_t> MainAreaObject::slotOf(const Napi::CallbackInfo& info) {
  if (!area_ || !area_->isOpen()) {
    throwTypeError(info.Env(), kClosed);
    return std::nullopt;
  }
  std::optional<int64_t> slot = readInteger(info[0], "slot", 0, area_->slotCount() - 1);
  if (!slot.has_value()) return std::nullopt;
  return static_cast<uint32_t>(*slot);
}

Napi::Value MainAreaObject::publish(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<uint32_t> slot = slotOf(info);
  if (!slot.has_value()) return env.Undefined();
  bool lossless = false;
  uint64_t generation = 0;
  if (info[1].IsBigInt()) generation = info[1].As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) return throwTypeError(env, "generation must be a bigint from 0 to 2^64 - 1");
  std::optional<int64_t> pid = readInteger(info[2], "pid", -1, std::numeric_limits<int32_t>::max());
  if (!pid.has_value()) return env.Undefined();
  area_->publish(*slot, generation, static_cast<int32_t>(*pid));
  return env.Undefined();
}

Napi::Value MainAreaObject::release(const Napi::CallbackInfo& info) {
  if (std::optional<uint32_t> slot = slotOf(info)) area_->release(*slot);
  return info.Env().Undefined();
}

Napi::Value MainAreaObject::attach(const Napi::CallbackInfo& info) {
  if (std::optional<uint32_t> slot = slotOf(info)) area_->attach(*slot);
  return info.Env().Undefined();
}

Napi::Value MainAreaObject::detach(const Napi::CallbackInfo& info) {
  if (std::optional<uint32_t> slot = slotOf(info)) area_->detach(*slot);
  return info.Env().Undefined();
}

Napi::Value MainAreaObject::takeDeadMan(const Napi::CallbackInfo& info) {
  std::optional<uint32_t> slot = slotOf(info);
  if (!slot.has_value()) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), area_->takeDeadMan(*slot));
}

Napi::Value MainAreaObject::read(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<uint32_t> slot = slotOf(info);
  if (!slot.has_value()) return env.Undefined();
  SlotView view = area_->read(*slot);
  Napi::Object object = Napi::Object::New(env);
  object.Set("inUse", Napi::Boolean::New(env, view.inUse));
  object.Set("generation", Napi::BigInt::New(env, view.generation));
  object.Set("pid", Napi::Number::New(env, view.pid));
  return object;
}

Napi::Value MainAreaObject::inventory(const Napi::CallbackInfo& info) {
  if (area_ && area_->isOpen()) return inventoryObject(info.Env(), inventoryOf(*area_));
  return throwTypeError(info.Env(), kClosed);
}

Napi::Value MainAreaObject::reportActivity(const Napi::CallbackInfo& info) {
  std::optional<uint32_t> slot = slotOf(info);
  if (!slot.has_value()) return info.Env().Undefined();
  std::optional<std::span<const uint8_t>> database = readBytes(info[1], "database");
  if (!database.has_value()) return info.Env().Undefined();
  std::optional<std::span<const uint8_t>> activity = readBytes(info[2], "activity");
  if (!activity.has_value()) return info.Env().Undefined();
  auto view = [](std::span<const uint8_t> bytes) {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  area_->activities().report(*slot, view(*database), view(*activity));
  return info.Env().Undefined();
}

Napi::Value MainAreaObject::clearActivity(const Napi::CallbackInfo& info) {
  if (std::optional<uint32_t> slot = slotOf(info)) area_->activities().clear(*slot);
  return info.Env().Undefined();
}

Napi::Value MainAreaObject::readActivity(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<uint32_t> slot = slotOf(info);
  if (!slot.has_value()) return env.Undefined();
  std::optional<ActivityView> view = area_->activities().read(*slot);
  if (!view.has_value()) return env.Null();
  auto buffer = [env](const std::string& bytes) {
    return Napi::Buffer<char>::Copy(env, bytes.data(), bytes.size());
  };
  Napi::Object object = Napi::Object::New(env);
  object.Set("database", buffer(view->database));
  object.Set("activity", buffer(view->activity));
  return object;
}

Napi::Value MainAreaObject::close(const Napi::CallbackInfo& info) {
  if (area_) area_->close();
  return info.Env().Undefined();
}

Napi::Value MainAreaObject::descriptor(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), area_ ? area_->descriptor() : -1);
}

Napi::Value MainAreaObject::bytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), area_ ? static_cast<double>(area_->bytes()) : 0);
}

Napi::Value MainAreaObject::slotCount(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), area_ ? area_->slotCount() : 0);
}

Napi::Value MainAreaObject::structBytes(const Napi::CallbackInfo& info) {
  double bytes = area_ ? static_cast<double>(area_->shape().structBytes) : 0;
  return Napi::Number::New(info.Env(), bytes);
}

Napi::Value MainAreaObject::address(const Napi::CallbackInfo& info) {
  const void* address = area_ ? area_->address() : nullptr;
  return Napi::BigInt::New(info.Env(), static_cast<uint64_t>(reinterpret_cast<uintptr_t>(address)));
}

}  // namespace bgworker
