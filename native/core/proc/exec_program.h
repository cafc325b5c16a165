// exec_program.h: starting another program from the launcher.

#pragma once

#include <sys/types.h>

#include <vector>

#include "core/base/descriptor.h"
#include "core/base/result.h"
#include "core/ipc/exec_request.h"
#include "core/ipc/message.h"

namespace bgworker {

struct StartedProgram {
  /** 0: no program came of it, `failure` says why, and the child has been reaped. */
  pid_t pid = 0;
  FailedBody failure{};
};

/**
 * Blocks until the program runs or has failed to. descriptors[i] becomes targets[i] there, so both
 * must be of one length.
 */
StartedProgram startProgram(const ExecRequest& request, const std::vector<Descriptor>& descriptors);

}  // namespace bgworker
