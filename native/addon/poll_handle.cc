#include "addon/poll_handle.h"

namespace bgworker {

PollHandle* PollHandle::start(Napi::Env env, int descriptor, int events, PollOwner* owner,
                              int& error) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  auto* self = new PollHandle();
  error = uv_poll_init(loop, &self->poll_, descriptor);
  if (error != 0) {
    delete self;  // A handle whose init failed is in no loop.
    return nullptr;
  }
  self->owner_ = owner;
  self->poll_.data = self;
  napi_add_async_cleanup_hook(
      env,
      [](napi_async_cleanup_hook_handle, void* data) {
        auto* handle = static_cast<PollHandle*>(data);
        // Without an owner it is closing already, and the hook waits for that.
        if (handle->owner_ != nullptr) handle->owner_->onEnvironmentEnd();
      },
      self, &self->hook_);
  self->setEvents(events);
  return self;
}

void PollHandle::setEvents(int events) {
  // It fails only for a handle that is closing or for unknown events.
  uv_poll_start(&poll_, events, [](uv_poll_t* handle, int status, int ready) {
    auto* self = static_cast<PollHandle*>(handle->data);
    if (self->owner_ != nullptr) self->owner_->onPoll(status, ready);
  });
}

void PollHandle::unreference() { uv_unref(reinterpret_cast<uv_handle_t*>(&poll_)); }

void PollHandle::close() {
  owner_ = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) {
    auto* self = static_cast<PollHandle*>(handle->data);
    napi_remove_async_cleanup_hook(self->hook_);
    delete self;
  });
}

}  // namespace bgworker
