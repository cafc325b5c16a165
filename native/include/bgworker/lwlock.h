/* lwlock.h: a lock that is shared or exclusive (LWLock).
 *
 * Not reentrant, no upgrade, no deadlock detection, no time limit; first come, first served. A
 * process holds up to 200. All are released at the end of the worker, those in a segment when it is
 * detached: what they protected may be half changed then. Zeroed memory is a free one; TypeScript
 * takes the same locks.
 */
#ifndef BGWORKER_LWLOCK_H
#define BGWORKER_LWLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bgworker_context;

/* Lies in shared memory; its content is bgworker's. */
struct bgworker_lwlock {
  uint32_t words[6];
};

/* What groups of locks are made of: each on its own cache line. */
struct bgworker_padded_lwlock {
  struct bgworker_lwlock lock;
  uint32_t padding[10];
};

enum bgworker_lwlock_mode { BGWORKER_LW_SHARED = 0, BGWORKER_LW_EXCLUSIVE = 1 };

#define BGWORKER_MAX_HELD_LWLOCKS 200

struct bgworker_lwlock_api {
  /* Of memory that no process uses as a lock yet. 0. Error: LOCK_HELD. */
  int (*init)(struct bgworker_context* context, struct bgworker_lwlock* lock);
  /* The lock of this name in the main area, as TypeScript's lwlock(name). 1: found; 0: made by this
   * call. Errors: as shmem->init_struct(). */
  int (*named)(struct bgworker_context* context, const char* name, struct bgworker_lwlock** lock);
  /* A group of them, 1 to 65536, as lwlocks(name, count) (GetNamedLWLockTranche); the count is the
   * same everywhere. Errors: likewise. */
  int (*named_group)(struct bgworker_context* context, const char* name, uint32_t count,
                     struct bgworker_padded_lwlock** first);

  /* 1: acquired at once; 0: acquired after a wait. No signal ends the wait.
   * Errors: TOO_MANY_LOCKS; LOCK_HELD; POSTMASTER_DIED: it is not held. */
  int (*acquire)(struct bgworker_context* context, struct bgworker_lwlock* lock, int mode);
  /* 1: acquired; 0: somebody is in the way. Error: TOO_MANY_LOCKS. */
  int (*conditional_acquire)(struct bgworker_context* context, struct bgworker_lwlock* lock,
                             int mode);
  /* 1: acquired; 0: waited until it was free, and not acquired. Errors: as acquire(). */
  int (*acquire_or_wait)(struct bgworker_context* context, struct bgworker_lwlock* lock, int mode);
  /* 0. Error: LOCK_NOT_HELD. */
  int (*release)(struct bgworker_context* context, struct bgworker_lwlock* lock);
  /* The latest first. 0. */
  int (*release_all)(struct bgworker_context* context);
  /* 1 or 0. */
  int (*held_by_me)(struct bgworker_context* context, const struct bgworker_lwlock* lock);
};

#ifdef __cplusplus
}
#endif
#endif
