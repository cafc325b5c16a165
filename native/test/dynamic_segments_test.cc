// dynamic_segments_test.cc: create, attach, pin, detach; callbacks; churn; pages that come back.

#include "core/shm/dynamic_segments.h"

#include <cstring>

#include "test/shared_area.h"

using namespace bgworker;
using namespace shared_area;

namespace {

std::string order;

void note(const SegmentView& segment, void* argument) {
  // Still mapped: it can be written.
  static_cast<char*>(segment.address)[0] = 1;
  order += static_cast<const char*>(argument);
}

bool isMapped(const void* address) {
  return msync(const_cast<void*>(address), 4096, MS_ASYNC) == 0;
}

char* argument(const char* text) { return const_cast<char*>(text); }

/** What a segment contains tells which it is, at both of its ends. */
struct Stamp {
  static void write(const SegmentView& view) {
    std::memcpy(view.address, &view.handle, sizeof view.handle);
    std::memcpy(end(view), &view.handle, sizeof view.handle);
  }
  static bool isZero(const SegmentView& view) { return first(view) == 0 && last(view) == 0; }
  static bool is(const SegmentView& view) {
    return first(view) == view.handle && last(view) == view.handle;
  }
  static uint32_t first(const SegmentView& view) { return read(view.address); }
  static uint32_t last(const SegmentView& view) { return read(end(view)); }
  static char* end(const SegmentView& view) {
    return static_cast<char*>(view.address) + view.bytes - sizeof view.handle;
  }
  static uint32_t read(const void* address) {
    uint32_t value;
    std::memcpy(&value, address, sizeof value);
    return value;
  }
};

}  // namespace

TEST("what one process writes another reads, wherever it is mapped") {
  Area area;
  DynamicSegments one = area.segments(), two = area.segments();
  SegmentView first = must(one.create(10000));
  CHECK(Stamp::isZero(first));
  Stamp::write(first);
  SegmentView second = must(two.attach(first.handle));
  CHECK(second.address != first.address && second.bytes == 10000);
  CHECK(Stamp::is(second));
  CHECK_REFUSED(two.attach(first.handle), alreadyAttached);
  CHECK_EQUAL(two.find(first.handle).address, second.address);
  CHECK(two.find(12345).address == nullptr);
  CHECK_EQUAL(one.list()[0].refcount, 3U);
  // The creator leaves, the other keeps it.
  one.detach(first.handle);
  CHECK(!isMapped(first.address));
  CHECK(Stamp::is(second));
  CHECK_EQUAL(must(one.attach(first.handle)).bytes, 10000U);
  one.detach(first.handle);
  two.detach(first.handle);
  two.detach(first.handle);
  CHECK_REFUSED(one.attach(first.handle), segmentGone);
  CHECK_REFUSED(one.attach(0), segmentGone);
  CHECK_EQUAL(one.list().size(), 0U);
  CHECK_REFUSED(one.create(0), sizeZero);
  CHECK_REFUSED(one.create(area.layout.window.bytes + 1), windowFull);
}

TEST("after detach the address faults") {
  Area area;
  DynamicSegments segments = area.segments();
  SegmentView view = must(segments.create(100));
  segments.detach(view.handle);
  pid_t child = processes::inChild([&] {
    close(STDERR_FILENO);
    return *static_cast<volatile char*>(view.address);
  });
  CHECK(processes::waitFor(child) != 0);
}

TEST("a destroyed segment's pages go back to the system, and come again as zeros") {
  Area area;
  DynamicSegments segments = area.segments();
  const int64_t before = area.residentBytes();
  constexpr size_t kBytes = 8 << 20;
  for (int round = 0; round < 3; ++round) {
    SegmentView view = must(segments.create(kBytes));
    auto* bytes = static_cast<char*>(view.address);
    for (size_t index = 0; index < kBytes; index += 4096) {
      CHECK_EQUAL(bytes[index], 0);
      bytes[index] = 1;
    }
    CHECK(area.residentBytes() >= before + static_cast<int64_t>(kBytes));
    segments.detach(view.handle);
    // The table's own page may have been touched.
    CHECK(area.residentBytes() <= before + 4096);
  }
}

TEST("a pinned segment outlives its attachers, and its unpinning ends it") {
  Area area;
  DynamicSegments segments = area.segments();
  SegmentView view = must(segments.create(100));
  Stamp::write(view);
  CHECK_REFUSED(segments.unpinSegment(view.handle), notPinned);
  must(segments.pinSegment(view.handle));
  CHECK_REFUSED(segments.pinSegment(view.handle), alreadyPinned);
  segments.detach(view.handle);
  CHECK_REFUSED(segments.pinSegment(view.handle), notAttached);
  CHECK_EQUAL(segments.list()[0].refcount, 2U);
  view = must(segments.attach(view.handle));
  CHECK(Stamp::is(view));
  segments.detach(view.handle);
  // By somebody who never saw it.
  DynamicSegments stranger = area.segments();
  must(stranger.unpinSegment(view.handle));
  CHECK_REFUSED(stranger.unpinSegment(view.handle), unknownSegment);
  CHECK_REFUSED(segments.attach(view.handle), segmentGone);
  // Unpinned while attached, it stays until the last detach.
  view = must(segments.create(100));
  must(segments.pinSegment(view.handle));
  must(segments.unpinSegment(view.handle));
  CHECK_EQUAL(segments.list().size(), 1U);
  segments.detach(view.handle);
  CHECK_EQUAL(segments.list().size(), 0U);
}

