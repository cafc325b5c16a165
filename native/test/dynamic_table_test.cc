// dynamic_table_test.cc: the extent allocator and the reference counts, against a model.

#include "core/shm/dynamic_table.h"

#include <map>
#include <set>

#include "test/shared_area.h"

using namespace bgworker;
using namespace shared_area;

namespace {

constexpr uint64_t kPage = 4096;

/** A table over a window that exists only as numbers. */
struct TestTable {
  TableShape shape;
  Memory memory;
  SegmentTable table;

  TestTable(uint32_t capacity, uint64_t windowPages)
      : shape{capacity, kPage, windowPages * kPage},
        memory(SegmentTable::bytesFor(capacity)),
        table(formatted(memory, shape)) {}

  static SegmentTable formatted(Memory& memory, const TableShape& shape) {
    must(SegmentTable::format(memory.bytes, shape));
    return must(SegmentTable::attach(memory.bytes, shape));
  }
  SharedTableHeader& header() { return *reinterpret_cast<SharedTableHeader*>(memory.bytes.data()); }
  void destroy(uint32_t handle) {
    CHECK(must(table.release(handle)).has_value());
    must(table.remove(handle));
  }
};

/** Extents by offset: first fit, as one would write it without sharing anything. */
struct Model {
  std::map<uint64_t, uint64_t> extents;
  uint64_t windowBytes;

  std::optional<uint64_t> firstFit(uint64_t bytes) const {
    uint64_t end = 0;
    for (const auto& [offset, length] : extents) {
      if (offset - end >= bytes) return end;
      end = offset + length;
    }
    if (windowBytes - end >= bytes) return end;
    return std::nullopt;
  }
};

}  // namespace

TEST("random extents lie where first fit puts them, never overlap, and all coalesce") {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    TestTable test(64, 256);
    Model model{{}, test.shape.windowBytes};
    std::map<uint32_t, SegmentPlace> live;
    for (int step = 0; step < 3000; ++step) {
      if (live.empty() || random() % 2 == 0) {
        const uint64_t bytes = 1 + upTo(random, random() % 4 == 0 ? 64 * kPage : 6 * kPage);
        const uint64_t extent = (bytes + kPage - 1) / kPage * kPage;
        Result<SegmentPlace> place = test.table.add(bytes);
        std::optional<uint64_t> wanted = model.firstFit(extent);
        if (live.size() == 64) {
          CHECK_REFUSED(place, tooManySegments);
        } else if (!wanted.has_value()) {
          CHECK_REFUSED(place, windowFull);
        } else {
          CHECK(place.ok());
          CHECK_EQUAL(place.value().offset, *wanted);
          CHECK_EQUAL(place.value().extentBytes, extent);
          model.extents[*wanted] = extent;
          live.emplace(place.value().handle, place.value());
        }
      } else {
        auto victim = std::next(live.begin(), static_cast<ptrdiff_t>(random() % live.size()));
        test.destroy(victim->first);
        model.extents.erase(victim->second.offset);
        live.erase(victim);
      }
      CHECK_EQUAL(test.table.list().size(), live.size());
    }
    while (!live.empty()) {
      test.destroy(live.begin()->first);
      live.erase(live.begin());
    }
    CHECK_EQUAL(must(test.table.add(test.shape.windowBytes)).offset, 0U);
  }
}

TEST("capacity is 64 and 5 for each slot, and one more is refused") {
  CHECK_EQUAL(segmentCapacityFor(0), 64U);
  CHECK_EQUAL(segmentCapacityFor(8), 104U);
  TestTable test(104, 1000);
  for (int index = 0; index < 104; ++index) must(test.table.add(1));
  CHECK_REFUSED(test.table.add(1), tooManySegments);
  test.destroy(test.table.list()[50].handle);
  CHECK_EQUAL(must(test.table.add(1)).offset, 50 * kPage);
  CHECK_REFUSED(test.table.add(0), sizeZero);
  CHECK_REFUSED(test.table.add(SIZE_MAX), windowFull);
}

TEST("a handle is not zero, looks random, and does not come again") {
  TestTable test(4, 4);
  std::set<uint32_t> seen;
  uint32_t upper = 0, last = 0;
  for (int index = 0; index < 200000; ++index) {
    const uint32_t handle = must(test.table.add(1)).handle;
    CHECK(handle != kInvalidHandle);
    CHECK(seen.insert(handle).second);
    upper += handle >> 31;
    test.destroy(handle);
    if (last != 0) CHECK_REFUSED(test.table.acquire(last), segmentGone);
    CHECK_REFUSED(test.table.acquire(handle), segmentGone);
    last = handle;
  }
  CHECK(upper > 95000 && upper < 105000);
}

