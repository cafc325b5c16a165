// exec_request.h: the ExecRequest of lib/native/launcher.ts as the body of EXEC.

#pragma once

#include <napi.h>

#include <optional>
#include <vector>

#include "core/base/bytes.h"

namespace bgworker {

struct EncodedExecRequest {
  ByteWriter body;
  std::vector<int> descriptors;
};

/** Nothing, having thrown a TypeError, if the launcher would not accept it. */
std::optional<EncodedExecRequest> readExecRequest(const Napi::Value& value);

}  // namespace bgworker
