// node_fork.h: why forking Node is hard, and what undoes each reason.
//
// A fork of Node dies or hangs for these reasons. The numbers are those of the steps in
// node_fork.cc; what is done elsewhere says where.
//
//  1. V8 marks its heap MADV_DONTFORK: a plain child dies of SIGSEGV at its first JavaScript.
//     The marks are taken off once no more JavaScript will run in the launcher, because new heap
//     pages are marked again.
//  2. libuv's epoll set and its wake-up descriptors are shared with the parent after a fork.
//     uv_loop_fork() makes the child's own, before it touches the loop.
//  3. V8's helper threads do not exist in the child. The launcher runs with --single-threaded and
//     --v8-pool-size=0, so that there are none to miss. libuv makes its pool anew by itself.
//     (lib/fork/launcher-program.ts)
//  4. Every way out of Node joins threads that are not there, and hangs. A child leaves through
//     exitNow(), _exit(2), and by no other door. (lib/run/leave.ts)
//  5. Entropy and process.pid are inherited. (lib/preload/entropy.ts, lib/launcher.ts)
//
// Called by launcherLoop() and rawForkNs(), on the main thread, and by nobody else.

#pragma once

#include <napi.h>

#include "core/base/result.h"
#include "core/proc/launcher.h"

namespace bgworker {

/** Reason 1, for the whole process as it is now. */
Status prepareNodeForks();

/** Both reasons, as the hooks of the fork loop. The environment must be the main thread's. */
LauncherHooks nodeForkHooks(Napi::Env env);

}  // namespace bgworker
