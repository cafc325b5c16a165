/* spinlock.h: a lock for a few instructions, between which nothing can fail or wait.
 *
 * It has no owner: nobody releases it for a process that died, and no limit is kept. Zeroed memory
 * is a free one. TypeScript has none: there, nothing is a few instructions.
 */
#ifndef BGWORKER_SPINLOCK_H
#define BGWORKER_SPINLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bgworker_context;

/* Lies in shared memory. 0 free, 1 taken. */
struct bgworker_spinlock {
  uint32_t word;
};

struct bgworker_spinlock_api {
  /* 0. */
  int (*init)(struct bgworker_context* context, struct bgworker_spinlock* lock);
  /* 0. LOCK_STUCK, after about two minutes: it is not yours. Its holder is dead or broken, which
   * only a crash repairs: return 2 (PostgreSQL panics by itself). No signal and no death ends the
   * wait. */
  int (*acquire)(struct bgworker_context* context, struct bgworker_spinlock* lock);
  /* 1: it is yours; 0: it was taken. */
  int (*try_acquire)(struct bgworker_context* context, struct bgworker_spinlock* lock);
  /* By the holder. 0. LOCK_NOT_HELD: by nobody. */
  int (*release)(struct bgworker_context* context, struct bgworker_spinlock* lock);
};

#ifdef __cplusplus
}
#endif
#endif
