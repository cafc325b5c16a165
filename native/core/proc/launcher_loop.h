// launcher_loop.h: the state of the fork loop. Only launcher.cc makes one; see launcher.h.
//
// It lives on the heap and is never destroyed: a child must not close what the launcher watches,
// nor touch its memory, which would copy it.

#pragma once

#include <sys/types.h>

#include "core/ipc/inbox.h"
#include "core/ipc/packet.h"
#include "core/proc/children.h"
#include "core/proc/launcher.h"

namespace bgworker {

class LauncherLoop {
 public:
  LauncherLoop(Descriptor control, const SharedHeritage& heritage, const LauncherHooks& hooks);

  /** The steps before the first request. */
  Status enter();
  /** Serves requests; returns in children only. */
  ForkedChild run();

 private:
  enum class Turn { launcher, child };

  Turn serveRequest(ForkedChild& child);
  Turn serveFork(ForkedChild& child);
  void serveExec();
  void serveArea();
  [[noreturn]] void leave(int code, const char* reason);

  Status moveToPrivateRange(Descriptor& descriptor);
  Status watch(int descriptor, pid_t pid);
  void unwatch(int descriptor);
  void adopt(pid_t pid, int deathSignal);
  void reap(pid_t pid);
  void reapReady(int timeoutMs);
  void reportFailure(const char* call, int errorNumber);
  void report(const OutgoingMessage& message);

  Descriptor control_;
  Descriptor epoll_;
  MainArea* area_;
  int firstDoorbell_;
  LauncherHooks hooks_;
  Inbox inbox_;
  Children children_;
  pid_t ownPid_;
  int firstPrivate_ = 0;
  /** Set by leave(): there is nobody to report to, and nobody looks at the control socket. */
  bool leaving_ = false;
};

}  // namespace bgworker
