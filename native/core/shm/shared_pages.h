// shared_pages.h: the size of the pages in which the system maps and takes back memory.

#pragma once

#include <unistd.h>

#include <cstddef>

namespace bgworker {

inline size_t systemPageBytes() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

/** Rounded up. */
inline size_t wholePages(size_t bytes) {
  return (bytes + systemPageBytes() - 1) / systemPageBytes() * systemPageBytes();
}

}  // namespace bgworker
