// main_area.h: MainArea of lib/native/main-area.ts.

#pragma once

#include <napi.h>

#include <optional>

#include "core/shm/main_area.h"

namespace bgworker {

class MainAreaObject : public Napi::ObjectWrap<MainAreaObject> {
 public:
  static void define(Napi::Env env, Napi::Object exports);
  /** Null, having thrown, if the value is none of ours, or closed. */
  static MainAreaObject* from(const Napi::Value& value);
  static Napi::Value wrap(Napi::Env env, MainArea area);

  /** Called by create() and map() only; JavaScript's `new` finds no core area and throws. */
  explicit MainAreaObject(const Napi::CallbackInfo& info);
  MainArea* core() { return area_ ? &*area_ : nullptr; }

 private:
  static Napi::Value create(const Napi::CallbackInfo& info);
  static Napi::Value map(const Napi::CallbackInfo& info);

  Napi::Value publish(const Napi::CallbackInfo& info);
  Napi::Value release(const Napi::CallbackInfo& info);
  Napi::Value attach(const Napi::CallbackInfo& info);
  Napi::Value detach(const Napi::CallbackInfo& info);
  Napi::Value takeDeadMan(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  Napi::Value reportActivity(const Napi::CallbackInfo& info);
  Napi::Value clearActivity(const Napi::CallbackInfo& info);
  Napi::Value readActivity(const Napi::CallbackInfo& info);
  Napi::Value inventory(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);
  Napi::Value descriptor(const Napi::CallbackInfo& info);
  Napi::Value bytes(const Napi::CallbackInfo& info);
  Napi::Value slotCount(const Napi::CallbackInfo& info);
  Napi::Value structBytes(const Napi::CallbackInfo& info);
  Napi::Value address(const Napi::CallbackInfo& info);

  /** Checks that the area is open and the first argument one of its slots. */
  std::optional<uint32_t> slotOf(const Napi::CallbackInfo& info);

  std::optional<MainArea> area_;
};

}  // namespace bgworker
