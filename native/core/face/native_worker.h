// native_worker.h: the surroundings of a worker written in C; see include/bgworker.h.
//
// Main thread only, one at a time: signal handlers can only reach what is global, and there is one
// pair of flags in a process.

#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/face/holdings.h"
#include "include/bgworker.h"

namespace bgworker {

struct NativeWorker {
  bgworker_main_function function;
  std::string name;
  std::span<const uint8_t> arg;
  /** Readable once the postmaster is dead. */
  int deathDescriptor;
  /** Null without shared memory. */
  const face::AttachedMemory* memory = nullptr;
  /** Called when the function has called exit(), with its code, once the worker holds nothing any
   *  more. It ends the process; null: by _exit(). */
  void (*leave)(int code) = nullptr;
};

namespace face {

/** What the function gets. */
const bgworker_api& api();

}  // namespace face

/**
 * Blocks signals, installs the handlers, calls, and gives back whatever of shared memory the
 * function has kept; returns the exit code. Signals stay blocked then: one that comes between the
 * return and the exit must not replace the worker's exit code.
 */
int callNativeWorker(const NativeWorker& worker);

}  // namespace bgworker
