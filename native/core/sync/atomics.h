/* atomics.h: PostgreSQL's atomic operations on words of shared memory, for C and C++.
 *
 * Plain read and write order nothing. Everything that reads and writes at once is a full barrier.
 * init is not atomic: nobody else may see the word yet. They work on the same words as JavaScript's
 * Atomics and as std::atomic does.
 */
#ifndef BGWORKER_CORE_SYNC_ATOMICS_H
#define BGWORKER_CORE_SYNC_ATOMICS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  uint32_t value;
} bgworker_atomic_u32;
typedef struct {
  uint64_t value __attribute__((aligned(8)));
} bgworker_atomic_u64;
typedef struct {
  uint32_t value;
} bgworker_atomic_flag;

/* A barrier for the compiler only, for the processor's reads, writes, and both. */
static inline void bgworker_compiler_barrier(void) { __asm__ __volatile__("" ::: "memory"); }
#ifndef __SANITIZE_THREAD__ /* which does not know fences, and would miss what they order */
static inline void bgworker_read_barrier(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
static inline void bgworker_write_barrier(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }
static inline void bgworker_memory_barrier(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
#endif

#define BGWORKER_DEFINE_ATOMIC(bits)                                                               \
  static inline void bgworker_atomic_init_u##bits(bgworker_atomic_u##bits* word,                   \
                                                  uint##bits##_t value) {                          \
    word->value = value;                                                                           \
  }                                                                                                \
  static inline uint##bits##_t bgworker_atomic_read_u##bits(const bgworker_atomic_u##bits* word) { \
    return __atomic_load_n(&word->value, __ATOMIC_RELAXED);                                        \
  }                                                                                                \
  static inline void bgworker_atomic_write_u##bits(bgworker_atomic_u##bits* word,                  \
                                                   uint##bits##_t value) {                         \
    __atomic_store_n(&word->value, value, __ATOMIC_RELAXED);                                       \
  }                                                                                                \
  static inline uint##bits##_t bgworker_atomic_exchange_u##bits(bgworker_atomic_u##bits* word,     \
                                                                uint##bits##_t value) {            \
    return __atomic_exchange_n(&word->value, value, __ATOMIC_SEQ_CST);                             \
  }                                                                                                \
  /* On failure, *expected is what was there. */                                                   \
  static inline bool bgworker_atomic_compare_exchange_u##bits(                                     \
      bgworker_atomic_u##bits* word, uint##bits##_t* expected, uint##bits##_t value) {             \
    return __atomic_compare_exchange_n(&word->value, expected, value, false, __ATOMIC_SEQ_CST,     \
                                       __ATOMIC_SEQ_CST);                                          \
  }                                                                                                \
  /* These return what was there before. */                                                        \
  static inline uint##bits##_t bgworker_atomic_fetch_add_u##bits(bgworker_atomic_u##bits* word,    \
                                                                 uint##bits##_t value) {           \
    return __atomic_fetch_add(&word->value, value, __ATOMIC_SEQ_CST);                              \
  }                                                                                                \
  static inline uint##bits##_t bgworker_atomic_fetch_sub_u##bits(bgworker_atomic_u##bits* word,    \
                                                                 uint##bits##_t value) {           \
    return __atomic_fetch_sub(&word->value, value, __ATOMIC_SEQ_CST);                              \
  }                                                                                                \
  static inline uint##bits##_t bgworker_atomic_fetch_and_u##bits(bgworker_atomic_u##bits* word,    \
                                                                 uint##bits##_t value) {           \
    return __atomic_fetch_and(&word->value, value, __ATOMIC_SEQ_CST);                              \
  }                                                                                                \
  static inline uint##bits##_t bgworker_atomic_fetch_or_u##bits(bgworker_atomic_u##bits* word,     \
                                                                uint##bits##_t value) {            \
    return __atomic_fetch_or(&word->value, value, __ATOMIC_SEQ_CST);                               \
  }

BGWORKER_DEFINE_ATOMIC(32)
BGWORKER_DEFINE_ATOMIC(64)
#undef BGWORKER_DEFINE_ATOMIC

/* true: it was clear, and this call has set it. */
static inline bool bgworker_atomic_test_set_flag(bgworker_atomic_flag* flag) {
  return __atomic_exchange_n(&flag->value, 1, __ATOMIC_ACQUIRE) == 0;
}
static inline void bgworker_atomic_clear_flag(bgworker_atomic_flag* flag) {
  __atomic_store_n(&flag->value, 0, __ATOMIC_RELEASE);
}
static inline bool bgworker_atomic_unlocked_test_flag(const bgworker_atomic_flag* flag) {
  return __atomic_load_n(&flag->value, __ATOMIC_RELAXED) == 0;
}

#ifdef __cplusplus
}
#endif
#endif
