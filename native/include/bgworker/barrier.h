/* barrier.h: a place where processes wait for each other, phase by phase.
 *
 * Static: made for n participants, who are attached from the beginning and stay so. Dynamic: made
 * for none; who comes attaches, learns the phase that the others are in, and detaches. A phase ends
 * when all who are attached have arrived. Nobody detaches for a process that leaves: it does so
 * itself, or in a callback of on_detach(), or the others wait for ever. Zeroed memory is a dynamic
 * one.
 */
#ifndef BGWORKER_BARRIER_H
#define BGWORKER_BARRIER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bgworker_context;

/* Lies in shared memory; its content is bgworker's. */
struct bgworker_barrier {
  uint32_t words[10];
};

struct bgworker_barrier_api {
  /* Of memory that no process uses as one yet. `participants`: 0 to 262143; 0: dynamic. 0. */
  int (*init)(struct bgworker_context* context, struct bgworker_barrier* barrier,
              uint32_t participants);
  /* The one of this name in the main area, as TypeScript's barrier(name, { participants }). 1:
   * found; 0: made by this call. Errors: as shmem->init_struct(). */
  int (*named)(struct bgworker_context* context, const char* name, uint32_t participants,
               struct bgworker_barrier** barrier);

  /* Dynamic only: BARRIER_STATIC. 0, and the current phase. Error: BARRIER_ATTACHED. */
  int (*attach)(struct bgworker_context* context, struct bgworker_barrier* barrier,
                uint32_t* phase);
  /* 1: the last to leave; 0. May release those who wait.
   * Errors: BARRIER_STATIC, BARRIER_NOT_ATTACHED. */
  int (*detach)(struct bgworker_context* context, struct bgworker_barrier* barrier);
  /* Arrives and does not wait; alone, it ends the phase. Else as detach(). */
  int (*arrive_and_detach)(struct bgworker_context* context, struct bgworker_barrier* barrier);
  /* 0: detached; 1: it was the last, stays attached, and the next phase begins. Else as detach().
   */
  int (*arrive_and_detach_except_last)(struct bgworker_context* context,
                                       struct bgworker_barrier* barrier);

  /* Waits until all have arrived. 1: this process is the one of them that is elected; 0.
   * SHUTDOWN, POSTMASTER_DIED: the phase goes on, and this process has arrived in it all the same;
   * called again, it waits on. BARRIER_NOT_ATTACHED (to a dynamic one), TOO_MANY_WAITS: it has not
   * arrived. */
  int (*arrive_and_wait)(struct bgworker_context* context, struct bgworker_barrier* barrier);

  /* 0, and the number; from 0 on, it wraps. */
  int (*phase)(struct bgworker_context* context, const struct bgworker_barrier* barrier,
               uint32_t* phase);
  int (*participants)(struct bgworker_context* context, const struct bgworker_barrier* barrier,
                      uint32_t* count);
};

#ifdef __cplusplus
}
#endif
#endif
