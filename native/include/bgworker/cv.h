/* cv.h: condition variables: to wait until somebody says that something has changed.
 *
 *     api->cv->prepare_to_sleep(context, cv);          // optional, and saves one turn of the loop
 *     while (!condition())
 *         if (api->cv->sleep(context, cv) < 0) break;
 *     api->cv->cancel_sleep(context);
 *
 * The condition is something else in shared memory, with a lock of its own, which is not held while
 * this sleeps. A process waits for one condition variable at a time, from prepare_to_sleep() to
 * cancel_sleep(), and no signal in between is lost. Zeroed memory is one.
 */
#ifndef BGWORKER_CV_H
#define BGWORKER_CV_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bgworker_context;

/* Lies in shared memory; its content is bgworker's. */
struct bgworker_cv {
  uint32_t words[4];
};

struct bgworker_cv_api {
  /* Of memory that no process uses as one yet. 0. */
  int (*init)(struct bgworker_context* context, struct bgworker_cv* cv);
  /* The one of this name in the main area, as TypeScript's conditionVariable(name). 1: found; 0:
   * made by this call. Errors: as shmem->init_struct(). */
  int (*named)(struct bgworker_context* context, const char* name, struct bgworker_cv** cv);

  /* 0. Cancels the wait for another one. */
  int (*prepare_to_sleep)(struct bgworker_context* context, struct bgworker_cv* cv);
  /* 0: woken, or prepared by this call; look at the condition. Whatever it returns, the process
   * waits on until cancel_sleep(). SHUTDOWN: SIGTERM has come, and nobody has woken it.
   * POSTMASTER_DIED: likewise. */
  int (*sleep)(struct bgworker_context* context, struct bgworker_cv* cv);
  /* 1: the time is over; else as sleep(). */
  int (*timed_sleep)(struct bgworker_context* context, struct bgworker_cv* cv, int64_t timeout_ms);
  /* 1: it had been woken and did not know yet, so it may want to pass that on (signal()); 0. */
  int (*cancel_sleep)(struct bgworker_context* context);

  /* Wakes the one that waits longest. 0. */
  int (*signal)(struct bgworker_context* context, struct bgworker_cv* cv);
  /* Wakes all that wait at this moment. 0. */
  int (*broadcast)(struct bgworker_context* context, struct bgworker_cv* cv);
};

#ifdef __cplusplus
}
#endif
#endif
