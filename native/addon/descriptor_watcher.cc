#include "addon/descriptor_watcher.h"

#include <utility>

#include "addon/convert.h"

namespace bgworker {

void DescriptorWatcher::define(Napi::Env env, Napi::Object exports) {
  exports.Set(
      "DescriptorWatcher",
      DefineClass(env, "DescriptorWatcher", {InstanceMethod("close", &DescriptorWatcher::close)}));
}

DescriptorWatcher::DescriptorWatcher(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<DescriptorWatcher>(info) {
  Napi::Env env = info.Env();
  std::optional<int> descriptor = readDescriptor(info[0], "descriptor");
  if (!descriptor.has_value()) return;
  if (!info[1].IsFunction()) {
    throwTypeError(env, "onReady must be a function");
    return;
  }
  int error = 0;
  handle_ = PollHandle::start(env, *descriptor, UV_READABLE | UV_DISCONNECT, this, error);
  if (handle_ == nullptr) {
    throwSystemError(env, {"epoll_ctl", -error});
    return;
  }
  handle_->unreference();
  onReady_.emplace(env, "bgworker:DescriptorWatcher", info[1].As<Napi::Function>());
  // While it watches, it must not be collected, though nobody may hold it.
  Ref();
}

void DescriptorWatcher::onPoll(int, int) {
  // An error is a reason to look, too: the reader of the descriptor will meet it.
  Napi::HandleScope scope(Env());
  // The callback may close the watcher; the scope keeps it until the call is over.
  [[maybe_unused]] Napi::Object self = Value();
  onReady_->call({});
}

Napi::Value DescriptorWatcher::close(const Napi::CallbackInfo& info) {
  stop();
  return info.Env().Undefined();
}

void DescriptorWatcher::stop() {
  if (handle_ == nullptr) return;
  std::exchange(handle_, nullptr)->close();
  Unref();
}

}  // namespace bgworker
