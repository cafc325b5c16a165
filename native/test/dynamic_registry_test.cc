// dynamic_registry_test.cc: segments, heaps and hash tables by name, each initialised once.

#include <algorithm>
#include <cstring>

#include "test/shared_area.h"

using namespace bgworker;
using namespace shared_area;

namespace {

constexpr size_t kHeapBytes = 1 << 20;
constexpr HashShape kShape{16, 64};

std::span<const std::byte> bytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

TEST("a named segment is made once, pinned, and keeps its address in a process") {
  Area area;
  SegmentView first{};
  {
    DynamicSegments segments = area.segments();
    Registry registry = area.registry(segments);
    NamedClaim claim = must(registry.claim("cache", RegistryKind::segment, 5000));
    CHECK(!claim.found());
    first = claim.view();
    std::memset(first.address, 5, 5000);
    CHECK(!registry.list()[0].bytes.has_value());
    must(claim.publish());
    NamedClaim again = must(registry.claim("cache", RegistryKind::segment, 5000));
    CHECK(again.found() && again.view().address == first.address);
    segments.releaseUnpinned();
    CHECK_EQUAL(segments.find(first.handle).address, first.address);
  }
  // Nobody is attached any more.
  DynamicSegments segments = area.segments();
  Registry registry = area.registry(segments);
  NamedClaim later = must(registry.claim("cache", RegistryKind::segment, 5000));
  CHECK(later.found());
  CHECK_EQUAL(static_cast<char*>(later.view().address)[4999], 5);
  std::vector<RegistryRecord> list = registry.list();
  CHECK_EQUAL(list.size(), 1U);
  CHECK(list[0].name == "cache" && list[0].kind == RegistryKind::segment && list[0].bytes == 5000);
}

TEST("a segment that its initialiser pinned is pinned once, and found by its name") {
  Area area;
  uint32_t handle = 0;
  {
    DynamicSegments segments = area.segments();
    Registry registry = area.registry(segments);
    NamedClaim claim = must(registry.claim("eager", RegistryKind::segment, 64));
    handle = claim.view().handle;
    must(segments.pinSegment(handle));
    must(claim.publish());
  }
  DynamicSegments segments = area.segments();
  Registry registry = area.registry(segments);
  CHECK(must(registry.claim("eager", RegistryKind::segment, 64)).found());
  must(segments.unpinSegment(handle));
  CHECK_REFUSED(segments.unpinSegment(handle), notPinned);
}

TEST("names, sizes and kinds that cannot be are refused") {
  Area area;
  DynamicSegments segments = area.segments();
  Registry registry = area.registry(segments);
  auto claim = [&](std::string_view name, size_t bytes) {
    return registry.claim(name, RegistryKind::segment, bytes);
  };
  must(must(claim("there", 64)).publish());
  CHECK_REFUSED(claim("", 64), nameEmpty);
  CHECK_REFUSED(claim(std::string(64, 'n'), 64), nameTooLong);
  CHECK_REFUSED(claim("new", 0), sizeZero);
  CHECK_REFUSED(claim("there", 65), segmentSizeWrong);
  CHECK_REFUSED(registry.claim("there", RegistryKind::area, 64), kindWrong);
  CHECK_REFUSED(registry.heap("there", kHeapBytes), kindWrong);
  CHECK_REFUSED(registry.hash("there", kHeapBytes, kShape), kindWrong);
  CHECK_REFUSED(registry.heap("small", kLeastHeapBytes - 1), sizeTooLarge);
  CHECK_REFUSED(registry.hash("small", kLeastHashBytes - 1, kShape), sizeTooLarge);
  CHECK_REFUSED(registry.hash("odd", kHeapBytes, {0, 64}), keyLength);
  CHECK_REFUSED(registry.hash("odd", kHeapBytes, {16, kMostValueBytes + 1}), valueLength);
  // A segment that does not fit: the name is there, and the next may try.
  CHECK_REFUSED(claim("large", area.layout.window.bytes), windowFull);
  CHECK_EQUAL(registry.list().size(), 2U);
  CHECK(!registry.list()[1].bytes.has_value());
}

TEST("there are as many names as segments") {
  Area area;
  DynamicSegments segments = area.segments();
  Registry registry = area.registry(segments);
  for (uint32_t index = 0; index < area.layout.segmentCapacity; ++index) {
    NamedClaim claim = must(registry.claim(std::to_string(index), RegistryKind::segment, 8));
    must(claim.publish());
  }
  CHECK_REFUSED(registry.claim("more", RegistryKind::segment, 8), tooManyNames);
  CHECK_REFUSED(segments.create(8), tooManySegments);
}

TEST("a failed initialisation leaves the name without a segment, and the next one retries") {
  Area area;
  DynamicSegments segments = area.segments();
  Registry registry = area.registry(segments);
  for (int round = 0; round < 3; ++round) {
    NamedClaim claim = must(registry.claim("frail", RegistryKind::segment, 100));
    CHECK(!claim.found());
    CHECK_EQUAL(static_cast<char*>(claim.view().address)[99], 0);
    static_cast<char*>(claim.view().address)[99] = 1;
    CHECK_REFUSED(registry.claim("frail", RegistryKind::segment, 100), initialisedAbove);
  }
  CHECK_EQUAL(segments.list().size(), 0U);
  CHECK_EQUAL(segments.attachedCount(), 0U);
  CHECK(!registry.list()[0].bytes.has_value());
  must(must(registry.claim("frail", RegistryKind::segment, 100)).publish());
  CHECK(must(registry.claim("frail", RegistryKind::segment, 100)).found());
}

TEST("heaps and hash tables by name: once per process, the same for all, and checked") {
  Area area;
  DynamicSegments one = area.segments(), two = area.segments();
  Registry first = area.registry(one), second = area.registry(two);
  Heap heap = must(first.heap("area", kHeapBytes));
  const HeapPointer pointer = must(heap.allocate(100));
  heap.setRoot(pointer);
  CHECK_REFUSED(first.heap("area", kHeapBytes), alreadyAttached);
  Heap other = must(second.heap("area", kHeapBytes));
  CHECK_EQUAL(other.root(), pointer);
  must(other.free(pointer));

  Hash hash = must(first.hash("table", kHeapBytes, kShape));
  CHECK_REFUSED(first.hash("table", kHeapBytes, kShape), alreadyAttached);
  {
    HashEntry entry = must(hash.findOrInsert(bytesOf("key"), 5));
    std::memcpy(entry.value().data(), "value", 5);
  }
  // The refusal leaves no mapping in the way.
  CHECK_REFUSED(second.hash("table", kHeapBytes, {16, 65}), parametersWrong);
  Hash same = must(second.hash("table", kHeapBytes, kShape));
  HashEntry entry = must(same.find(bytesOf("key")));
  CHECK(entry.exists() && std::memcmp(entry.value().data(), "value", 5) == 0);
  CHECK(first.list()[0].kind == RegistryKind::area && first.list()[1].kind == RegistryKind::hash);
}

TEST_IN_BOTH_WORLDS("eight ask for the same forty names; the first failure of each is retried") {
  Area area;
  Memory outside(4096);
  struct Counters {
    std::atomic<uint32_t> attempts, successes;
  };
  auto* counters = reinterpret_cast<Counters*>(outside.bytes.data());
  constexpr uint64_t kNames = 40;
  together(world, 8, [&](int self) {
    DynamicSegments segments = area.segments();
    Registry registry = area.registry(segments);
    for (uint64_t step = 0; step < kNames;) {
      const uint64_t index = (step + static_cast<uint64_t>(self) * 7) % kNames;
      NamedClaim claim =
          must(registry.claim("name " + std::to_string(index), RegistryKind::segment, 4000));
      auto* bytes = static_cast<uint8_t*>(claim.view().address);
      const auto wanted = static_cast<uint8_t>(index + 1);
      if (!claim.found()) {
        CHECK(std::all_of(bytes, bytes + 4000, [](uint8_t byte) { return byte == 0; }));
        std::memset(bytes, wanted, 4000);
        if (counters[index].attempts.fetch_add(1) == 0) continue;
        counters[index].successes.fetch_add(1);
        must(claim.publish());
      }
      CHECK(std::all_of(bytes, bytes + 4000, [&](uint8_t byte) { return byte == wanted; }));
      ++step;
    }
  });
  for (uint64_t index = 0; index < kNames; ++index) {
    CHECK_EQUAL(counters[index].attempts.load(), 2U);
    CHECK_EQUAL(counters[index].successes.load(), 1U);
  }
  DynamicSegments segments = area.segments();
  for (const SegmentRecord& record : segments.list()) CHECK(record.pinned && record.refcount == 2);
  CHECK_EQUAL(segments.list().size(), kNames);
}

TEST("a foreign registry is refused, and a scribbled entry never misleads") {
  Area area;
  DynamicSegments segments = area.segments();
  Registry registry = area.registry(segments);
  must(must(registry.claim("a", RegistryKind::segment, 100)).publish());
  std::span<std::byte> section = area.section(area.layout.registry);
  auto& header = *reinterpret_cast<SharedRegistryHeader*>(section.data());
  auto& entry = *reinterpret_cast<SharedRegistryEntry*>(section.data() + sizeof header);
  const uint32_t handle = entry.handle.load();
  DynamicSegments other = area.segments();
  Registry theirs = area.registry(other);
  entry.handle = handle + 1;
  CHECK_REFUSED(theirs.claim("a", RegistryKind::segment, 100), segmentGone);
  entry.handle = handle;
  entry.bytes = 101;
  CHECK_REFUSED(theirs.claim("a", RegistryKind::segment, 101), corrupt);
  entry.kind = 9;
  CHECK_REFUSED(theirs.claim("a", RegistryKind::segment, 101), kindWrong);
  CHECK_EQUAL(registry.list().size(), 0U);
  header.capacity += 1;
  CHECK_REFUSED(Registry::attach(area.fixed, area.layout, segments), foreign);
  header.capacity -= 1;
  header.magic = 0;
  CHECK_REFUSED(Registry::attach(area.fixed, area.layout, segments), foreign);
}
