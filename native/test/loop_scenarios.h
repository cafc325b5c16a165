// loop_scenarios.h: what a child of LoopHost can be asked to do; the first byte of its payload.
//
// Only loop_host.cc includes it.

#pragma once

#include <csignal>
#include <cstdlib>

#include "core/proc/launcher.h"
#include "core/proc/signals.h"
#include "core/shm/main_area.h"
#include "test/processes.h"

namespace loop_host {

/** Says on descriptor 0 that it is ready, and never leaves by itself. */
[[noreturn]] inline void hold(const bgworker::ForkedChild& child) {
  processes::writeByte(child.descriptors.at(0), 'r');
  for (;;) pause();
}

/** Leaves a process behind in its group, which holds descriptor 0 open. */
inline int leaveOneBehind(const bgworker::ForkedChild& child) {
  pid_t left = fork();
  if (left == 0) hold(child);
  return left > 0 ? 0 : 1;
}

/** In the order of the steps of a child: 0 if all of them were done, else which was not. */
inline int checkSteps() {
  if (getsid(0) != getpid() || getpgid(0) != getpid()) return 1;
  sigset_t blocked;
  sigprocmask(SIG_SETMASK, nullptr, &blocked);
  for (int signal : {SIGTERM, SIGHUP, SIGINT, SIGUSR1, SIGPIPE}) {
    if (!sigismember(&blocked, signal)) return 2;
  }
  for (int signal : {SIGQUIT, SIGCHLD, SIGSEGV}) {
    if (sigismember(&blocked, signal)) return 3;
  }
  struct sigaction action;
  sigaction(SIGPIPE, nullptr, &action);
  if (action.sa_handler != SIG_IGN) return 4;
  return 0;
}

/** How it leaves is the test's to compare. */
inline int runScenario(const bgworker::ForkedChild& child, bgworker::MainArea* area) {
  int argument = child.payload.size() > 1 ? child.payload[1] : 0;
  switch (child.payload.at(0)) {
    case 'x':  // exits with this code
      return argument;
    case 's':  // dies by this signal
      bgworker::resetSignals();
      return raise(argument);
    case 'h':
      hold(child);
    case 'l':
      return leaveOneBehind(child);
    case 'n':  // how many descriptors it has, and no other open above
      return processes::countDescriptors();
    case 'w':  // writes its bytes, one to each descriptor
      for (size_t i = 0; i < child.descriptors.size(); ++i) {
        processes::writeByte(child.descriptors[i], static_cast<char>('a' + i));
      }
      return 0;
    case 'm':  // is the area there, and which one?
      return area->isOpen() ? area->read(0).pid : 0;
    case 'p': {  // a long payload, as the test made it
      for (size_t i = 1; i < child.payload.size(); ++i) {
        if (child.payload[i] != static_cast<uint8_t>(i * 7)) return 1;
      }
      return child.payload.size() == 5000000 ? 0 : 2;
    }
    case 'c':
      return checkSteps();
    default:
      return 98;
  }
}

}  // namespace loop_host
