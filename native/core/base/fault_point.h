// fault_point.h: named spots at which a test makes a process fail, wait or die.
//
//     FAULT_POINT("latch-set");                                // waits or dies here if armed
//     if (FAULT_POINT_FAILS("queue-no-memory")) return ...;    // or pretends a failure
//
// They exist only with -DBGWORKER_FAULT_POINTS, which the tests' build sets; otherwise nothing of
// them is compiled. What is armed belongs to the calling thread: a forked child inherits it from
// the thread that forked, and a test in threads arms each of its threads by itself.
//
// A waiting thread writes one byte to `arrived` and reads one from `go`: the test meets it there.

#pragma once

#ifdef BGWORKER_FAULT_POINTS

#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "core/base/assert.h"

namespace bgworker::fault {

enum class Action { fail, wait, die };

struct Armed {
  const char* name;
  Action action;
  uint32_t skip; /* passes before the action; it then happens once */
  int arrived;
  int go;
};

inline constexpr uint32_t kMaxArmed = 8;
inline thread_local Armed armed[kMaxArmed];
inline thread_local uint32_t armedCount = 0;

inline void arm(const Armed& point) {
  PM_ASSERT(armedCount < kMaxArmed, "no more fault points are armed than the registry holds");
  armed[armedCount++] = point;
}

inline void disarmAll() { armedCount = 0; }

/** The slow half: called only while something is armed. */
inline bool reachArmed(const char* name) {
  for (uint32_t i = 0; i < armedCount; ++i) {
    if (std::strcmp(armed[i].name, name) != 0) continue;
    if (armed[i].skip > 0) {
      --armed[i].skip;
      return false;
    }
    Armed point = armed[i];
    armed[i] = armed[--armedCount];
    if (point.action == Action::die) kill(getpid(), SIGKILL);
    if (point.action == Action::wait) {
      char byte = 1;
      PM_ASSERT(write(point.arrived, &byte, 1) == 1, "a fault point's test listens");
      ssize_t got;
      do {
        got = read(point.go, &byte, 1);
      } while (got < 0);
    }
    return point.action == Action::fail;
  }
  return false;
}

inline bool reach(const char* name) { return armedCount != 0 && reachArmed(name); }

}  // namespace bgworker::fault

#define FAULT_POINT(name) ((void)::bgworker::fault::reach(name))
#define FAULT_POINT_FAILS(name) (::bgworker::fault::reach(name))

#else

#define FAULT_POINT(name) ((void)0)
#define FAULT_POINT_FAILS(name) (false)

#endif
