// convert.h: between JavaScript values and core's, and errors in both directions.
//
// C++ exceptions are off. A verb that throws calls one of these and returns at once; readers of
// arguments return nothing when they have thrown.

#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"

namespace bgworker {

/** Like Node's own: `ENOENT: no such file or directory, execve`, with code, errno and syscall. */
Napi::Error systemError(Napi::Env env, const SystemError& error);
/** Throws and returns undefined, so that a verb can `return throwSystemError(...)`. */
Napi::Value throwSystemError(Napi::Env env, const SystemError& error);
Napi::Value throwTypeError(Napi::Env env, const char* sentence);
Napi::Value throwIfFailed(Napi::Env env, const Status& status);

/** A whole number from `least` to `most`; throws a TypeError that names the argument. */
std::optional<int64_t> readInteger(const Napi::Value& value, const char* name, int64_t least,
                                   int64_t most);
std::optional<int> readDescriptor(const Napi::Value& value, const char* name);
std::optional<std::span<const uint8_t>> readBytes(const Napi::Value& value, const char* name);
/** Any string: a NUL in it is the callee's business. */
std::optional<std::string> readText(const Napi::Value& value, const char* name);
/** A string without a NUL in it, which C could not carry. */
std::optional<std::string> readString(const Napi::Value& value, const char* name);
std::optional<std::vector<int>> readDescriptors(const Napi::Value& value, const char* name);
std::optional<std::vector<std::string>> readStrings(const Napi::Value& value, const char* name);

Napi::Array descriptorArray(Napi::Env env, const std::vector<int>& descriptors);

}  // namespace bgworker
