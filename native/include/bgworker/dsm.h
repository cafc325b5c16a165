/* dsm.h: dynamic shared memory segments.
 *
 * A segment is made at any time, and lives as long as somebody has it mapped or it is pinned. It is
 * known by its handle, which may travel (through shared memory, a queue, the registration's arg);
 * its address is another one in each process. Its memory is zero at first.
 *
 * Detaching: the callbacks run, the latest first, while the segment is still mapped; queues in it
 * are detached, locks in it released; then it is unmapped, and its addresses fault. It happens at
 * detach() and at the end of the worker.
 */
#ifndef BGWORKER_DSM_H
#define BGWORKER_DSM_H

#include <stddef.h>
#include <stdint.h>

#include "shmem.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A mapping of this process. A copy: it says what was true when it was given. */
struct bgworker_segment {
  uint32_t handle; /* never 0 */
  void* address;   /* on a page */
  size_t bytes;    /* as asked for */
};

/* Runs once, before the segment is unmapped. It may call every verb. */
typedef void (*bgworker_detach_callback)(struct bgworker_context* context,
                                         const struct bgworker_segment* segment, void* arg);

struct bgworker_dsm_api {
  /* A new segment, mapped here. 0.
   * Errors: SIZE_ZERO, TOO_MANY_SEGMENTS, WINDOW_FULL, SYSTEM, LOCK_STUCK, CORRUPT. */
  int (*create)(struct bgworker_context* context, size_t bytes, struct bgworker_segment* segment);
  /* 0. Errors: SEGMENT_GONE, ALREADY_MAPPED, SYSTEM, LOCK_STUCK, CORRUPT. */
  int (*attach)(struct bgworker_context* context, uint32_t handle,
                struct bgworker_segment* segment);
  /* 0: mapped here. Error: NOT_MAPPED. */
  int (*find_mapping)(struct bgworker_context* context, uint32_t handle,
                      struct bgworker_segment* segment);
  /* 0. Errors: NOT_MAPPED (also at the second detach), ENTRY_HELD. */
  int (*detach)(struct bgworker_context* context, uint32_t handle);

  /* What is not pinned goes with release_unpinned(), the end of PostgreSQL's resource owner; what
   * is, with detach() or the end of the worker. 0. Error: NOT_MAPPED. */
  int (*pin_mapping)(struct bgworker_context* context, uint32_t handle);
  int (*unpin_mapping)(struct bgworker_context* context, uint32_t handle);
  /* The latest first. 0. */
  int (*release_unpinned)(struct bgworker_context* context);

  /* The segment lives on, with nobody attached, until it is unpinned or the postmaster ends. 0.
   * Errors: NOT_MAPPED, ALREADY_PINNED, LOCK_STUCK, CORRUPT. */
  int (*pin_segment)(struct bgworker_context* context, uint32_t handle);
  /* It need not be mapped here. 0. Errors: UNKNOWN_SEGMENT, NOT_PINNED, LOCK_STUCK, CORRUPT. */
  int (*unpin_segment)(struct bgworker_context* context, uint32_t handle);

  /* 0. Error: NOT_MAPPED. */
  int (*on_detach)(struct bgworker_context* context, uint32_t handle,
                   bgworker_detach_callback callback, void* arg);
  /* Takes off the latest registration of this pair. 0. Errors: NOT_MAPPED, NO_SUCH_CALLBACK. */
  int (*cancel_on_detach)(struct bgworker_context* context, uint32_t handle,
                          bgworker_detach_callback callback, void* arg);

  /* The segment of this name (GetNamedDSMSegment), the same as TypeScript's dsm.named(). 1: found;
   * 0: this call made it, and `initialise` ran, unless it is null. The segment is pinned, and so is
   * the mapping; asked for again, it is the same mapping. Waits while another process initialises
   * it. Errors: NAME_EMPTY, NAME_TOO_LONG, SEGMENT_SIZE_WRONG, KIND_WRONG, TOO_MANY_NAMES,
   * INITIALISER_FAILED, INITIALISED_ABOVE, INITIALISATION_STUCK, and create()'s. */
  int (*named)(struct bgworker_context* context, const char* name, size_t bytes,
               bgworker_initialiser initialise, void* arg, struct bgworker_segment* segment);
};

#ifdef __cplusplus
}
#endif
#endif
