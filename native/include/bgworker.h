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
 * Signals stay blocked outside of wait(), so none can be lost between a look and a wait, and no
 * system call of yours is interrupted. SIGTERM and SIGHUP only set flags; a worker that never
 * calls wait() is never told to stop. All functions belong to the worker's main thread.
 */
#ifndef BGWORKER_H
#define BGWORKER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A later version only appends to the table: a worker needs the version it was built with, or a
 * later one, and may look at `size` for what is there. */
#define BGWORKER_API_VERSION 1

enum {
  BGWORKER_TIMEOUT = 1,         /* the time is over */
  BGWORKER_SIGNALLED = 2,       /* a signal came: look at the requests */
  BGWORKER_POSTMASTER_DEATH = 4 /* the postmaster is gone: return soon */
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
  /* Sleeps until one of the three happens; returns their bits. Negative: no time limit. */
  unsigned (*wait)(struct bgworker_context* context, int64_t timeout_ms);
};

/* What a native worker exports, under any name. */
typedef int (*bgworker_main_function)(const struct bgworker_api* api,
                                      struct bgworker_context* context);

#ifdef __cplusplus
}
#endif
#endif
