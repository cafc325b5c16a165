/* shmem.h: structures of the main area, by name (ShmemInitStruct).
 *
 * The room for them is asked for by a preload module, in its init(), before the area is made. The
 * content is the same for all until a crash cycle, which makes the area anew, zero. A structure
 * starts on a cache line and is never freed. Names have 1 to 63 bytes; TypeScript's struct('hits')
 * is "hits" here.
 */
#ifndef BGWORKER_SHMEM_H
#define BGWORKER_SHMEM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bgworker_context;

/* Initialises memory that nobody else sees yet, all zero. Others who ask for it wait meanwhile, so
 * be quick. Anything but 0 is a failure: then it is zero again, and the next who asks tries. */
typedef int (*bgworker_initialiser)(struct bgworker_context* context, void* address, size_t bytes,
                                    void* arg);

struct bgworker_shmem_api {
  /* Finds the structure, or makes it. 1: found; 0: this call made it, and `initialise` ran, unless
   * it is null. Waits while another process initialises it.
   * Errors: NAME_EMPTY, NAME_TOO_LONG, SIZE_ZERO, ENTRY_SIZE_WRONG, OUT_OF_SPACE,
   * INITIALISER_FAILED, INITIALISED_ABOVE (asked for in its own initialiser),
   * INITIALISATION_STUCK, LOCK_STUCK, CORRUPT. */
  int (*init_struct)(struct bgworker_context* context, const char* name, size_t bytes,
                     bgworker_initialiser initialise, void* arg, void** address);
  /* 1: it is there, and initialised; 0: it is not. Never waits, never makes one. `bytes` may be
   * null. Errors: NAME_EMPTY, NAME_TOO_LONG. */
  int (*find_struct)(struct bgworker_context* context, const char* name, void** address,
                     size_t* bytes);
};

#ifdef __cplusplus
}
#endif
#endif
