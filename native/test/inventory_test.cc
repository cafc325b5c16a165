// inventory_test.cc: the supervisor's side of shared memory: what it lists, and that no scribble
// can crash, hang or mislead it, whatever it does meanwhile.

#include "core/shm/inventory.h"

#include <sys/prctl.h>

#include <csignal>

#include "core/shm/directory.h"
#include "core/shm/registry.h"
#include "test/shared_area.h"

using namespace bgworker;
using namespace shared_area;

namespace {

constexpr uint64_t kSeeds = 1000;
constexpr int kRounds = 4;
constexpr uint32_t kSlots = 4;
constexpr size_t kWindow = size_t{64} << 20, kStructs = 4096;

/** What a worker has of an area: it is another object over the same memory. */
struct WorkerSide {
  Directory directory;
  DynamicSegments segments;
  Registry registry;

  explicit WorkerSide(const MainArea& area)
      : directory(must(Directory::attach(
            area.fixed().subspan(area.layout().directory.offset, area.layout().directory.bytes)))),
        segments(must(DynamicSegments::attach(area.descriptor(), area.fixed(), area.layout()))),
        registry(must(Registry::attach(area.fixed(), area.layout(), segments))) {}
};

MainArea newArea() { return must(MainArea::create(kSlots, kStructs, kWindow)); }

const Allocation& rowOf(const Inventory& inventory, std::string_view name) {
  for (const Allocation& row : inventory.allocations) {
    if (row.name == name) return row;
  }
  throw harness::Failure{"there is no row " + std::string(name)};
}

const Allocation& rowOf(const Inventory& inventory, AllocationKind kind) {
  for (const Allocation& row : inventory.allocations) {
    if (row.kind == kind) return row;
  }
  throw harness::Failure{"there is no row of this kind"};
}

/** What holds of every inventory, whatever stands in the area. */
void checkSound(const MainArea& area, const Inventory& inventory) {
  uint64_t end = 0, total = 0;
  for (const Allocation& row : inventory.allocations) {
    CHECK(row.bytes <= row.allocatedBytes);
    total += row.allocatedBytes;
    const bool isNamed = row.kind == AllocationKind::fixed || row.kind == AllocationKind::structure;
    CHECK_EQUAL(row.name.empty(), !isNamed);
    CHECK(row.name.size() < kSharedNameBytes);
    CHECK_EQUAL(row.offset.has_value(), row.kind != AllocationKind::anonymous);
    if (!row.offset.has_value()) continue;
    // What nobody can name may lie between two structures.
    CHECK(*row.offset >= end);
    end = *row.offset + row.allocatedBytes;
  }
  CHECK_EQUAL(end, area.bytes());
  CHECK_EQUAL(total, area.bytes());
  uint64_t windowBytes = 0;
  for (const SegmentAllocation& segment : inventory.segments) {
    CHECK(segment.handle != kInvalidHandle);
    CHECK(segment.bytes > 0 && segment.bytes <= segment.allocatedBytes);
    windowBytes += segment.allocatedBytes;
  }
  CHECK(windowBytes <= area.layout().window.bytes);
  CHECK(inventory.names.size() <= area.layout().segmentCapacity);
  for (const RegistryRecord& name : inventory.names) {
    CHECK(!name.name.empty() && name.name.size() < kSharedNameBytes);
    CHECK(!name.bytes || (*name.bytes > 0 && *name.bytes <= area.layout().window.bytes));
  }
}

/** Structures, segments and names, as after a start. */
void furnish(const MainArea& area, WorkerSide& worker) {
  for (const char* name : {"hits", "lwlock:hits", "cv:hits"}) {
    must(worker.directory.claim(name, 100)).publish();
  }
  must(worker.segments.pinSegment(must(worker.segments.create(5000)).handle));
  must(must(worker.registry.claim("cache", RegistryKind::segment, 70000)).publish());
  checkSound(area, inventoryOf(area));
}

/** Random bytes or plausible numbers, in a few places or everywhere; in words that do not tear. */
void scribble(Random& random, std::span<std::byte> target) {
  const uint64_t style = random() % 4;
  const uint64_t places = style == 3 ? target.size() / 8 : 1 + upTo(random, 400);
  for (uint64_t place = 0; place < places; ++place) {
    const uint64_t word = style == 1 ? random() >> upTo(random, 63) : random();
    if (style == 0) {
      std::byte& byte = target[random() % target.size()];
      __atomic_store_n(reinterpret_cast<uint8_t*>(&byte), static_cast<uint8_t>(word),
                       __ATOMIC_RELAXED);
    } else {
      std::byte& first = target[random() % (target.size() / 8) * 8];
      __atomic_store_n(reinterpret_cast<uint64_t*>(&first), word, __ATOMIC_RELAXED);
    }
  }
}

/** What the scribbler and the supervisor say to each other, outside of what is scribbled over. */
struct Meeting {
  std::atomic<uint64_t> passes;
  std::atomic<bool> isOver;
};

/** However the supervisor fares, the scribbler need not go on. */
struct Farewell {
  Meeting& meeting;
  ~Farewell() { meeting.isOver.store(true); }
};

void scribbleOn(uint64_t seed, const MainArea& area, std::span<const uint64_t> sound,
                Meeting& meeting) {
  Random random(seed);
  auto* words = reinterpret_cast<uint64_t*>(area.fixed().data());
  while (!meeting.isOver.load()) {
    scribble(random, area.fixed());
    meeting.passes.fetch_add(1);
    // Whole again now and then, so that a reader gets beyond his first check.
    if (random() % 4 != 0) continue;
    for (size_t index = 0; index < sound.size(); ++index) {
      __atomic_store_n(&words[index], sound[index], __ATOMIC_RELAXED);
    }
  }
}

/** All that the supervisor does with an area while workers live. */
void supervise(MainArea& area, Random& random) {
  const auto slot = static_cast<uint32_t>(random() % kSlots);
  area.publish(slot, random(), static_cast<int32_t>(random() % 4000000) - 1);
  (void)area.read(slot);
  checkSound(area, inventoryOf(area));
  (void)area.takeDeadMan(slot);
  area.release(slot);
}

void superviseAgainst(uint64_t seed, MainArea& area, Meeting& meeting) {
  Farewell farewell{meeting};
  Random random(~seed);
  for (int round = 0; round < kRounds || meeting.passes.load() < kRounds; ++round) {
    supervise(area, random);
  }
}

}  // namespace

