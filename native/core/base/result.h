// result.h: what the world refuses, as a value.
//
// A function that makes system calls returns Status or Result<T>; the error names the call and
// keeps its errno. Nothing in core throws (it is built with -fno-exceptions).

#pragma once

#include <cerrno>
#include <optional>
#include <utility>

#include "core/base/assert.h"

namespace bgworker {

/** The system call that failed, and why. `call` is a string literal. */
struct SystemError {
  const char* call;
  int number;
};

/** Reads errno; so it stands directly behind the call it speaks of. */
inline SystemError lastError(const char* call) { return {call, errno}; }

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(SystemError error) : error_(error) {}  // NOLINT: `return lastError("dup")` is the point.

  bool ok() const { return !error_.has_value(); }
  const SystemError& error() const {
    PM_ASSERT(error_.has_value(), "only a failed Status has an error");
    return *error_;
  }

 private:
  std::optional<SystemError> error_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: implicit, so that `return value` works.
  Result(SystemError error) : error_(error) {}   // NOLINT: the same for errors.

  bool ok() const { return value_.has_value(); }
  T& value() {
    PM_ASSERT(value_.has_value(), "only a successful Result has a value");
    return *value_;
  }
  const SystemError& error() const {
    PM_ASSERT(!value_.has_value(), "only a failed Result has an error");
    return error_;
  }

 private:
  std::optional<T> value_;
  SystemError error_{nullptr, 0};
};

}  // namespace bgworker
