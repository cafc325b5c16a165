// callback.h: calling JavaScript from the event loop.
//
// Each call is a turn of its own: its promises' reactions run before it returns, and what it
// throws becomes an uncaughtException, like that of any listener.

#pragma once

#include <napi.h>

#include <initializer_list>

namespace bgworker {

class Callback {
 public:
  Callback(Napi::Env env, const char* resourceName, Napi::Function function)
      : function_(Napi::Persistent(function)), context_(env, resourceName) {}

  void call(std::initializer_list<napi_value> args) const {
    Napi::Env env = function_.Env();
    function_.MakeCallback(env.Global(), args, context_);
    if (!env.IsExceptionPending()) return;
    napi_fatal_exception(env, env.GetAndClearPendingException().Value());
  }

 private:
  Napi::FunctionReference function_;
  Napi::AsyncContext context_;
};

}  // namespace bgworker
