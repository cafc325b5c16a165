// system_calls.h: the Linux calls that old C libraries have no function for.
//
// They are called by number, so that one binary, built against a new glibc, still loads on the
// oldest that Node itself supports. Each behaves like its manual page: -1 and errno on failure.

#pragma once

#include <sys/types.h>

namespace bgworker {

int memfdCreate(const char* name, unsigned flags);
int pidfdOpen(pid_t pid);
int pidfdSendSignal(int pidfd, int signal, unsigned flags);
/** Closes every descriptor from `first` to `last`, both included. Linux 5.9. */
int closeRange(unsigned first, unsigned last);

/** pidfd_send_signal's flag for the whole process group. Linux 6.9; EINVAL before. */
inline constexpr unsigned kPidfdSignalProcessGroup = 1U << 2;

}  // namespace bgworker
