// descriptor.h: one open file descriptor and its single owner.
//
// Every descriptor that core opens or receives is held by one of these from its first moment, so
// that an error path cannot leak it. release() hands the number to somebody who closes it himself.

#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "core/base/result.h"

namespace bgworker {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) reset(std::exchange(other.number_, -1));
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { reset(); }

  bool valid() const { return number_ >= 0; }
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }
  void reset(int number = -1) {
    // close() releases the number even when it reports an error; a retry could hit a stranger.
    if (number_ >= 0) ::close(number_);
    number_ = number;
  }

 private:
  int number_ = -1;
};

/** A close-on-exec duplicate whose number is `lowest` or above. */
inline Result<Descriptor> duplicateFrom(int number, int lowest) {
  int copy = fcntl(number, F_DUPFD_CLOEXEC, lowest);
  if (copy < 0) return lastError("fcntl");
  return Descriptor(copy);
}

}  // namespace bgworker
