// launcher_channel.h: LauncherChannel of lib/native/: the postmaster's end of the control socket.
//
// It never blocks and never waits for the launcher. It owns its descriptor.

#pragma once

#include <napi.h>

#include <optional>

#include "addon/callback.h"
#include "addon/poll_handle.h"
#include "core/base/descriptor.h"
#include "core/ipc/inbox.h"
#include "core/ipc/outbox.h"

namespace bgworker {

class LauncherChannel : public Napi::ObjectWrap<LauncherChannel>, public PollOwner {
 public:
  static void define(Napi::Env env, Napi::Object exports);
  explicit LauncherChannel(const Napi::CallbackInfo& info);

  void onPoll(int status, int events) override;
  void onEnvironmentEnd() override { stop(); }

 private:
  Napi::Value note(const Napi::CallbackInfo& info);
  Napi::Value fork(const Napi::CallbackInfo& info);
  Napi::Value exec(const Napi::CallbackInfo& info);
  Napi::Value replaceArea(const Napi::CallbackInfo& info);
  Napi::Value close(const Napi::CallbackInfo& info);

  Napi::Value post(Napi::Env env, const OutgoingMessage& message);
  void receiveSome();
  void stop();
  /** The peer is gone or cannot be believed: closes, and tells JavaScript. */
  void lose();

  Descriptor socket_;
  Inbox inbox_;
  Outbox outbox_;
  std::optional<Callback> onReport_;
  std::optional<Callback> onClose_;
  PollHandle* handle_ = nullptr;
};

}  // namespace bgworker
