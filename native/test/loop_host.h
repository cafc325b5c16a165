// loop_host.h: the launcher's loop in a process of its own, driven from a test.
//
// A child of the loop does what its payload says (see runScenario) and leaves by _exit. All
// meetings are bytes through pipes; all waits end after kPatienceMs with a failed check.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "core/ipc/exec_request.h"
#include "core/ipc/inbox.h"
#include "core/shm/main_area.h"

namespace loop_host {

struct Report {
  bgworker::MessageKind kind;
  uint32_t childId;
  pid_t pid;
  int waitStatus;
  uint64_t userUs;
  std::string call;
  int errorNumber;
  bgworker::Descriptor pidfd;
};

class LoopHost {
 public:
  explicit LoopHost(bgworker::MainArea* area = nullptr);
  /** Ends the launcher, if it is still there, and waits for it. */
  ~LoopHost();

  pid_t pid() const { return pid_; }
  int control() const { return control_.get(); }
  void fork(uint32_t childId, const std::vector<uint8_t>& payload,
            std::initializer_list<int> descriptors = {}, bool attach = false);
  void exec(uint32_t childId, const bgworker::ExecRequest& request,
            std::initializer_list<int> descriptors = {});
  void replaceArea(int descriptor);
  Report next();
  /** The next report must be of this kind. */
  Report expect(bgworker::MessageKind kind);
  /** Skips FORKED, expects EXITED, returns its wait status. */
  int waitStatusOf(uint32_t childId);
  void closeControl() { control_.reset(); }
  /** The launcher's own wait status. */
  int wait();

 private:
  bgworker::Descriptor control_;
  bgworker::Inbox inbox_;
  pid_t pid_;
};

}  // namespace loop_host
