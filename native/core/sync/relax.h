// relax.h: what a loop that spins does between two looks.

#pragma once

namespace bgworker {

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" ::: "memory");
#endif
}

}  // namespace bgworker