TEST("references: two at first, one while it is destroyed, none in a free record") {
  TestTable test(4, 4);
  const uint32_t handle = must(test.table.add(100)).handle;
  CHECK_EQUAL(test.table.list()[0].refcount, 2U);
  CHECK_EQUAL(must(test.table.acquire(handle)).bytes, 100U);
  must(test.table.pin(handle));
  CHECK_REFUSED(test.table.pin(handle), alreadyPinned);
  CHECK_EQUAL(test.table.list()[0].refcount, 4U);
  CHECK(test.table.list()[0].pinned);
  CHECK(!must(test.table.release(handle)).has_value());
  CHECK(!must(test.table.release(handle)).has_value());
  std::optional<SegmentPlace> last = must(test.table.unpin(handle));
  CHECK(last.has_value() && last->handle == handle);
  // Being destroyed: nobody can have it, but its extent is not free yet.
  CHECK_REFUSED(test.table.acquire(handle), segmentGone);
  CHECK_REFUSED(test.table.pin(handle), segmentGone);
  CHECK_REFUSED(test.table.unpin(handle), unknownSegment);
  CHECK_EQUAL(test.table.list().size(), 0U);
  CHECK_EQUAL(must(test.table.add(1)).offset, kPage);
  must(test.table.remove(handle));
  CHECK_REFUSED(test.table.remove(handle), corrupt);
  CHECK_EQUAL(must(test.table.add(1)).offset, 0U);
}

TEST("another shape, and a damaged header, are refused") {
  TestTable test(8, 16);
  TableShape other = test.shape;
  other.capacity = 7;
  CHECK_REFUSED(SegmentTable::attach(test.memory.bytes, other), foreign);
  other = test.shape;
  other.windowBytes += kPage;
  CHECK_REFUSED(SegmentTable::attach(test.memory.bytes, other), foreign);
  other = test.shape;
  other.pageBytes = 16384;
  CHECK_REFUSED(SegmentTable::attach(test.memory.bytes, other), foreign);
  CHECK_REFUSED(SegmentTable::attach(test.memory.bytes.first(64), test.shape), foreign);
  test.header().magic ^= 1;
  CHECK_REFUSED(SegmentTable::attach(test.memory.bytes, test.shape), foreign);
  test.header().magic ^= 1;
  test.header().version += 1;
  CHECK_REFUSED(SegmentTable::attach(test.memory.bytes, test.shape), foreign);
}

TEST("damage behind the header is found when it is met") {
  TestTable test(8, 16);
  must(test.table.add(1));
  test.header().usedCount = 9;
  CHECK_REFUSED(test.table.add(1), corrupt);
  test.header().usedCount = 1;
  auto* records =
      reinterpret_cast<SharedSegmentRecord*>(test.memory.bytes.data() + sizeof(SharedTableHeader));
  records[0].offset = 17 * kPage;
  CHECK_REFUSED(test.table.add(1), corrupt);
  CHECK_REFUSED(test.table.acquire(records[0].handle), corrupt);
  records[0].offset = 1;
  CHECK_REFUSED(test.table.acquire(records[0].handle), corrupt);
  records[0].offset = 0;
  auto* positions = reinterpret_cast<uint32_t*>(records + 8);
  positions[0] = 8;
  CHECK_REFUSED(test.table.add(1), corrupt);
  positions[0] = 0;
  must(test.table.add(1));
}

TEST_IN_BOTH_WORLDS("eight add, share and destroy, and nothing is left") {
  TestTable test(64, 4096);
  together(world, 8, [&](int self) {
    Random random(static_cast<uint64_t>(self) + 1);
    SegmentTable table = must(SegmentTable::attach(test.memory.bytes, test.shape));
    for (int step = 0; step < 3000; ++step) {
      SegmentPlace place = must(table.add(1 + upTo(random, 100 * kPage)));
      CHECK_EQUAL(must(table.acquire(place.handle)).offset, place.offset);
      CHECK(!must(table.release(place.handle)).has_value());
      CHECK(table.list().size() <= 8);
      CHECK(must(table.release(place.handle)).has_value());
      must(table.remove(place.handle));
    }
  });
  CHECK_EQUAL(test.table.list().size(), 0U);
  CHECK_EQUAL(must(test.table.add(test.shape.windowBytes)).offset, 0U);
}
