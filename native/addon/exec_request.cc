#include "addon/exec_request.h"

#include <cmath>
#include <csignal>
#include <limits>
#include <string>

#include "addon/convert.h"
#include "core/ipc/exec_request.h"

namespace bgworker {
namespace {

constexpr int64_t kMaxId = std::numeric_limits<uint32_t>::max() - 1;  // the last one means "none"

/** A field that may be null: false if a TypeError was thrown. */
bool readId(const Napi::Value& value, const char* name, std::optional<uint32_t>& id) {
  if (value.IsNull()) return true;
  std::optional<int64_t> number = readInteger(value, name, 0, kMaxId);
  if (number.has_value()) id = static_cast<uint32_t>(*number);
  return number.has_value();
}

std::optional<uint64_t> readLimitValue(const Napi::Value& value, const char* name) {
  if (value.IsNumber() && value.As<Napi::Number>().DoubleValue() == HUGE_VAL) return kNoLimit;
  std::optional<int64_t> number = readInteger(value, name, 0, int64_t{1} << 53);
  if (!number.has_value()) return std::nullopt;
  return static_cast<uint64_t>(*number);
}

bool readLimits(const Napi::Value& value, std::vector<ResourceLimit>& limits) {
  if (!value.IsArray()) {
    throwTypeError(value.Env(), "limits must be an array");
    return false;
  }
  Napi::Array array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    Napi::Value item = array.Get(i);
    if (!item.IsArray()) {
      throwTypeError(value.Env(), "a limit must be [resource, soft, hard]");
      return false;
    }
    Napi::Array limit = item.As<Napi::Array>();
    std::optional<int64_t> resource = readInteger(limit.Get(0U), "resource", 0, 255);
    if (!resource.has_value()) return false;
    std::optional<uint64_t> soft = readLimitValue(limit.Get(1U), "soft limit");
    if (!soft.has_value()) return false;
    std::optional<uint64_t> hard = readLimitValue(limit.Get(2U), "hard limit");
    if (!hard.has_value()) return false;
    limits.push_back({static_cast<int32_t>(*resource), *soft, *hard});
  }
  return true;
}

/** Owns the strings that the request points to. */
struct Strings {
  std::string file, cwd;
  std::vector<std::string> args, env;
};

bool readStringsOf(const Napi::Object& object, Strings& strings, ExecRequest& request) {
  std::optional<std::string> file = readString(object.Get("file"), "file");
  if (!file.has_value()) return false;
  std::optional<std::vector<std::string>> args = readStrings(object.Get("args"), "args");
  if (!args.has_value()) return false;
  std::optional<std::vector<std::string>> env = readStrings(object.Get("env"), "env");
  if (!env.has_value()) return false;
  strings.file = std::move(*file);
  strings.args = std::move(*args);
  strings.env = std::move(*env);
  Napi::Value cwd = object.Get("cwd");
  if (!cwd.IsNull()) {
    std::optional<std::string> text = readString(cwd, "cwd");
    if (!text.has_value()) return false;
    strings.cwd = std::move(*text);
    request.cwd = strings.cwd.c_str();
  }
  request.file = strings.file.c_str();
  for (const std::string& text : strings.args) request.args.push_back(text.c_str());
  for (const std::string& text : strings.env) request.env.push_back(text.c_str());
  return true;
}

bool readNumbersOf(const Napi::Object& object, ExecRequest& request,
                   std::vector<int>& descriptors) {
  if (!readId(object.Get("uid"), "uid", request.uid)) return false;
  if (!readId(object.Get("gid"), "gid", request.gid)) return false;
  std::optional<int64_t> death = readInteger(object.Get("deathSignal"), "deathSignal", 0, SIGRTMAX);
  if (!death.has_value()) return false;
  request.deathSignal = static_cast<int32_t>(*death);
  std::optional<std::vector<int>> targets = readDescriptors(object.Get("targets"), "targets");
  if (!targets.has_value()) return false;
  std::optional<std::vector<int>> sources =
      readDescriptors(object.Get("descriptors"), "descriptors");
  if (!sources.has_value()) return false;
  request.targets.assign(targets->begin(), targets->end());
  descriptors = std::move(*sources);
  return readLimits(object.Get("limits"), request.limits);
}

}  // namespace

std::optional<EncodedExecRequest> readExecRequest(const Napi::Value& value) {
  Napi::Env env = value.Env();
  if (!value.IsObject()) {
    throwTypeError(env, "request must be an object");
    return std::nullopt;
  }
  Napi::Object object = value.As<Napi::Object>();
  Strings strings;
  ExecRequest request;
  EncodedExecRequest encoded;
  if (!readStringsOf(object, strings, request)) return std::nullopt;
  if (!readNumbersOf(object, request, encoded.descriptors)) return std::nullopt;
  encode(request, encoded.body);
  // What the launcher would refuse is refused here: there it would end the channel.
  if (request.targets.size() != encoded.descriptors.size() ||
      !decodeExecRequest(encoded.body.bytes()).has_value()) {
    throwTypeError(env,
                   "args must contain argv[0]; targets must be as many as descriptors, "
                   "all different, from 0 to 1023");
    return std::nullopt;
  }
  return encoded;
}

}  // namespace bgworker
