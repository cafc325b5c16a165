#include "core/proc/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "core/base/descriptor.h"
#include "core/base/system_calls.h"

namespace bgworker {
namespace {

/** false for ESRCH: what a signal to a process that is gone already means. */
Result<bool> delivered(int returned, const char* call) {
  if (returned == 0) return true;
  if (errno == ESRCH) return false;
  return lastError(call);
}

/** The pid behind a pidfd; 0 once it was reaped, or if it is not visible here. */
Result<pid_t> pidOf(int pidfd) {
  char path[64], text[512];
  std::snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
  Descriptor info(open(path, O_RDONLY | O_CLOEXEC));
  if (!info.valid()) return lastError("open");
  ssize_t got = read(info.get(), text, sizeof text - 1);
  if (got < 0) return lastError("read");
  text[got] = '\0';
  const char* line = std::strstr(text, "\nPid:");
  if (line == nullptr) return SystemError{"read", EBADF};
  long pid = std::strtol(line + 5, nullptr, 10);
  return pid > 0 ? static_cast<pid_t>(pid) : 0;
}

/** Before Linux 6.9. The leader is checked first; it could be reaped between check and kill. */
Result<bool> signalGroupByNumber(int pidfd, int signal) {
  Result<pid_t> pid = pidOf(pidfd);
  if (!pid.ok()) return pid.error();
  if (pid.value() == 0) return false;
  Result<bool> leader = delivered(pidfdSendSignal(pidfd, 0, 0), "pidfd_send_signal");
  if (!leader.ok() || !leader.value()) return leader;
  return delivered(kill(-pid.value(), signal), "kill");
}

Result<bool> signalGroup(int pidfd, int signal) {
  int returned = pidfdSendSignal(pidfd, signal, kPidfdSignalProcessGroup);
  if (returned < 0 && errno == EINVAL) return signalGroupByNumber(pidfd, signal);
  return delivered(returned, "pidfd_send_signal");
}

int64_t nowNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

}  // namespace

Result<bool> sendSignal(int pidfd, int signal, SignalTarget target) {
  if (target == SignalTarget::group) {
    Result<bool> group = signalGroup(pidfd, signal);
    if (!group.ok() || group.value()) return group;
  }
  return delivered(pidfdSendSignal(pidfd, signal, 0), "pidfd_send_signal");
}

Status startSession() {
  if (setsid() >= 0) return {};
  // A group leader cannot call it; one that leads its session too has what it wants.
  if (errno == EPERM && getsid(0) == getpid()) return {};
  return SystemError{"setsid", EPERM};
}

Status setParentDeathSignal(int signal) {
  if (prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(signal), 0UL, 0UL, 0UL) < 0) {
    return lastError("prctl");
  }
  return {};
}

Result<int> reapChild(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return lastError("waitpid");
  }
  return status;
}

Result<int64_t> measureRawFork() {
  int64_t before = nowNs();
  pid_t pid = fork();
  if (pid == 0) _exit(0);
  if (pid < 0) return lastError("fork");
  Result<int> status = reapChild(pid);
  if (!status.ok()) return status.error();
  return nowNs() - before;
}

}  // namespace bgworker
