// exec_request.h: the body of EXEC: a program and the surroundings it starts in.
//
// The postmaster encodes it, the launcher decodes and checks it. A decoded request points into the
// body it was decoded from, which must outlive it.

#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"

namespace bgworker {

struct ResourceLimit {
  int32_t resource;
  uint64_t soft;  // kNoLimit: RLIM_INFINITY
  uint64_t hard;
};
inline constexpr uint64_t kNoLimit = ~uint64_t{0};
/** Above any number that a program expects a descriptor under, and below every sane limit. */
inline constexpr int32_t kMaxTarget = 1023;

struct ExecRequest {
  const char* file = "";
  std::vector<const char*> args;
  std::vector<const char*> env;
  const char* cwd = nullptr;
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  int32_t deathSignal = 0;
  std::vector<int32_t> targets;
  std::vector<ResourceLimit> limits;
};

void encode(const ExecRequest& request, ByteWriter& writer);

/** Nothing if a length, a signal or a target is out of range, or a target occurs twice. */
std::optional<ExecRequest> decodeExecRequest(std::span<const uint8_t> body);

}  // namespace bgworker