TEST("every byte of the main area is in one row, under the name that it was asked for") {
  MainArea area = newArea();
  WorkerSide worker(area);
  const uint64_t free = rowOf(inventoryOf(area), AllocationKind::free).bytes;
  CHECK_EQUAL(inventoryOf(area).allocations.size(), 9U);
  must(worker.directory.claim("hits", 100)).publish();
  [[maybe_unused]] StructClaim open = must(worker.directory.claim("not yet initialised", 64));
  const Inventory inventory = inventoryOf(area);
  checkSound(area, inventory);
  const Allocation& hits = rowOf(inventory, "hits");
  CHECK(hits.kind == AllocationKind::structure);
  CHECK_EQUAL(hits.bytes, 100U);
  CHECK_EQUAL(hits.allocatedBytes, 128U);
  auto offset =
      static_cast<std::byte*>(worker.directory.find("hits").address) - area.fixed().data();
  CHECK_EQUAL(*hits.offset, static_cast<uint64_t>(offset));
  CHECK_EQUAL(rowOf(inventory, "not yet initialised").bytes, 64U);
  CHECK_EQUAL(rowOf(inventory, AllocationKind::anonymous).bytes, 0U);
  CHECK_EQUAL(rowOf(inventory, AllocationKind::free).bytes, free - 128 - 64);
  CHECK_EQUAL(rowOf(inventory, "slots").bytes, kSlots * sizeof(SharedSlot));
  CHECK_EQUAL(*rowOf(inventory, "process table").offset, area.processTableOffset());
  CHECK_EQUAL(*rowOf(inventory, "activity table").offset, area.activityTableOffset());
  CHECK_EQUAL(rowOf(inventory, "activity table").bytes, kSlots * sizeof(SharedActivity));
}

TEST("segments and names are listed, initialised or not") {
  MainArea area = newArea();
  WorkerSide worker(area);
  CHECK_EQUAL(inventoryOf(area).segments.size(), 0U);
  const uint32_t first = must(worker.segments.create(1)).handle;
  must(must(worker.registry.claim("cache", RegistryKind::segment, 70000)).publish());
  {
    NamedClaim open = must(worker.registry.claim("half", RegistryKind::segment, 100));
    CHECK(!inventoryOf(area).names[1].bytes.has_value());
    open.abandon();
  }
  Inventory inventory = inventoryOf(area);
  checkSound(area, inventory);
  CHECK_EQUAL(inventory.segments.size(), 2U);
  CHECK_EQUAL(inventory.segments[0].handle, first);
  CHECK(inventory.segments[0].bytes == 1 && !inventory.segments[0].pinned);
  CHECK(inventory.segments[1].bytes == 70000 && inventory.segments[1].pinned);
  CHECK_EQUAL(inventory.names.size(), 2U);
  CHECK(inventory.names[0].name == "cache" && *inventory.names[0].bytes == 70000);
  CHECK(inventory.names[1].name == "half" && !inventory.names[1].bytes);
  worker.segments.detach(first);
  CHECK_EQUAL(inventoryOf(area).segments.size(), 1U);
}

