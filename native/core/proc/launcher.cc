#include "core/proc/launcher.h"

#include <dirent.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cstdlib>

#include "core/base/system_calls.h"
#include "core/proc/launcher_loop.h"
#include "core/proc/process.h"
#include "core/proc/signals.h"

namespace bgworker {
namespace {

Result<int> highestDescriptor() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return lastError("opendir");
  int highest = STDERR_FILENO;
  while (const dirent* entry = readdir(directory)) {
    int number = std::atoi(entry->d_name);  // "." and ".." count as 0
    // The directory's own descriptor is about to go, but one number more does no harm.
    if (number > highest) highest = number;
  }
  closedir(directory);
  return highest;
}

}  // namespace

Result<ForkedChild> runLauncher(int controlDescriptor, const SharedHeritage& heritage,
                                const LauncherHooks& hooks) {
  auto* loop = new LauncherLoop(Descriptor(controlDescriptor), heritage, hooks);
  Status entered = loop->enter();
  if (!entered.ok()) {
    delete loop;
    return entered.error();
  }
  return loop->run();
}

LauncherLoop::LauncherLoop(Descriptor control, const SharedHeritage& heritage,
                           const LauncherHooks& hooks)
    : control_(std::move(control)),
      area_(heritage.area),
      firstDoorbell_(heritage.firstDoorbell),
      hooks_(hooks),
      inbox_(Direction::toLauncher),
      ownPid_(getpid()) {}

Status LauncherLoop::enter() {
  // 1. No signal disturbs the loop, and every child starts with its signals blocked.
  blockSignalsAndQuit();

  // 2. The postmaster's death is an end of file on the control socket, which is reliable and
  //    leaves time to end the children in order. A stopped launcher would not see it: SIGCONT is
  //    the one signal that helps, and does nothing else. If the postmaster died before this line,
  //    the first look at the socket shows it.
  Status dying = setParentDeathSignal(SIGCONT);
  if (!dying.ok()) return dying;

  // 3. Everything that is the launcher's own moves above every other descriptor, so that a child
  //    closes it all with one close_range. The gap in between is where those of the requests find
  //    their numbers. The call with an empty range at the top tells whether this kernel knows it.
  if (closeRange(~0U, ~0U) < 0) return lastError("close_range");
  Result<int> highest = highestDescriptor();
  if (!highest.ok()) return highest.error();
  firstPrivate_ = highest.value() + 1 + static_cast<int>(kMaxDescriptors);
  Status moved = moveToPrivateRange(control_);
  if (!moved.ok()) return moved;
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.valid()) return lastError("epoll_create1");
  moved = moveToPrivateRange(epoll_);
  if (!moved.ok()) return moved;

  // 4. Whatever the runtime around us needs. Last, since it counts on nothing happening after it.
  if (hooks_.prepareForks != nullptr) {
    Status prepared = hooks_.prepareForks(hooks_.context);
    if (!prepared.ok()) return prepared;
  }
  return watch(control_.get(), 0);
}

Status LauncherLoop::moveToPrivateRange(Descriptor& descriptor) {
  Result<Descriptor> moved = duplicateFrom(descriptor.get(), firstPrivate_);
  if (!moved.ok()) return moved.error();
  descriptor = std::move(moved.value());
  return {};
}

/** `pid` is what the event will carry; 0 stands for the control socket. */
Status LauncherLoop::watch(int descriptor, pid_t pid) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = static_cast<uint64_t>(pid);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) < 0) return lastError("epoll_ctl");
  return {};
}

/** Closing would not do: the postmaster has the same pidfd, which keeps it in the epoll set. */
void LauncherLoop::unwatch(int descriptor) {
  int removed = epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
  PM_ASSERT(removed == 0, "what is unwatched was watched");
}

}  // namespace bgworker
