#include "addon/control_verbs.h"

#include <limits>

#include "addon/convert.h"
#include "core/ipc/local_listener.h"
#include "core/shm/memory_file.h"

namespace bgworker {
namespace {

Napi::Value descriptorOf(Napi::Env env, Result<Descriptor> made) {
  if (!made.ok()) return throwSystemError(env, made.error());
  return Napi::Number::New(env, made.value().release());
}

Napi::Value listenLocallyVerb(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<std::string> path = readString(info[0], "path");
  if (!path.has_value()) return env.Undefined();
  std::optional<int64_t> mode = readInteger(info[1], "mode", 0, 0777);
  if (!mode.has_value()) return env.Undefined();
  std::optional<int64_t> backlog =
      readInteger(info[2], "backlog", 0, std::numeric_limits<int32_t>::max());
  if (!backlog.has_value()) return env.Undefined();
  return descriptorOf(env,
                      listenLocally(*path, static_cast<mode_t>(*mode), static_cast<int>(*backlog)));
}

Napi::Value memoryFile(const Napi::CallbackInfo& info) {
  return descriptorOf(info.Env(), makeUnsealedFile("bgworker argument"));
}

Napi::Value sealFile(const Napi::CallbackInfo& info) {
  std::optional<int> descriptor = readDescriptor(info[0], "descriptor");
  if (!descriptor.has_value()) return info.Env().Undefined();
  return throwIfFailed(info.Env(), sealContent(*descriptor));
}

}  // namespace

void defineControlVerbs(Napi::Env env, Napi::Object exports) {
  exports.Set("listenLocally", Napi::Function::New(env, listenLocallyVerb, "listenLocally"));
  exports.Set("memoryFile", Napi::Function::New(env, memoryFile, "memoryFile"));
  exports.Set("sealFile", Napi::Function::New(env, sealFile, "sealFile"));
}

}  // namespace bgworker
