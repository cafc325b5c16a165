// inventory.h: what lies in an instance's memory, as the supervisor shows it (pg_shmem_allocations,
// pg_dsm_registry_allocations).
//
// Only for who has made the area, since it reads by its own copy of the layout and by nothing that
// stands in a header. It takes no lock, and believes nothing: every number is copied once and
// checked against the layout, every walk is bounded by it, and whatever cannot be is left out. So
// the rows are always sound, each by itself and all together, though after a scribble they need
// not be true: the allocations fill the mapped part without gap or overlap, and the segments lie
// in the window, none upon another.
//
// It is no snapshot. Names only ever come; a segment that goes or comes meanwhile may be missing.
// Dynamic segments themselves are not looked at, since the supervisor does not map them.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/shm/main_area.h"
#include "core/shm/registry_table.h"

namespace bgworker {

enum class AllocationKind {
  fixed,      // a part that every area has
  structure,  // by name, from the directory
  anonymous,  // taken, but no sound entry says by what; at no place of its own
  free,       // not taken yet
};

struct Allocation {
  AllocationKind kind;
  std::string name;               /* of fixed parts and structures */
  std::optional<uint64_t> offset; /* in the area */
  uint64_t bytes;                 /* as asked for */
  uint64_t allocatedBytes;        /* with what is lost by rounding */
};

struct SegmentAllocation {
  uint32_t handle;
  uint64_t bytes;
  uint64_t allocatedBytes; /* in whole pages */
  bool pinned;
};

struct Inventory {
  std::vector<Allocation> allocations;     /* by offset */
  std::vector<SegmentAllocation> segments; /* by offset in the window */
  std::vector<RegistryRecord> names;       /* in the order of their making */
};

Inventory inventoryOf(const MainArea& area);

}  // namespace bgworker