TEST("a damaged entry is left out, and what it took is nobody's") {
  MainArea area = newArea();
  WorkerSide worker(area);
  furnish(area, worker);
  std::span<std::byte> section = area.fixed().subspan(area.layout().directory.offset);
  auto& header = *reinterpret_cast<SharedDirectoryHeader*>(section.data());
  auto* entries = reinterpret_cast<SharedDirectoryEntry*>(section.data() + sizeof header);
  auto listed = [&area] {
    Inventory inventory = inventoryOf(area);
    checkSound(area, inventory);
    std::string names;
    for (const Allocation& row : inventory.allocations) {
      if (row.kind == AllocationKind::structure) names += row.name + " ";
    }
    return names + std::to_string(rowOf(inventory, AllocationKind::anonymous).bytes);
  };
  const SharedDirectoryEntry& lock = entries[1];
  const uint64_t offset = lock.offset;
  CHECK_EQUAL(listed(), "hits lwlock:hits cv:hits 0");
  for (uint64_t wrong : {uint64_t{0}, offset + 1, offset - 64, ~uint64_t{0}, section.size()}) {
    entries[1].offset = wrong;
    CHECK_EQUAL(listed(), "hits cv:hits 128");
  }
  entries[1].offset = offset;
  // It reaches into its successor: one of the two cannot be.
  entries[1].bytes = 200;
  CHECK_EQUAL(listed(), "hits lwlock:hits 0");
  entries[1].bytes = 100;
  entries[1].name[0] = '\0';
  CHECK_EQUAL(listed(), "hits cv:hits 128");
  std::memset(entries[1].name, 'n', sizeof entries[1].name);
  CHECK_EQUAL(listed(), "hits " + std::string(63, 'n') + " cv:hits 0");
  // None of the numbers of the header is needed to find what is there.
  header.magic = 0;
  header.version = 0;
  header.totalBytes = 0;
  header.structBytes = ~uint64_t{0};
  Inventory inventory = inventoryOf(area);
  checkSound(area, inventory);
  CHECK_EQUAL(rowOf(inventory, AllocationKind::free).bytes, 0U);
  header.structBytes = 0;
  CHECK_EQUAL(listed(), "hits " + std::string(63, 'n') + " cv:hits 0");
}

TEST_IN_BOTH_WORLDS("what workers make meanwhile is listed whole, or not yet") {
  MainArea area = newArea();
  Memory outside(4096);
  auto& left = *reinterpret_cast<std::atomic<int>*>(outside.bytes.data());
  left = 3;
  together(world, 4, [&](int self) {
    if (self == 0) {
      do checkSound(area, inventoryOf(area));
      while (left.load() > 0);
      return;
    }
    WorkerSide worker(area);
    Random random(static_cast<uint64_t>(self));
    for (int round = 0; round < 30; ++round) {
      const std::string name = std::to_string(self) + " " + std::to_string(round);
      if (round < 10) must(worker.directory.claim(name, 8)).publish();
      if (round < 10) {
        must(must(worker.registry.claim(name, RegistryKind::segment, 5000)).publish());
      }
      // Pinned, to outlive this object.
      const uint32_t handle = must(worker.segments.create(1 + upTo(random, 50000))).handle;
      if (round % 3 == 0) must(worker.segments.pinSegment(handle));
      worker.segments.detach(handle);
    }
    left.fetch_sub(1);
  });
  const Inventory inventory = inventoryOf(area);
  CHECK_EQUAL(inventory.allocations.size(), 9U + 30U);
  CHECK_EQUAL(inventory.names.size(), 30U);
  CHECK_EQUAL(inventory.segments.size(), 30U + 30U);
}

TEST_IN_BOTH_WORLDS(
    "a thousand scribblers: the supervisor lists, publishes and reaps all the same") {
  Memory outside(4096);
  // Processes wait for each other's turn at the processor, for milliseconds; so not all seeds.
  const uint64_t step = world == World::threads ? 1 : 10;
  for (uint64_t seed = 1; seed <= kSeeds; seed += step) {
    try {
      MainArea area = newArea();
      WorkerSide worker(area);
      furnish(area, worker);
      std::vector<uint64_t> sound(area.bytes() / sizeof(uint64_t));
      std::memcpy(sound.data(), area.fixed().data(), area.bytes());
      auto& meeting = *new (outside.bytes.data()) Meeting{};
      together(world, 2, [&](int self) {
        if (self == 0) return superviseAgainst(seed, area, meeting);
        // A supervisor that crashed tells nobody.
        if (world == World::processes) prctl(PR_SET_PDEATHSIG, SIGKILL);
        scribbleOn(seed, area, sound, meeting);
      });
      std::memcpy(area.fixed().data(), sound.data(), area.bytes());
    } catch (const harness::Failure& failure) {
      throw harness::Failure{"seed " + std::to_string(seed) + ": " + failure.what};
    }
  }
}
