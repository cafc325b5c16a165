// heap_test.cc: the shared heap against a model, from many sides, and down to its pages.

#include "core/shm/heap.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "test/shared_area.h"

using namespace bgworker;
using namespace shared_area;

namespace {

constexpr size_t kHeapBytes = 4 << 20;

size_t randomSize(Random& random) {
  switch (random() % 8) {
    case 0:
      return 1 + upTo(random, 100000);
    case 1:
      return 1 + upTo(random, 8191);
    default:
      return 1 + upTo(random, 600);
  }
}

uint8_t patternOf(HeapPointer pointer, uint64_t salt) {
  return static_cast<uint8_t>((pointer >> 4) * 31 + salt + 1);
}

uint8_t* bytesAt(const Heap& heap, HeapPointer pointer, size_t bytes) {
  auto* address = static_cast<uint8_t*>(heap.address(pointer, bytes));
  CHECK(address != nullptr);
  return address;
}

void paint(const Heap& heap, HeapPointer pointer, size_t bytes, uint64_t salt) {
  std::memset(bytesAt(heap, pointer, bytes), patternOf(pointer, salt), bytes);
}

bool isPainted(const Heap& heap, HeapPointer pointer, size_t bytes, uint64_t salt) {
  const uint8_t* address = bytesAt(heap, pointer, bytes);
  const uint8_t wanted = patternOf(pointer, salt);
  return std::all_of(address, address + bytes, [&](uint8_t byte) { return byte == wanted; });
}

/** After everything has been freed: one free run, of all pages. */
void checkEmpty(Heap& heap) {
  must(heap.trim());
  CHECK_EQUAL(heap.stats().usedBytes, 0U);
  CHECK_EQUAL(must(heap.countFreeRuns()), 1U);
}

}  // namespace

TEST("addresses are aligned, inside, and apart, for every size from 1 to beyond the classes") {
  Memory memory(64 << 20);
  Heap heap = Heap::format(memory.bytes);
  std::map<HeapPointer, size_t> live;
  for (size_t bytes = 1; bytes <= 9000; bytes += bytes < 300 ? 1 : 37) {
    for (int copy = 0; copy < 3; ++copy) {
      const HeapPointer pointer = must(heap.allocate(bytes));
      CHECK_EQUAL(pointer % 16, 0U);
      paint(heap, pointer, bytes, 0);
      live[pointer] = bytes;
    }
  }
  HeapPointer end = 0;
  for (const auto& [pointer, bytes] : live) {
    CHECK(pointer >= end);
    CHECK(isPainted(heap, pointer, bytes, 0));
    end = pointer + bytes;
  }
  for (const auto& [pointer, bytes] : live) must(heap.free(pointer));
  checkEmpty(heap);
}

TEST("random allocations against a model, until full and back to nothing") {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    Memory memory(kHeapBytes);
    Heap heap = Heap::format(memory.bytes);
    Random random(seed);
    std::map<HeapPointer, size_t> live;
    int refused = 0;
    for (int step = 0; step < 20000; ++step) {
      // Phases of growth and of shrinking, so that the heap is both full and nearly empty.
      const bool grows = step / 2500 % 2 == 0;
      if (live.empty() || random() % 8 < (grows ? 6U : 2U)) {
        const size_t bytes = randomSize(random);
        const bool zero = random() % 2 == 0;
        HeapPointer pointer = must(heap.allocate(bytes, {.zero = zero, .noOutOfMemory = true}));
        if (pointer == 0) {
          ++refused;
          continue;
        }
        auto next = live.lower_bound(pointer);
        CHECK(next == live.end() || next->first >= pointer + bytes);
        CHECK(next == live.begin() || std::prev(next)->first + std::prev(next)->second <= pointer);
        const uint8_t* address = bytesAt(heap, pointer, bytes);
        if (zero) {
          CHECK(std::all_of(address, address + bytes, [](uint8_t byte) { return byte == 0; }));
        }
        paint(heap, pointer, bytes, seed);
        live[pointer] = bytes;
      } else {
        auto victim = live.lower_bound(upTo(random, kHeapBytes));
        if (victim == live.end()) victim = live.begin();
        CHECK(isPainted(heap, victim->first, victim->second, seed));
        must(heap.free(victim->first));
        live.erase(victim);
      }
      if (step % 1000 == 0) CHECK(heap.countFreeRuns().ok());
      if (step % 3000 == 0) must(heap.trim());
    }
    CHECK(refused > 0);
    for (const auto& [pointer, bytes] : live) {
      CHECK(isPainted(heap, pointer, bytes, seed));
      must(heap.free(pointer));
    }
    checkEmpty(heap);
  }
}

