#include "core/shm/inventory.h"

#include <algorithm>

#include "core/shm/directory.h"
#include "core/shm/dynamic_segments.h"
#include "core/shm/shared_pages.h"

namespace bgworker {
namespace {

std::span<std::byte> sectionOf(const MainArea& area, const Section& section) {
  return area.fixed().subspan(section.offset, section.bytes);
}

Allocation fixedPart(const char* name, uint64_t offset, uint64_t bytes, uint64_t allocatedBytes) {
  return {AllocationKind::fixed, name, offset, bytes, allocatedBytes};
}

void addStructures(const MainArea& area, std::vector<Allocation>& rows) {
  const Section& section = area.layout().directory;
  const Directory directory = Directory::formatted(sectionOf(area, section));
  const std::vector<StructRecord> records = directory.list();
  // After the list: what it shows was taken before.
  const StructSpace space = directory.space();
  uint64_t namedBytes = 0, end = 0;
  for (const StructRecord& record : records) {
    rows.push_back({AllocationKind::structure, record.name, section.offset + record.offset,
                    record.bytes, record.allocatedBytes});
    namedBytes += record.allocatedBytes;
    end = record.offset + record.allocatedBytes - space.offset;
  }
  const uint64_t taken = std::max(space.takenBytes, end);
  const uint64_t anonymous = taken - namedBytes, free = space.bytes - taken;
  rows.push_back({AllocationKind::anonymous, "", std::nullopt, anonymous, anonymous});
  rows.push_back({AllocationKind::free, "", section.offset + space.offset + taken, free, free});
}

std::vector<Allocation> allocationsOf(const MainArea& area) {
  const AreaLayout& layout = area.layout();
  const uint64_t processes = area.processTableOffset();
  const uint64_t activities = area.activityTableOffset();
  std::vector<Allocation> rows;
  auto add = [&rows](const char* name, uint64_t offset, uint64_t bytes, uint64_t end) {
    rows.push_back(fixedPart(name, offset, bytes, end - offset));
  };
  add("header", 0, sizeof(MainAreaHeader), sizeof(MainAreaHeader));
  add("slots", sizeof(MainAreaHeader), processes - sizeof(MainAreaHeader), processes);
  add("process table", processes, area.slotCount() * kProcessBytes, activities);
  add("activity table", activities, ActivityTable::bytesFor(area.slotCount()),
      layout.directory.offset);
  const uint64_t entries = Directory::bytesFor(0);
  add("directory", layout.directory.offset, entries, layout.directory.offset + entries);
  addStructures(area, rows);
  add("segment table", layout.table.offset, SegmentTable::bytesFor(layout.segmentCapacity),
      layout.registry.offset);
  add("registry", layout.registry.offset, RegistryTable::bytesFor(layout.segmentCapacity),
      layout.window.offset);
  return rows;
}

std::vector<SegmentAllocation> segmentsOf(const MainArea& area) {
  const AreaLayout& layout = area.layout();
  std::vector<SegmentRecord> records = DynamicSegments::listOf(area.fixed(), layout);
  std::ranges::sort(records, {}, &SegmentRecord::offset);
  std::vector<SegmentAllocation> rows;
  uint64_t end = 0;
  for (const SegmentRecord& record : records) {
    // One of the two is gone already, or damaged; nobody can say which.
    if (record.offset < end) continue;
    const uint64_t allocated = wholePages(record.bytes);
    rows.push_back({record.handle, record.bytes, allocated, record.pinned});
    end = record.offset + allocated;
  }
  return rows;
}

std::vector<RegistryRecord> namesOf(const MainArea& area) {
  const AreaLayout& layout = area.layout();
  std::vector<RegistryRecord> records =
      RegistryTable::formatted(sectionOf(area, layout.registry), layout.segmentCapacity).list();
  std::erase_if(records, [&layout](const RegistryRecord& record) {
    return record.bytes.has_value() && (*record.bytes == 0 || *record.bytes > layout.window.bytes);
  });
  return records;
}

}  // namespace

Inventory inventoryOf(const MainArea& area) {
  PM_ASSERT(area.isOpen(), "a closed area has nothing in it");
  return {allocationsOf(area), segmentsOf(area), namesOf(area)};
}

}  // namespace bgworker
