// process.h: small verbs on processes, this one and others.

#pragma once

#include <sys/types.h>

#include <cstdint>

#include "core/base/result.h"

namespace bgworker {

enum class SignalTarget { process, group };

/**
 * Through a pidfd, so that it never hits a recycled pid. A group that does not exist yet (the
 * child has not made its session) stands for its process. false: gone already.
 */
Result<bool> sendSignal(int pidfd, int signal, SignalTarget target);

/** setsid(); nothing to do if this process leads its session already. */
Status startSession();
/** PR_SET_PDEATHSIG; 0 for none. */
Status setParentDeathSignal(int signal);

/** The nanoseconds of one fork() + _exit(0) + wait of this process. */
Result<int64_t> measureRawFork();

/** Waits for this pid and no other, and tries again when a signal interrupts. */
Result<int> reapChild(pid_t pid);

}  // namespace bgworker