TEST("what was not allocated cannot be freed, and nothing twice") {
  Memory memory(kHeapBytes);
  Heap heap = Heap::format(memory.bytes);
  const HeapPointer small = must(heap.allocate(100)), large = must(heap.allocate(50000));
  for (HeapPointer wrong :
       {HeapPointer{0}, small + 1, small + 16, small + 112, large + 16, large + 4096,
        HeapPointer{64}, HeapPointer{kHeapBytes}, ~HeapPointer{0}, ~HeapPointer{15}}) {
    CHECK_REFUSED(heap.free(wrong), badPointer);
  }
  must(heap.free(small));
  CHECK_REFUSED(heap.free(small), badPointer);
  must(heap.free(large));
  CHECK_REFUSED(heap.free(large), badPointer);
  checkEmpty(heap);
  CHECK_REFUSED(heap.free(small), badPointer);
}

TEST("an address is given only for what lies inside") {
  Memory memory(kHeapBytes);
  Heap heap = Heap::format(memory.bytes);
  const HeapPointer pointer = must(heap.allocate(100));
  CHECK(heap.address(pointer, 100) == memory.bytes.data() + pointer);
  CHECK(heap.address(0, 1) == nullptr);
  CHECK(heap.address(64, 8) == nullptr);
  CHECK(heap.address(pointer + 4, 8) == nullptr);
  CHECK(heap.address(kHeapBytes - 8, 8) != nullptr);
  CHECK(heap.address(kHeapBytes - 8, 9) == nullptr);
  CHECK(heap.address(~uint64_t{7}, 8) == nullptr);
  CHECK(heap.address(pointer, SIZE_MAX) == nullptr);
}

TEST("out of memory and the size limit are errors, or nothing, as one asks") {
  Memory memory(kHeapBytes);
  Heap heap = Heap::format(memory.bytes);
  CHECK_REFUSED(heap.allocate(0), sizeZero);
  CHECK_REFUSED(heap.allocate(kHeapBytes), heapFull);
  CHECK_REFUSED(heap.allocate(SIZE_MAX), heapFull);
  CHECK_EQUAL(must(heap.allocate(SIZE_MAX, {.noOutOfMemory = true})), 0U);
  const HeapPointer half = must(heap.allocate(kHeapBytes / 2));
  must(heap.setSizeLimit(kHeapBytes / 2 + 65536));
  CHECK_EQUAL(heap.stats().limitBytes, kHeapBytes / 2 + 65536);
  CHECK_REFUSED(heap.allocate(65537), heapFull);
  must(heap.allocate(65536));
  CHECK_REFUSED(heap.allocate(1), heapFull);
  // Below what is used: nothing more, and nothing is lost.
  must(heap.setSizeLimit(0));
  CHECK_REFUSED(heap.allocate(1), heapFull);
  must(heap.free(half));
  CHECK_REFUSED(heap.allocate(1), heapFull);
  must(heap.setSizeLimit(SIZE_MAX));
  must(heap.allocate(kHeapBytes / 2));
}

TEST("trim gives the pages back to the system, and what comes again works") {
  Area area(size_t{64} << 20);
  DynamicSegments segments = area.segments();
  SegmentView view = must(segments.create(32 << 20));
  Heap heap = Heap::format({static_cast<std::byte*>(view.address), view.bytes});
  const int64_t before = area.residentBytes();
  for (int round = 0; round < 3; ++round) {
    std::vector<HeapPointer> live;
    for (int index = 0; index < 100; ++index) {
      live.push_back(must(heap.allocate(100000, {.zero = true})));
    }
    for (int index = 0; index < 1000; ++index) {
      live.push_back(must(heap.allocate(500, {.zero = true})));
    }
    CHECK(area.residentBytes() > before + (9 << 20));
    for (HeapPointer pointer : live) must(heap.free(pointer));
    checkEmpty(heap);
    // The page records stay: 32 bytes for each page.
    CHECK(area.residentBytes() < before + (128 << 10));
  }
}

