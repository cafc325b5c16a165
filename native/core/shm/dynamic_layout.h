// dynamic_layout.h: where each section lies in the one memory file of an instance.
//
//     fixed    [header, slots: MainArea's own | directory and structures | segment table |
//     registry] window   [extents of dynamic segments]
//
// The fixed part is mapped as a whole, at one address, before the fork; the window is not mapped
// but by who attaches a segment, and then only that extent. Everything begins on a page. The file
// is sparse: a window of 16 GiB costs nothing until its pages are touched.
//
// A pure function of four numbers. Whoever maps the file computes it from his own copies of them,
// and believes no offset that stands in the file.

#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/result.h"

namespace bgworker {

inline constexpr size_t kDefaultWindowBytes = size_t{16} << 30;
inline constexpr size_t kMostWindowBytes = size_t{1} << 44;
/** What an ArrayBuffer of Node 20 can show, 4 GiB, has room for this and all else in the fixed part
 *  with as many slots as there can be. */
inline constexpr size_t kMostStructBytes = size_t{3} << 30;

struct Section {
  size_t offset;
  size_t bytes;
};

struct AreaLayout {
  Section directory;
  Section table;
  Section registry;
  Section window;
  uint32_t segmentCapacity;

  size_t fixedBytes() const { return window.offset; }
  size_t totalBytes() const { return window.offset + window.bytes; }
};

/** PostgreSQL's rule: 64 + 5 for each backend. */
uint32_t segmentCapacityFor(uint32_t slotCount);

/** `ownBytes`: header and slots. sizeTooLarge if structures or window are above their limits. */
Result<AreaLayout> layoutOf(size_t ownBytes, uint32_t slotCount, size_t structBytes,
                            size_t windowBytes);

}  // namespace bgworker
