#include "core/proc/exec_program.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "core/ipc/socket_pair.h"
#include "core/proc/close_others.h"
#include "core/proc/process.h"
#include "core/proc/signals.h"

namespace bgworker {
namespace {

constexpr int kExecFailedExitCode = 127;

/** Tells the launcher, which is waiting at the other end, and leaves. */
[[noreturn]] void giveUp(int reportEnd, SystemError error) {
  FailedBody body = failedBody(error.call, error.number);
  // 32 bytes into an empty pipe: whole or, if the launcher died, not at all.
  [[maybe_unused]] ssize_t written = write(reportEnd, &body, sizeof body);
  _exit(kExecFailedExitCode);
}

/** Puts every descriptor under its target number and closes all others from 3 up. */
Status placeDescriptors(const ExecRequest& request, const std::vector<Descriptor>& descriptors,
                        int& reportEnd) {
  int lowestFree = 3;
  for (int target : request.targets) lowestFree = std::max(lowestFree, target + 1);
  // First all of them above every target: then no placing can overwrite a source not yet placed.
  std::vector<int> sources;
  for (const Descriptor& descriptor : descriptors) {
    int copy = fcntl(descriptor.get(), F_DUPFD_CLOEXEC, lowestFree);
    if (copy < 0) return lastError("fcntl");
    sources.push_back(copy);
  }
  int report = fcntl(reportEnd, F_DUPFD_CLOEXEC, lowestFree);
  if (report < 0) return lastError("fcntl");
  reportEnd = report;
  for (size_t i = 0; i < sources.size(); ++i) {
    if (dup2(sources[i], request.targets[i]) < 0) return lastError("dup2");
  }
  // Node marks its standard descriptors close-on-exec at its start; a program inherits them.
  for (int standard = STDIN_FILENO; standard <= STDERR_FILENO; ++standard) {
    // EBADF: the launcher itself was started without it, so the program goes without, too.
    if (fcntl(standard, F_SETFD, 0) < 0 && errno != EBADF) return lastError("fcntl");
  }
  std::vector<int> kept(request.targets.begin(), request.targets.end());
  kept.push_back(reportEnd);
  return closeOthers(3, std::move(kept));
}

Status applyLimits(const ExecRequest& request) {
  for (const ResourceLimit& limit : request.limits) {
    rlimit64 value{limit.soft == kNoLimit ? RLIM64_INFINITY : limit.soft,
                   limit.hard == kNoLimit ? RLIM64_INFINITY : limit.hard};
    // By number: the type of setrlimit's first parameter differs between C libraries.
    if (syscall(SYS_prlimit64, 0, limit.resource, &value, nullptr) < 0) {
      return lastError("setrlimit");
    }
  }
  return {};
}

Status becomeUser(const ExecRequest& request) {
  // The group first: afterwards the right to change it may be gone.
  if (request.gid.has_value()) {
    gid_t group = *request.gid;
    if (setgroups(1, &group) < 0) return lastError("setgroups");
    if (setgid(group) < 0) return lastError("setgid");
  }
  if (request.uid.has_value() && setuid(*request.uid) < 0) return lastError("setuid");
  return {};
}

[[noreturn]] void enterProgram(const ExecRequest& request,
                               const std::vector<Descriptor>& descriptors, pid_t launcherPid,
                               int reportEnd) {
  // 1. An own session and process group, for the reasons of a forked child.
  if (setsid() < 0) giveUp(reportEnd, lastError("setsid"));

  // 2. The working directory, as the launcher's user still: it need not be visible to the other.
  if (request.cwd != nullptr && chdir(request.cwd) < 0) giveUp(reportEnd, lastError("chdir"));

  // 3. Descriptors before limits: a low limit on open files would refuse the numbers in between.
  Status placed = placeDescriptors(request, descriptors, reportEnd);
  if (!placed.ok()) giveUp(reportEnd, placed.error());

  // 4. Limits before the user: raising one needs the right that setuid takes away.
  Status limited = applyLimits(request);
  if (!limited.ok()) giveUp(reportEnd, limited.error());

  // 5. Groups, group, user, in the one order in which each is still allowed.
  Status become = becomeUser(request);
  if (!become.ok()) giveUp(reportEnd, become.error());

  // 6. The death signal after setuid, which clears it; the look at the parent after that, since
  //    no signal comes for a launcher that died before.
  Status dying = setParentDeathSignal(request.deathSignal);
  if (!dying.ok()) giveUp(reportEnd, dying.error());
  if (getppid() != launcherPid) _exit(kExecFailedExitCode);

  // 7. A program expects no blocked signals, and none ignored by a choice of the launcher's; both
  //    would survive an exec.
  resetSignals();

  // 8. PATH is taken from the program's own environment, hence `environ` first.
  std::vector<char*> arguments, variables;
  for (const char* text : request.args) arguments.push_back(const_cast<char*>(text));
  for (const char* text : request.env) variables.push_back(const_cast<char*>(text));
  arguments.push_back(nullptr);
  variables.push_back(nullptr);
  environ = variables.data();
  execvpe(request.file, arguments.data(), variables.data());
  giveUp(reportEnd, lastError("execve"));
}

StartedProgram failed(SystemError error) { return {0, failedBody(error.call, error.number)}; }

}  // namespace

StartedProgram startProgram(const ExecRequest& request,
                            const std::vector<Descriptor>& descriptors) {
  PM_ASSERT(request.targets.size() == descriptors.size(), "each descriptor has one target");
  Result<DescriptorPair> pipe = makePipe();
  if (!pipe.ok()) return failed(pipe.error());
  pid_t launcherPid = getpid();
  pid_t pid = fork();
  if (pid < 0) return failed(lastError("fork"));
  if (pid == 0) {
    enterProgram(request, descriptors, launcherPid, pipe.value().second.get());
  }
  pipe.value().second.reset();
  FailedBody failure{};
  ssize_t got;
  // The write end is close-on-exec: the end of file says that the program runs, or that the child
  // was killed on the way, which its exit then tells.
  do {
    got = read(pipe.value().first.get(), &failure, sizeof failure);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof failure) return {pid, {}};
  // It leaves at once. An error here would mean that it has been reaped by another: it is gone.
  (void)reapChild(pid).ok();
  failure.call[sizeof failure.call - 1] = '\0';
  return {0, failure};
}

}  // namespace bgworker