TEST("a heap lives as long as its segment: to the last detach, or, pinned, beyond") {
  Area area;
  DynamicSegments one = area.segments(), two = area.segments();
  SegmentView view = must(one.create(kHeapBytes));
  Heap heap = Heap::format({static_cast<std::byte*>(view.address), view.bytes});
  const HeapPointer pointer = must(heap.allocate(10));
  paint(heap, pointer, 10, 3);
  must(one.pinSegment(view.handle));
  one.detach(view.handle);
  SegmentView other = must(two.attach(view.handle));
  Heap again = must(Heap::attach({static_cast<std::byte*>(other.address), other.bytes}));
  CHECK(isPainted(again, pointer, 10, 3));
  must(two.unpinSegment(view.handle));
  two.detach(view.handle);
  CHECK_REFUSED(one.attach(view.handle), segmentGone);
}

TEST_IN_BOTH_WORLDS("eight allocate and free at once, half of it what another has allocated") {
  Memory memory(32 << 20), outside(1 << 16);
  Heap heap = Heap::format(memory.bytes);
  struct Parcel {
    std::atomic<uint64_t> pointer;
  };
  constexpr size_t kParcels = 64;
  auto* parcels = reinterpret_cast<Parcel*>(outside.bytes.data());
  // A parcel's size stands in its first 8 bytes, so whoever gets it can check it.
  auto pack = [](const Heap& own, HeapPointer pointer, uint64_t bytes) {
    paint(own, pointer, bytes, 5);
    std::memcpy(bytesAt(own, pointer, 8), &bytes, 8);
  };
  auto unpack = [](Heap& own, HeapPointer pointer) {
    uint64_t bytes;
    std::memcpy(&bytes, bytesAt(own, pointer, 8), 8);
    const uint8_t* address = bytesAt(own, pointer, bytes);
    const uint8_t wanted = patternOf(pointer, 5);
    CHECK(std::all_of(address + 8, address + bytes, [&](uint8_t byte) { return byte == wanted; }));
    must(own.free(pointer));
  };
  together(world, 8, [&](int self) {
    Heap own = must(Heap::attach(memory.bytes));
    Random random(static_cast<uint64_t>(self) + 1);
    for (int step = 0; step < 4000; ++step) {
      const size_t bytes = 8 + randomSize(random) % 20000;
      const HeapPointer pointer = must(own.allocate(bytes));
      pack(own, pointer, bytes);
      const HeapPointer old = parcels[random() % kParcels].pointer.exchange(pointer);
      if (old != 0) unpack(own, old);
      if (step % 1000 == 999) must(own.trim());
    }
  });
  for (size_t index = 0; index < kParcels; ++index) {
    if (const HeapPointer pointer = parcels[index].pointer.load()) unpack(heap, pointer);
  }
  checkEmpty(heap);
}

TEST("a foreign or corrupted heap is refused") {
  Memory memory(kHeapBytes);
  CHECK_REFUSED(Heap::attach(memory.bytes), foreign);
  Heap heap = Heap::format(memory.bytes);
  CHECK_REFUSED(Heap::attach(memory.bytes.first(kHeapBytes - 4096)), foreign);
  CHECK_REFUSED(Heap::attach(memory.bytes.subspan(64)), foreign);
  CHECK_REFUSED(Heap::attach(memory.bytes.first(4096)), foreign);
  auto& front = *reinterpret_cast<SharedHeapFront*>(memory.bytes.data());
  for (uint8_t* byte : {reinterpret_cast<uint8_t*>(&front.header.magic),
                        reinterpret_cast<uint8_t*>(&front.header.version),
                        reinterpret_cast<uint8_t*>(&front.header.totalBytes)}) {
    *byte ^= 4;
    CHECK_REFUSED(Heap::attach(memory.bytes), foreign);
    *byte ^= 4;
  }
  CHECK(Heap::attach(memory.bytes).ok());
  // Lists that lead outside, or round in a circle, are found when they are walked.
  const HeapPointer pointer = must(heap.allocate(100));
  front.pools[classFor(100)].firstWithRoom = 0xffffff;
  CHECK_REFUSED(heap.allocate(100), corrupt);
  for (uint32_t& bin : front.runs.bins) bin = 0xffffff;
  CHECK_REFUSED(heap.allocate(100000), corrupt);
  CHECK_REFUSED(heap.trim(), corrupt);
  (void)heap.free(pointer).ok();
}
