/* public_header.c: include/bgworker.h is C99, without extensions, and the sizes that C sees are
 * those of the layouts that processes share. Compiled, and never run. */
#include <bgworker.h>

#define SAME_SIZE(name, type, bytes) typedef char name[sizeof(type) == (bytes) ? 1 : -1]

SAME_SIZE(latch_is_4, struct bgworker_latch, 4);
SAME_SIZE(spinlock_is_4, struct bgworker_spinlock, 4);
SAME_SIZE(lwlock_is_24, struct bgworker_lwlock, 24);
SAME_SIZE(padded_lwlock_is_64, struct bgworker_padded_lwlock, 64);
SAME_SIZE(cv_is_16, struct bgworker_cv, 16);
SAME_SIZE(barrier_is_40, struct bgworker_barrier, 40);

static int main_function(const struct bgworker_api* api, struct bgworker_context* context) {
  struct bgworker_segment segment;
  if (api->version < BGWORKER_API_VERSION) return 2;
  return api->dsm->create(context, 64, &segment) < 0;
}

extern const bgworker_main_function public_header_in_c;
const bgworker_main_function public_header_in_c = main_function;
