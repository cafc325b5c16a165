#include "addon/convert.h"

#include <uv.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace bgworker {
namespace {

template <typename T>
std::optional<std::vector<T>> readList(const Napi::Value& value, const char* name,
                                       std::optional<T> (*read)(const Napi::Value&, const char*)) {
  if (!value.IsArray()) {
    throwTypeError(value.Env(), (std::string(name) + " must be an array").c_str());
    return std::nullopt;
  }
  Napi::Array array = value.As<Napi::Array>();
  std::vector<T> list;
  for (uint32_t i = 0; i < array.Length(); ++i) {
    std::optional<T> item = read(array.Get(i), name);
    if (!item.has_value()) return std::nullopt;
    list.push_back(std::move(*item));
  }
  return list;
}

}  // namespace

Napi::Error systemError(Napi::Env env, const SystemError& error) {
  // libuv's errors are negated errnos on every Unix, and it has the names that Node shows.
  char code[64], reason[256];
  uv_err_name_r(-error.number, code, sizeof code);
  uv_strerror_r(-error.number, reason, sizeof reason);
  std::string message = std::string(code) + ": " + reason + ", " + error.call;
  Napi::Error thrown = Napi::Error::New(env, message);
  thrown.Set("code", Napi::String::New(env, code));
  thrown.Set("errno", Napi::Number::New(env, -error.number));
  thrown.Set("syscall", Napi::String::New(env, error.call));
  return thrown;
}

Napi::Value throwSystemError(Napi::Env env, const SystemError& error) {
  systemError(env, error).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value throwTypeError(Napi::Env env, const char* sentence) {
  Napi::TypeError::New(env, sentence).ThrowAsJavaScriptException();
  return env.Undefined();
}

Napi::Value throwIfFailed(Napi::Env env, const Status& status) {
  return status.ok() ? env.Undefined() : throwSystemError(env, status.error());
}

std::optional<int64_t> readInteger(const Napi::Value& value, const char* name, int64_t least,
                                   int64_t most) {
  double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  bool whole = std::trunc(number) == number;  // false for NaN
  if (!whole || number < static_cast<double>(least) || number > static_cast<double>(most)) {
    throwTypeError(value.Env(), (std::string(name) + " must be a whole number from " +
                                 std::to_string(least) + " to " + std::to_string(most))
                                    .c_str());
    return std::nullopt;
  }
  return static_cast<int64_t>(number);
}

std::optional<int> readDescriptor(const Napi::Value& value, const char* name) {
  std::optional<int64_t> number = readInteger(value, name, 0, std::numeric_limits<int>::max());
  if (!number.has_value()) return std::nullopt;
  return static_cast<int>(*number);
}

std::optional<std::span<const uint8_t>> readBytes(const Napi::Value& value, const char* name) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    throwTypeError(value.Env(), (std::string(name) + " must be a Uint8Array").c_str());
    return std::nullopt;
  }
  Napi::Uint8Array array = value.As<Napi::Uint8Array>();
  return std::span<const uint8_t>(array.Data(), array.ByteLength());
}

std::optional<std::string> readText(const Napi::Value& value, const char* name) {
  if (value.IsString()) return value.As<Napi::String>().Utf8Value();
  throwTypeError(value.Env(), (std::string(name) + " must be a string").c_str());
  return std::nullopt;
}

std::optional<std::string> readString(const Napi::Value& value, const char* name) {
  if (value.IsString()) {
    std::string text = value.As<Napi::String>().Utf8Value();
    if (text.find('\0') == std::string::npos) return text;
  }
  throwTypeError(value.Env(), (std::string(name) + " must be a string without NUL").c_str());
  return std::nullopt;
}

std::optional<std::vector<int>> readDescriptors(const Napi::Value& value, const char* name) {
  return readList<int>(value, name, readDescriptor);
}

std::optional<std::vector<std::string>> readStrings(const Napi::Value& value, const char* name) {
  return readList<std::string>(value, name, readString);
}

Napi::Array descriptorArray(Napi::Env env, const std::vector<int>& descriptors) {
  Napi::Array array = Napi::Array::New(env, descriptors.size());
  for (uint32_t i = 0; i < descriptors.size(); ++i) {
    array.Set(i, Napi::Number::New(env, descriptors[i]));
  }
  return array;
}

}  // namespace bgworker
