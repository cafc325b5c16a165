// requests.h: what signals have asked of a native worker.
//
// They are blocked but in the calls that let them in, so their handlers run at known places only,
// and set flags. Worker's thread only, one worker in a process: a handler can only reach what is
// global.

#pragma once

#include <csignal>

namespace bgworker::face {

/** Blocks signals, installs PostgreSQL's handlers, and forgets earlier requests. */
void takeRequests();

/** Lets in what has come since signals were last let in. A system call. */
void letSignalsIn();
/** The same, at most once in a millisecond: for who asks as often as he works. */
void letSignalsInSometimes();
/** A wait that goes on was interrupted by a handler. */
void noteSignal();
/** Has a handler run that no wait has told the worker of? Then the next one does, so that who looks
 *  only when a wait says so does not sleep over it. Forgets it. */
bool takeUntoldSignal();

/** SIGTERM has been let in. Stays true. */
bool shutdownRequested();
/** SIGHUP has been let in since the last call. */
bool takeReloadRequest();

/** For a wait that lets signals in while it sleeps. */
const sigset_t* nothingBlocked();

}  // namespace bgworker::face
