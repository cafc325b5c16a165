// launcher.h: the fork loop.
//
// The launcher's main thread enters it once and never comes back, except in its children. It takes
// requests from the control socket and reports every child's beginning and end. It does not decide
// anything: no restart, no timeout but the one after its postmaster's death.
//
// It must be the only one in its process that forks and reaps, and the process must be quiet: what
// other threads hold at the moment of a fork is held for ever in the child.

#pragma once

#include <cstdint>
#include <vector>

#include "core/base/descriptor.h"
#include "core/base/result.h"
#include "core/shm/main_area.h"

namespace bgworker {

/** What a child returns with. Its descriptors are its own. */
struct ForkedChild {
  uint32_t childId = 0;
  std::vector<uint8_t> payload;
  std::vector<int> descriptors;
};

/** What the runtime around core has to do; core knows no Node. Both may be null. */
struct LauncherHooks {
  void* context = nullptr;
  /** Once, when no more code of the runtime will run in the launcher. */
  Status (*prepareForks)(void* context) = nullptr;
  /** In each child, after core's own steps and before it returns. */
  void (*enterChild)(void* context) = nullptr;
};

/** What a child inherits if it is attached, and loses if it is not. */
struct SharedHeritage {
  /** Null: there is no shared memory. */
  MainArea* area = nullptr;
  /** The doorbell of slot 0; those of the other slots follow without a gap. -1: there are none. */
  int firstDoorbell = -1;
};

/**
 * Owns `controlDescriptor` from now on. Returns in children, or with an error before the first
 * fork; the launcher itself leaves the process here: 0 when the postmaster closed the control
 * socket, 1 after a malformed message.
 */
Result<ForkedChild> runLauncher(int controlDescriptor, const SharedHeritage& heritage,
                                const LauncherHooks& hooks);

}  // namespace bgworker