TEST("a pinned mapping survives its owner, and an unpinned one does not") {
  Area area;
  DynamicSegments segments = area.segments();
  const uint32_t kept = must(segments.create(1)).handle, dropped = must(segments.create(1)).handle;
  must(segments.pinMapping(kept));
  must(segments.pinMapping(dropped));
  must(segments.unpinMapping(dropped));
  CHECK_REFUSED(segments.pinMapping(99), notAttached);
  CHECK_REFUSED(segments.unpinMapping(99), notAttached);
  segments.releaseUnpinned();
  CHECK(segments.find(kept).address != nullptr && segments.find(dropped).address == nullptr);
  segments.detachAll();
  CHECK_EQUAL(segments.attachedCount(), 0U);
  CHECK_EQUAL(segments.list().size(), 0U);
}

TEST("callbacks run last first, before the mapping goes; cancelled ones do not") {
  Area area;
  DynamicSegments segments = area.segments();
  order.clear();
  SegmentView one = must(segments.create(1)), two = must(segments.create(1));
  char a[] = "a", b[] = "b", c[] = "c";
  for (char* name : {a, b, a, c}) must(segments.onDetach(one.handle, note, name));
  CHECK(segments.cancelOnDetach(one.handle, note, a));  // the later of the two
  CHECK(!segments.cancelOnDetach(one.handle, note, argument("z")));
  CHECK(!segments.cancelOnDetach(99, note, a));
  CHECK_REFUSED(segments.onDetach(99, note, a), notAttached);
  must(segments.onDetach(two.handle, note, argument("2")));
  segments.detachAll();
  CHECK_EQUAL(order, "2cba");
}

TEST("a callback may detach, register and attach; each runs once") {
  Area area;
  static DynamicSegments* shared = nullptr;
  DynamicSegments segments = area.segments();
  shared = &segments;
  order.clear();
  SegmentView one = must(segments.create(1)), two = must(segments.create(1));
  static uint32_t other;
  other = two.handle;
  must(segments.onDetach(one.handle, note, argument("first")));
  must(segments.onDetach(
      one.handle,
      [](const SegmentView& view, void*) {
        order += "again ";
        shared->detach(other);
        must(shared->onDetach(view.handle, note, argument("late ")));
        shared->detach(view.handle);
      },
      nullptr));
  segments.detach(one.handle);
  CHECK_EQUAL(order, "again late first");
  CHECK_EQUAL(segments.attachedCount(), 0U);
  CHECK_EQUAL(segments.list().size(), 0U);
}

TEST("a fork child that resets leaves its parent's references alone") {
  Area area;
  DynamicSegments segments = area.segments();
  SegmentView view = must(segments.create(100));
  must(segments.onDetach(view.handle, note, argument("never")));
  pid_t child = processes::inChild([&] {
    order.clear();
    segments.reset();
    segments.detachAll();
    if (isMapped(view.address) || !order.empty()) return 1;
    return area.segments().list()[0].refcount == 2 ? 0 : 2;
  });
  CHECK_EQUAL(processes::waitFor(child), 0);
  CHECK(isMapped(view.address));
}

TEST("a detach never fails, whatever the table says") {
  Area area;
  DynamicSegments segments = area.segments();
  SegmentView view = must(segments.create(100));
  order.clear();
  must(segments.onDetach(view.handle, note, argument("ran")));
  std::span<std::byte> table = area.section(area.layout.table);
  std::memset(table.data(), 0xee, table.size());
  segments.detach(view.handle);
  CHECK_EQUAL(order, "ran");
  CHECK(!isMapped(view.address));
  CHECK_REFUSED(segments.create(1), corrupt);
  CHECK(!DynamicSegments::attach(area.file.get(), area.fixed, area.layout).ok());
}

TEST_IN_BOTH_WORLDS("six create, pass on, attach and detach; every segment is itself, none stays") {
  Area area(size_t{256} << 20);
  const int64_t before = area.residentBytes();
  Memory outside(4096);
  constexpr size_t kBoard = 16;
  auto* board = reinterpret_cast<std::atomic<uint32_t>*>(outside.bytes.data());
  together(world, 6, [&](int self) {
    Random random(static_cast<uint64_t>(self) + 77);
    DynamicSegments segments = area.segments();
    std::vector<SegmentView> held;  // the model of what this process has
    for (int step = 0; step < 1500; ++step) {
      const uint64_t choice = random() % 4;
      std::atomic<uint32_t>& place = board[random() % kBoard];
      if (choice == 0 && held.size() < 12) {
        SegmentView view = must(segments.create(8 + upTo(random, 300000)));
        CHECK(Stamp::isZero(view));
        Stamp::write(view);
        held.push_back(view);
        place.store(view.handle);
      } else if (choice == 1 && held.size() < 12) {
        const uint32_t handle = place.load();
        if (segments.find(handle).address != nullptr) {
          CHECK_REFUSED(segments.attach(handle), alreadyAttached);
          continue;
        }
        Result<SegmentView> view = segments.attach(handle);
        if (!view.ok()) {
          CHECK_REFUSED(view, segmentGone);
          continue;
        }
        CHECK(Stamp::is(view.value()));
        held.push_back(view.value());
      } else if (!held.empty()) {
        const size_t index = random() % held.size();
        CHECK(Stamp::is(held[index]));
        CHECK_EQUAL(segments.find(held[index].handle).address, held[index].address);
        segments.detach(held[index].handle);
        held.erase(held.begin() + static_cast<ptrdiff_t>(index));
      }
      CHECK_EQUAL(segments.attachedCount(), held.size());
    }
  });
  CHECK_EQUAL(area.segments().list().size(), 0U);
  CHECK(area.residentBytes() <= before + 8192);
  DynamicSegments last = area.segments();
  CHECK(last.create(area.layout.window.bytes).ok());
}
