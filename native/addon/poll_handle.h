// poll_handle.h: a descriptor in the event loop, from start to the end of its closing.
//
// A uv_poll_t must outlive its owner by one turn of the loop, so it lives on the heap and frees
// itself. An environment that ends (a Worker thread, the process) closes what is still open; the
// asynchronous kind of cleanup hook is needed, since libuv aborts a loop with open handles.
//
// Main thread of its environment only.

#pragma once

#include <napi.h>
#include <uv.h>

namespace bgworker {

/** Who is called; both on the loop's thread, in no JavaScript scope. */
class PollOwner {
 public:
  /** `status` is a libuv error or 0. */
  virtual void onPoll(int status, int events) = 0;
  /** The environment ends. Afterwards the handle is closing and calls nobody any more. */
  virtual void onEnvironmentEnd() = 0;

 protected:
  ~PollOwner() = default;
};

class PollHandle {
 public:
  /** A libuv error in `error` and null if the descriptor cannot be watched. */
  static PollHandle* start(Napi::Env env, int descriptor, int events, PollOwner* owner, int& error);

  void setEvents(int events);
  void unreference();
  /** Calls the owner no more, and frees itself. The pointer is dead to the caller. */
  void close();

 private:
  PollHandle() = default;
  ~PollHandle() = default;

  uv_poll_t poll_{};
  PollOwner* owner_ = nullptr;
  napi_async_cleanup_hook_handle hook_ = nullptr;
};

}  // namespace bgworker
