// descriptor_watcher.h: DescriptorWatcher of lib/native/addon.ts.
//
// Once per turn of the loop, as long as the descriptor is ready: an end of file stays ready for
// ever, so a callback either reads what there is or closes the watcher.

#pragma once

#include <napi.h>

#include <optional>

#include "addon/callback.h"
#include "addon/poll_handle.h"

namespace bgworker {

class DescriptorWatcher : public Napi::ObjectWrap<DescriptorWatcher>, public PollOwner {
 public:
  static void define(Napi::Env env, Napi::Object exports);
  explicit DescriptorWatcher(const Napi::CallbackInfo& info);

  void onPoll(int status, int events) override;
  void onEnvironmentEnd() override { stop(); }

 private:
  Napi::Value close(const Napi::CallbackInfo& info);
  void stop();

  std::optional<Callback> onReady_;
  PollHandle* handle_ = nullptr;
};

}  // namespace bgworker
