#include "core/shm/dynamic_layout.h"

#include "core/shm/directory.h"
#include "core/shm/dynamic_table.h"
#include "core/shm/refusal.h"
#include "core/shm/registry_table.h"
#include "core/shm/shared_pages.h"

namespace bgworker {

uint32_t segmentCapacityFor(uint32_t slotCount) { return 64 + 5 * slotCount; }

Result<AreaLayout> layoutOf(size_t ownBytes, uint32_t slotCount, size_t structBytes,
                            size_t windowBytes) {
  if (structBytes > kMostStructBytes || windowBytes > kMostWindowBytes) {
    return refuse(Refusal::sizeTooLarge);
  }
  const uint32_t capacity = segmentCapacityFor(slotCount);
  size_t end = 0;
  auto place = [&end](size_t bytes) {
    Section section{end, wholePages(bytes)};
    end += section.bytes;
    return section;
  };
  place(ownBytes);
  AreaLayout layout{};
  layout.directory = place(Directory::bytesFor(structBytes));
  layout.table = place(SegmentTable::bytesFor(capacity));
  layout.registry = place(RegistryTable::bytesFor(capacity));
  layout.window = place(windowBytes);
  layout.segmentCapacity = capacity;
  return layout;
}

}  // namespace bgworker
