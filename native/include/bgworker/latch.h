/* latch.h: a one-bit doorbell. Any process may set it; only its owner waits on it.
 *
 *     for (;;) { reset; do all the work; wait; }
 *
 * Reset, look, sleep, in that order: resetting last would lose the set that came in between. Sets
 * fold into one, and one that came before the wait ends it at once. What was written before a set
 * is seen after the reset.
 *
 * Every process has a latch of its own, for which null stands here; api->wait() waits for that one,
 * and resets it. Others reach it by the slot. Zeroed memory is a latch that nobody owns.
 */
#ifndef BGWORKER_LATCH_H
#define BGWORKER_LATCH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bgworker_context;

/* Lies in shared memory; its content is bgworker's. */
struct bgworker_latch {
  uint32_t word;
};

struct bgworker_latch_api {
  /* Of memory that no process uses as a latch yet. 0. */
  int (*init)(struct bgworker_context* context, struct bgworker_latch* latch);
  /* 0: this process owns it now. Error: LATCH_OWNED. */
  int (*own)(struct bgworker_context* context, struct bgworker_latch* latch);
  /* 0: nobody owns it, and it is set or not as before. Error: LATCH_FOREIGN. */
  int (*disown)(struct bgworker_context* context, struct bgworker_latch* latch);

  /* No system call unless the owner sleeps. 0; nothing happens if it is set already. */
  int (*set)(struct bgworker_context* context, struct bgworker_latch* latch);
  /* The latch of the process in that slot. 0. INVALID_ARGUMENT: there is no such slot. */
  int (*set_slot)(struct bgworker_context* context, uint32_t slot);
  /* 1 or 0. */
  int (*is_set)(struct bgworker_context* context, const struct bgworker_latch* latch);

  /* 0. Error: LATCH_FOREIGN. */
  int (*reset)(struct bgworker_context* context, struct bgworker_latch* latch);
  /* The bits of what happened, as of api->wait(), perhaps not of all: the latch stays set. A signal
   * ends it. Error: LATCH_FOREIGN. */
  int (*wait)(struct bgworker_context* context, struct bgworker_latch* latch, int64_t timeout_ms);
};

#ifdef __cplusplus
}
#endif
#endif
