/* tick.c: a background worker in C. It logs a line each second until it is told to stop.
 *
 *     cc -shared -fPIC -I node_modules/bgworker/native/include -o tick.so tick.c
 */
#include <bgworker.h>
#include <stdio.h>

__attribute__((visibility("default"))) int tick_main(const struct bgworker_api* api,
                                                     struct bgworker_context* context) {
  unsigned long ticks = 0;
  char line[128];

  if (api->version < BGWORKER_API_VERSION) return 2; /* it lacks what this file was built with */

  while (!api->shutdown_requested(context)) {
    unsigned why = api->wait(context, 1000);
    if (why & BGWORKER_POSTMASTER_DEATH) return 1;
    if (why & BGWORKER_TIMEOUT) {
      snprintf(line, sizeof line, "%s: tick %lu", api->name(context), ++ticks);
      api->log(context, line);
    }
    if (api->reload_requested(context)) ticks = 0;
  }
  return 0; /* done: never started again */
}
