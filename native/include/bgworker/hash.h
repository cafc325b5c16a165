/* hash.h: hash tables in shared memory, by name (dshash, GetNamedDSHash), as TypeScript's
 * dsm.hash().
 *
 * Keys and values are bytes. Every process may find, insert and delete at the same time: 128
 * partitions have a lock each, held for one call. A callback runs with its partition locked: be
 * quick, and call no verb of a hash table in it (ENTRY_HELD). A value starts on 8 bytes. The table
 * grows, and never shrinks.
 */
#ifndef BGWORKER_HASH_H
#define BGWORKER_HASH_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bgworker_context;

/* A table that this process has opened. */
struct bgworker_hash_handle {
  uint64_t id; /* 0: none */
};

/* The value, which may be read and written until it returns. */
typedef void (*bgworker_hash_visitor)(void* value, size_t bytes, int inserted, void* arg);
/* Anything but 0 ends the scan. */
typedef int (*bgworker_hash_scanner)(const void* key, size_t key_bytes, void* value,
                                     size_t value_bytes, void* arg);

struct bgworker_hash_api {
  /* Finds the table, or makes it; once per process. `bytes` is what it may grow to, and costs
   * addresses only; keys have 1 to `max_key_bytes` (at most 1024), values up to `max_value_bytes`
   * (at most 1 MiB). All say the same. 0, and the handle.
   * Errors: ALREADY_MAPPED (opened before), SIZE_TOO_LARGE (or below 1 MiB), KEY_LENGTH,
   * VALUE_LENGTH, PARAMETERS_WRONG, HEAP_FULL, FOREIGN, and dsm->named()'s. */
  int (*open)(struct bgworker_context* context, const char* name, size_t bytes,
              uint32_t max_key_bytes, uint32_t max_value_bytes,
              struct bgworker_hash_handle* handle);

  /* Of all that follow: BAD_HANDLE, KEY_LENGTH, ENTRY_HELD, LOCK_STUCK, CORRUPT. */

  /* 1: found, and the value copied to `value`, which has room for `*value_bytes` (which becomes its
   * size); 0: not found. BUFFER_TOO_SMALL: found; `*value_bytes` says its size. */
  int (*find)(struct bgworker_context* context, struct bgworker_hash_handle handle, const void* key,
              size_t key_bytes, void* value, size_t* value_bytes);
  /* 1: inserted; 0: it was there, and has this value now if `replace` is not 0.
   * Errors: VALUE_LENGTH, HEAP_FULL. */
  int (*insert)(struct bgworker_context* context, struct bgworker_hash_handle handle,
                const void* key, size_t key_bytes, const void* value, size_t value_bytes,
                int replace);
  /* 1: deleted; 0: it was not there. */
  int (*remove)(struct bgworker_context* context, struct bgworker_hash_handle handle,
                const void* key, size_t key_bytes);
  /* 1: found, and `visit` was called with it, locked; 0: not found. */
  int (*visit)(struct bgworker_context* context, struct bgworker_hash_handle handle,
               const void* key, size_t key_bytes, bgworker_hash_visitor visit, void* arg);
  /* Inserts a value of `value_bytes` zeroes if there is none, then visits. 1: inserted; 0: found,
   * with as many bytes as it has. Errors: VALUE_LENGTH, HEAP_FULL. */
  int (*visit_or_insert)(struct bgworker_context* context, struct bgworker_hash_handle handle,
                         const void* key, size_t key_bytes, size_t value_bytes,
                         bgworker_hash_visitor visit, void* arg);
  /* Calls `scan` for every entry that is there throughout; for one that comes or goes, perhaps.
   * 0: to the end; 1: it was ended. */
  int (*scan)(struct bgworker_context* context, struct bgworker_hash_handle handle,
              bgworker_hash_scanner scan, void* arg);
  /* 0, and how many entries; exact while nobody changes them. */
  int (*count)(struct bgworker_context* context, struct bgworker_hash_handle handle,
               uint64_t* count);
};

#ifdef __cplusplus
}
#endif
#endif
