// children.h: the launcher's own record of its children, and nothing but the record.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <unordered_map>

#include "core/base/descriptor.h"

namespace bgworker {

struct Child {
  uint32_t childId;
  /** In the private range; in the launcher's epoll set. */
  Descriptor pidfd;
  /** What it gets when the postmaster is gone; 0 for a fork, which notices by itself. */
  int deathSignal;
};

using Children = std::unordered_map<pid_t, Child>;

}  // namespace bgworker
