// forked_child.h: what a child of the launcher does before any code of the worker runs.

#pragma once

#include <sys/types.h>

#include <vector>

#include "core/base/descriptor.h"
#include "core/shm/main_area.h"

namespace bgworker {

struct ChildEntry {
  pid_t launcherPid;
  /** From here up, all descriptors are the launcher's own; those of the request excepted. */
  int firstPrivate;
  const std::vector<Descriptor>& requested;
  MainArea* area;
  /** The doorbell of slot 0, which those of the others follow; -1: there are none. */
  int firstDoorbell;
  bool attach;
};

/** Returns to the worker's code, or leaves by _exit if the launcher is gone. */
void enterForkedChild(const ChildEntry& entry);

}  // namespace bgworker
