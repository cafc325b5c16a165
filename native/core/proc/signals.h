// signals.h: this process's signal mask and the dispositions that children start with.
//
// A worker starts with signals blocked, so that it can install its handlers in peace. SIGQUIT is
// deliverable from its first moment, and ends it with _exit(2): the supervisor must be able to stop
// a process whose shared memory is suspect without running any more of its code. SIGCHLD is, too:
// a worker may start a program and wait for it in its first line.
//
// sigprocmask rather than pthread_sigmask: all of this happens on the main thread, and the latter
// lies in libpthread on an old glibc.

#pragma once

#include <csignal>

namespace bgworker {

/**
 * Everything but SIGQUIT, SIGCHLD and what the processor raises. Blocking the latter would be no
 * shelter: the kernel kills a process that faults with the signal blocked, and V8 handles some of
 * them.
 */
void blockSignals();
void blockSignalsAndQuit();
void unblockSignals();

/** SIGQUIT: _exit(2). It and SIGCHLD are deliverable from now on. */
void installQuitHandler();
/** Writing to a peer that left is an error value, not a death. */
void ignoreBrokenPipes();

/**
 * For a program about to be exec'ed: default dispositions, nothing blocked. SIGHUP alone is ignored
 * until the program installs a handler, because a reload goes to every child.
 */
void resetSignals();

}  // namespace bgworker
