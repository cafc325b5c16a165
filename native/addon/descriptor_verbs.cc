#include "addon/descriptor_verbs.h"

#include <csignal>
#include <limits>
#include <utility>

#include "addon/convert.h"
#include "core/base/system_calls.h"
#include "core/ipc/socket_pair.h"
#include "core/net/keepalive.h"
#include "core/proc/process.h"
#include "core/shm/main_area.h"
#include "core/sync/doorbells.h"

namespace bgworker {
namespace {

Napi::Value pairArray(Napi::Env env, Result<DescriptorPair> pair) {
  if (!pair.ok()) return throwSystemError(env, pair.error());
  return descriptorArray(env, {pair.value().first.release(), pair.value().second.release()});
}

Napi::Value channelPair(const Napi::CallbackInfo& info) {
  return pairArray(info.Env(), makeSocketPair());
}

Napi::Value pipeVerb(const Napi::CallbackInfo& info) { return pairArray(info.Env(), makePipe()); }

Napi::Value makeDoorbells(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<int64_t> count = readInteger(info[0], "count", 1, kMaxSlotCount);
  if (!count.has_value()) return env.Undefined();
  Result<Doorbells> made = Doorbells::create(static_cast<uint32_t>(*count));
  if (!made.ok()) return throwSystemError(env, made.error());
  return descriptorArray(env, std::move(made.value()).release());
}

Napi::Value openProcess(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<int64_t> pid = readInteger(info[0], "pid", 1, std::numeric_limits<int32_t>::max());
  if (!pid.has_value()) return env.Undefined();
  int pidfd = pidfdOpen(static_cast<pid_t>(*pid));
  if (pidfd < 0) return throwSystemError(env, lastError("pidfd_open"));
  return Napi::Number::New(env, pidfd);
}

Napi::Value sendSignalVerb(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<int> pidfd = readDescriptor(info[0], "pidfd");
  if (!pidfd.has_value()) return env.Undefined();
  std::optional<int64_t> signal = readInteger(info[1], "signal", 0, SIGRTMAX);
  if (!signal.has_value()) return env.Undefined();
  std::string to = info[2].IsString() ? info[2].As<Napi::String>().Utf8Value() : "";
  if (to != "process" && to != "group") {
    return throwTypeError(env, "to must be 'process' or 'group'");
  }
  SignalTarget target = to == "group" ? SignalTarget::group : SignalTarget::process;
  Result<bool> sent = sendSignal(*pidfd, static_cast<int>(*signal), target);
  if (!sent.ok()) return throwSystemError(env, sent.error());
  return Napi::Boolean::New(env, sent.value());
}

/** A whole number of `options`, 0 if it is not there. */
std::optional<int> readCount(const Napi::Object& options, const char* name) {
  Napi::Value value = options.Get(name);
  if (value.IsUndefined()) return 0;
  std::optional<int64_t> count = readInteger(value, name, 0, std::numeric_limits<int32_t>::max());
  if (!count.has_value()) return std::nullopt;
  return static_cast<int>(*count);
}

Napi::Value setKeepaliveVerb(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<int> descriptor = readDescriptor(info[0], "descriptor");
  if (!descriptor.has_value()) return env.Undefined();
  if (!info[1].IsObject()) return throwTypeError(env, "keepalive must be an object");
  Napi::Object options = info[1].As<Napi::Object>();
  Keepalive keepalive{};
  keepalive.enabled = options.Get("enabled").ToBoolean();
  const std::pair<const char*, int*> counts[] = {
      {"idleSeconds", &keepalive.idleSeconds},
      {"intervalSeconds", &keepalive.intervalSeconds},
      {"count", &keepalive.count},
      {"userTimeoutMs", &keepalive.userTimeoutMs},
  };
  for (const auto& [name, place] : counts) {
    std::optional<int> count = readCount(options, name);
    if (!count.has_value()) return env.Undefined();
    *place = *count;
  }
  return throwIfFailed(env, setKeepalive(*descriptor, keepalive));
}

}  // namespace

void defineDescriptorVerbs(Napi::Env env, Napi::Object exports) {
  exports.Set("channelPair", Napi::Function::New(env, channelPair, "channelPair"));
  exports.Set("pipe", Napi::Function::New(env, pipeVerb, "pipe"));
  exports.Set("makeDoorbells", Napi::Function::New(env, makeDoorbells, "makeDoorbells"));
  exports.Set("setKeepalive", Napi::Function::New(env, setKeepaliveVerb, "setKeepalive"));
  exports.Set("openProcess", Napi::Function::New(env, openProcess, "openProcess"));
  exports.Set("sendSignal", Napi::Function::New(env, sendSignalVerb, "sendSignal"));
}

}  // namespace bgworker
