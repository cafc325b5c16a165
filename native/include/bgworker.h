/* bgworker.h: what a background worker written in C needs.
 *
 * A native worker is a function in a shared library. bgworker loads the library in the worker's
 * own process and calls the function on its main thread; what it returns is the exit code, with
 * the meanings it has for every worker: 0 done, 1 restart after restartTime, other a crash.
 *
 *     int sum_deltas_main(const struct bgworker_api *api, struct bgworker_context *context)
 *     {
 *         while (!api->shutdown_requested(context)) {
 *             ...work...
 *             if (api->wait(context, 1000) & BGWORKER_POSTMASTER_DEATH)
 *                 return 1;
 *         }
 *         return 0;
 *     }
 *
 * The library cannot link to bgworker, which is an addon: all it gets comes through the table.
 *
 * Signals are let in by wait(), by every other wait that says so, and by shutdown_requested() and
 * reload_requested(), which look for them at most once in a millisecond. Everywhere else they stay
 * blocked: so no system call of yours is interrupted, and none is lost between a look and a wait,
 * for whoever let it in, the next wait() says so. SIGTERM and SIGHUP only set flags; a worker that
 * calls none of these is never told to stop.
 *
 *  Shared memory
 *  -------------
 *  A worker that was registered with SHMEM_ACCESS shares memory with the others, in C or in
 *  TypeScript, and has PostgreSQL's tools for it: a table for each noun, described in the header of
 *  that name.
 *
 *    api->shmem     structures of the main area, by name             bgworker/shmem.h
 *    api->dsm       dynamic segments, by handle or by name           bgworker/dsm.h
 *    api->latch     latches: to wake a process                       bgworker/latch.h
 *    api->spinlock  locks for a few instructions                     bgworker/spinlock.h
 *    api->lwlock    locks, shared or exclusive                       bgworker/lwlock.h
 *    api->cv        condition variables                              bgworker/cv.h
 *    api->barrier   barriers                                         bgworker/barrier.h
 *    api->mq        message queues                                   bgworker/mq.h
 *    api->hash      hash tables, by name                             bgworker/hash.h
 *
 *  Results. 0 and more is what the verb says. Negative is one of enum bgworker_error, which is
 *  closed: the call was refused, and has done nothing, unless the verb says otherwise. A mistake in
 *  a call never ends the process; to scribble over what others use does, and is a crash. These can
 *  come from every verb, and are not listed at each:
 *      BGWORKER_ERR_NOT_ATTACHED       the worker was registered without SHMEM_ACCESS
 *      BGWORKER_ERR_WRONG_THREAD       not on the thread that the worker's function was called on
 *      BGWORKER_ERR_INVALID_ARGUMENT   a null pointer, or a number that is out of range
 *      BGWORKER_ERR_BAD_PLACE          the address of a shared thing lies neither in a structure of
 *                                      the main area nor in a segment that is mapped here, or it is
 *                                      not aligned
 *
 *  Addresses. A pointer is of use in one process only: what is written into shared memory says
 *  offsets, slots and handles.
 *
 *  Fields. A structure is laid out by C's own rules, and TypeScript's `struct('hits', { count:
 *  'u64', last: 'f64', note: { bytes: 64 } })` by the same: struct { uint64_t count; double last;
 *  uint8_t note[64]; }. Its integers are the same atomics from both sides if C uses _Atomic or the
 *  compiler's __atomic_* builtins on them, with __ATOMIC_SEQ_CST (the default of _Atomic), as
 *  TypeScript does. Bytes are plain memory.
 *
 *  Waits. A time limit is in milliseconds: 0 looks and does not sleep, negative is no limit. All
 *  waits sleep in the kernel. At each stands whether a shutdown request or the postmaster's death
 *  ends it.
 *
 *  The end. When the function returns, or exit() is called (with glibc), the worker's locks are
 *  released; its segments are detached, the latest first, each with its callbacks, the latest of
 *  them first; its queues are detached and its latches disowned. _exit() and death by a signal do
 *  none of it: they are a crash, after which all shared memory is made anew.
 */
#ifndef BGWORKER_H
#define BGWORKER_H

#include <stddef.h>
#include <stdint.h>

#include "bgworker/barrier.h"
#include "bgworker/cv.h"
#include "bgworker/dsm.h"
#include "bgworker/error.h"
#include "bgworker/hash.h"
#include "bgworker/latch.h"
#include "bgworker/lwlock.h"
#include "bgworker/mq.h"
#include "bgworker/shmem.h"
#include "bgworker/spinlock.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A later version only appends to the tables: a worker needs the version it was built with, or a
 * later one, and may look at `size` for what is there. */
#define BGWORKER_API_VERSION 2

enum {
  BGWORKER_TIMEOUT = 1,          /* the time is over */
  BGWORKER_SIGNALLED = 2,        /* a signal came: look at the requests */
  BGWORKER_POSTMASTER_DEATH = 4, /* the postmaster is gone: return soon */
  BGWORKER_LATCH_SET = 8         /* the latch was set: look at all your work. Since version 2 */
};

struct bgworker_context; /* opaque */

struct bgworker_api {
  uint32_t size;    /* of this struct, in bytes */
  uint32_t version; /* BGWORKER_API_VERSION of the bgworker that calls */

  /* The name under which the worker was registered. */
  const char* (*name)(struct bgworker_context* context);
  /* The bytes that its registration gave it; valid while the function runs. */
  const void* (*arg)(struct bgworker_context* context, size_t* bytes);
  /* One line, without its newline, to the log. */
  void (*log)(struct bgworker_context* context, const char* line);
  /* Has SIGTERM come? Stays true. */
  int (*shutdown_requested)(struct bgworker_context* context);
  /* Has SIGHUP come since the last time this was asked? */
  int (*reload_requested)(struct bgworker_context* context);
  /* Sleeps until something of the enum above happens; returns the bits of what did, perhaps not of
   * all. Negative: no time limit. With shared memory, its process latch (latch.h) ends it, too, and
   * is reset before this returns: so look at all your work after each wait. Others set that latch,
   * and so do queues. */
  unsigned (*wait)(struct bgworker_context* context, int64_t timeout_ms);

  /* ---- version 2 */

  /* What an error says, in a sentence; for any number. Any thread. */
  const char* (*error_text)(int error);
  /* The number by which other processes know this one: for latch->set_slot() there. */
  int (*slot)(struct bgworker_context* context);

  const struct bgworker_shmem_api* shmem;
  const struct bgworker_dsm_api* dsm;
  const struct bgworker_latch_api* latch;
  const struct bgworker_spinlock_api* spinlock;
  const struct bgworker_lwlock_api* lwlock;
  const struct bgworker_cv_api* cv;
  const struct bgworker_barrier_api* barrier;
  const struct bgworker_mq_api* mq;
  const struct bgworker_hash_api* hash;
};

/* What a native worker exports, under any name. */
typedef int (*bgworker_main_function)(const struct bgworker_api* api,
                                      struct bgworker_context* context);

#ifdef __cplusplus
}
#endif
#endif
