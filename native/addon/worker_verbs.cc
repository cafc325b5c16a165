#include "addon/worker_verbs.h"

#include <unistd.h>
#include <uv.h>

#include <string>

#include "addon/attachment.h"
#include "addon/convert.h"
#include "core/face/native_worker.h"
#include "core/proc/signals.h"

namespace bgworker {
namespace {

Napi::Value enterExecedChild(const Napi::CallbackInfo& info) {
  blockSignals();
  installQuitHandler();
  ignoreBrokenPipes();
  return info.Env().Undefined();
}

Napi::Value unblockSignalsVerb(const Napi::CallbackInfo& info) {
  unblockSignals();
  return info.Env().Undefined();
}

Napi::Value blockSignalsVerb(const Napi::CallbackInfo& info) {
  blockSignals();
  return info.Env().Undefined();
}

Napi::Value exitNow(const Napi::CallbackInfo& info) {
  std::optional<int64_t> code = readInteger(info[0], "code", 0, 255);
  if (code.has_value()) _exit(static_cast<int>(*code));
  return info.Env().Undefined();
}

/** dlopen and dlsym by way of libuv; nothing, having thrown, if either fails. */
std::optional<bgworker_main_function> loadFunction(Napi::Env env, const std::string& library,
                                                   const std::string& function) {
  // Never unloaded: the worker's process ends soon after the function does.
  auto* handle = new uv_lib_t;
  void* symbol = nullptr;
  if (uv_dlopen(library.c_str(), handle) == 0 && uv_dlsym(handle, function.c_str(), &symbol) == 0 &&
      symbol != nullptr) {
    return reinterpret_cast<bgworker_main_function>(symbol);
  }
  Napi::Error error = Napi::Error::New(env, uv_dlerror(handle));
  error.Set("code", Napi::String::New(env, "ERR_DLOPEN_FAILED"));
  uv_dlclose(handle);
  delete handle;
  error.ThrowAsJavaScriptException();
  return std::nullopt;
}

/** Where a worker that calls exit() leaves its process; set while one runs. */
napi_env leavingEnv = nullptr;

/** By process.exit(), for the exit path of every worker, which disarms the dead-man switch. */
void leaveByNode(int code) {
  Napi::Env env(leavingEnv);
  Napi::HandleScope scope(env);
  Napi::Object process = env.Global().Get("process").As<Napi::Object>();
  process.Get("exit").As<Napi::Function>().Call(process, {Napi::Number::New(env, code)});
  // It came back: something of it failed, and so did the exit.
  _exit(1);
}

Napi::Value runNativeWorker(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsObject()) return throwTypeError(env, "request must be an object");
  Napi::Object request = info[0].As<Napi::Object>();
  std::optional<std::string> library = readString(request.Get("library"), "library");
  if (!library.has_value()) return env.Undefined();
  std::optional<std::string> function = readString(request.Get("function"), "function");
  if (!function.has_value()) return env.Undefined();
  std::optional<std::string> name = readString(request.Get("name"), "name");
  if (!name.has_value()) return env.Undefined();
  std::optional<std::span<const uint8_t>> arg = readBytes(request.Get("arg"), "arg");
  if (!arg.has_value()) return env.Undefined();
  std::optional<int> death = readDescriptor(request.Get("deathDescriptor"), "deathDescriptor");
  if (!death.has_value()) return env.Undefined();
  std::optional<face::AttachedMemory> memory;
  if (!request.Get("attachment").IsNull()) {
    Attached* attached = AttachmentObject::attachedOf(request.Get("attachment"));
    if (attached == nullptr) return env.Undefined();
    memory.emplace(face::AttachedMemory{attached->self, attached->directory, attached->segments,
                                        *attached->registry});
  }
  std::optional<bgworker_main_function> entry = loadFunction(env, *library, *function);
  if (!entry.has_value()) return env.Undefined();
  leavingEnv = env;
  return Napi::Number::New(env, callNativeWorker({*entry, std::move(*name), *arg, *death,
                                                  memory ? &*memory : nullptr, leaveByNode}));
}

}  // namespace

void defineWorkerVerbs(Napi::Env env, Napi::Object exports) {
  exports.Set("enterExecedChild", Napi::Function::New(env, enterExecedChild, "enterExecedChild"));
  exports.Set("unblockSignals", Napi::Function::New(env, unblockSignalsVerb, "unblockSignals"));
  exports.Set("blockSignals", Napi::Function::New(env, blockSignalsVerb, "blockSignals"));
  exports.Set("exitNow", Napi::Function::New(env, exitNow, "exitNow"));
  exports.Set("runNativeWorker", Napi::Function::New(env, runNativeWorker, "runNativeWorker"));
}

}  // namespace bgworker
