#include "core/proc/forked_child.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>

#include "core/base/system_calls.h"
#include "core/proc/close_others.h"
#include "core/proc/process.h"
#include "core/proc/signals.h"

namespace bgworker {
namespace {

/** Nobody is left who would read a reason. */
constexpr int kOrphanedExitCode = 1;

/** The few of the request that landed among the launcher's own numbers. */
std::vector<int> keptAbove(int firstPrivate, const std::vector<Descriptor>& requested) {
  std::vector<int> kept;
  for (const Descriptor& descriptor : requested) {
    if (descriptor.get() >= firstPrivate) kept.push_back(descriptor.get());
  }
  return kept;
}

void closeDoorbells(int first, uint32_t count) {
  unsigned from = static_cast<unsigned>(first);
  PM_ASSERT(closeRange(from, from + count - 1) == 0,
            "the launcher checked at its entry that close_range works");
}

}  // namespace

void enterForkedChild(const ChildEntry& entry) {
  // Each step has a number because their order matters. The signals are still blocked, as they
  // were in the launcher. Nothing here can be answered with an error that anybody reads, so what
  // cannot fail is asserted.

  // 1. An own session and process group: a signal to -pid reaches all that this worker starts,
  //    and no terminal's ^C reaches it. It cannot fail in a child that was just made.
  PM_ASSERT(setsid() >= 0, "a fresh child can start a session");

  // 2. Die with the launcher. It may be dead already, then no signal would ever come: hence the
  //    look at the parent, after the request and not before it.
  PM_ASSERT(setParentDeathSignal(SIGKILL).ok(), "SIGKILL is a signal to die by");
  if (getppid() != entry.launcherPid) _exit(kOrphanedExitCode);

  // 3. The control socket, the epoll set and the pidfds of the siblings are the launcher's. A
  //    child that kept the socket would hide the launcher's death from the postmaster.
  Status closed = closeOthers(entry.firstPrivate, keptAbove(entry.firstPrivate, entry.requested));
  PM_ASSERT(closed.ok(), "the launcher checked at its entry that close_range works");

  // 4. A worker that did not ask for shared memory must not be able to harm it. The descriptor
  //    goes with the mapping: it could map it again.
  //    So do the doorbells, which it could ring or drain: they lie in one row of numbers.
  if (!entry.attach && entry.area != nullptr) {
    entry.area->close();
    if (entry.firstDoorbell >= 0) closeDoorbells(entry.firstDoorbell, entry.area->slotCount());
  }

  // 5. SIGQUIT must end the worker however early it comes.
  installQuitHandler();

  // 6. Node ignores SIGPIPE as well, but a preload module may have changed that.
  ignoreBrokenPipes();
}

}  // namespace bgworker
