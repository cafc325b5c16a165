// main_area_test.cc: foreign areas are refused, and a slot never shows a mixture.

#include "core/shm/main_area.h"

#include <sys/mman.h>

#include <thread>

#include "core/shm/directory.h"
#include "core/shm/memory_file.h"
#include "core/shm/registry.h"
#include "test/processes.h"

using namespace bgworker;

namespace {

MainArea newArea(uint32_t slotCount, size_t structBytes = 0, size_t windowBytes = 1 << 20) {
  Result<MainArea> area = MainArea::create(slotCount, structBytes, windowBytes);
  CHECK(area.ok());
  return std::move(area.value());
}

int refusalOf(int descriptor) {
  Result<MainArea> area = MainArea::map(descriptor);
  return area.ok() ? 0 : area.error().number;
}

/** A sealed file that begins with this header. */
Descriptor fileWith(const MainAreaHeader& header, size_t bytes) {
  Result<Descriptor> file = makeMemoryFile("test", bytes);
  CHECK(file.ok());
  size_t written = bytes < sizeof header ? bytes : sizeof header;
  CHECK_EQUAL(pwrite(file.value().get(), &header, written, 0), static_cast<ssize_t>(written));
  return std::move(file.value());
}

constexpr size_t kStructs = 4096, kWindow = 1 << 20;

size_t totalFor(uint32_t slotCount) {
  Result<AreaLayout> layout = MainArea::layoutFor({slotCount, kStructs, kWindow});
  CHECK(layout.ok());
  return layout.value().totalBytes();
}

MainAreaHeader soundHeader(uint32_t slotCount) {
  return {kMainAreaMagic, kMainAreaVersion, slotCount, totalFor(slotCount), kStructs, kWindow};
}

int duplicate(const MainArea& area) {
  Result<Descriptor> copy = duplicateFrom(area.descriptor(), 0);
  CHECK(copy.ok());
  return copy.value().release();
}

constexpr uint64_t kGenerations = 200000;
constexpr uint64_t kFirst = 1;

/** The pid that the writer publishes with a generation. */
int32_t pidFor(uint64_t generation) { return static_cast<int32_t>(generation % 1000003) + 1; }

/** Publishes and frees one slot over and over. */
void handOver(MainArea& area) {
  for (uint64_t generation = kFirst; generation <= kGenerations; ++generation) {
    area.publish(1, generation, pidFor(generation));
    if (generation != kGenerations) area.release(1);
  }
}

/** Reads until the last generation is there; how often the slot showed what never was. */
int countMixtures(const MainArea& area) {
  int mixtures = 0;
  uint64_t last = 0;
  while (last < kGenerations) {
    SlotView view = area.read(1);
    // 0: freed between the looks at inUse and pid, which is the truth of a moment later.
    bool sound = !view.inUse || view.pid == 0 || view.pid == pidFor(view.generation);
    if (!sound || view.generation < last) ++mixtures;
    last = view.generation;
  }
  return mixtures;
}

}  // namespace

TEST("an area made here is mapped elsewhere with the same slots") {
  MainArea area = newArea(3);
  area.publish(2, 77, 1234);
  Result<MainArea> other = MainArea::map(duplicate(area));
  CHECK(other.ok());
  CHECK(other.value().address() != area.address());
  CHECK_EQUAL(other.value().slotCount(), 3U);
  SlotView view = other.value().read(2);
  CHECK(view.inUse && view.generation == 77 && view.pid == 1234);
  CHECK(!other.value().read(0).inUse);
  area.release(2);
  view = other.value().read(2);
  CHECK(!view.inUse && view.generation == 77);
}

TEST("the smallest and the largest area work at both of their ends") {
  for (uint32_t slotCount : {1U, kMaxSlotCount}) {
    MainArea area = newArea(slotCount);
    CHECK_EQUAL(area.bytes(), area.layout().fixedBytes());
    area.publish(slotCount - 1, 1, 5);
    CHECK_EQUAL(area.read(slotCount - 1).pid, 5);
    CHECK_EQUAL(refusalOf(duplicate(area)), 0);
  }
}

TEST("foreign, corrupt and short areas are refused") {
  const size_t sound = totalFor(4);
  CHECK_EQUAL(refusalOf(fileWith(soundHeader(4), sound).release()), 0);
  struct Case {
    MainAreaHeader header;
    size_t bytes;
  };
  MainAreaHeader magic = soundHeader(4), version = soundHeader(4), total = soundHeader(4);
  magic.magic ^= 1;
  version.version += 1;
  total.totalBytes += 64;
  MainAreaHeader none = soundHeader(0), many = soundHeader(kMaxSlotCount + 1);
  MainAreaHeader lying = soundHeader(4);  // totalBytes is that of the file, slotCount is not
  lying.slotCount = 400;
  MainAreaHeader structs = soundHeader(4), window = soundHeader(4), endless = soundHeader(4);
  structs.structBytes += 1 << 16;
  window.windowBytes += 4096;
  endless.structBytes = UINT64_MAX;
  const Case cases[] = {
      {magic, sound},
      {version, sound},
      {total, sound},
      {none, none.totalBytes},
      {many, many.totalBytes},
      {lying, sound},
      {structs, sound},
      {window, sound},
      {endless, sound},
      {soundHeader(4), sound - 64},
      {soundHeader(4), sound + 64},
      {soundHeader(4), 16},
      {soundHeader(4), sizeof(MainAreaHeader)},
  };
  for (const Case& wrong : cases) {
    Descriptor file = fileWith(wrong.header, wrong.bytes);
    CHECK_EQUAL(refusalOf(file.get()), EPROTO);
  }
  DescriptorPair pipe = processes::pipePair();
  CHECK(refusalOf(pipe.first.get()) != 0);
  // Not sealed: somebody could shrink it under us.
  Descriptor loose(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  MainAreaHeader header = soundHeader(4);
  CHECK_EQUAL(ftruncate(loose.get(), static_cast<off_t>(sound)), 0);
  CHECK_EQUAL(pwrite(loose.get(), &header, sizeof header, 0), 64);
  CHECK_EQUAL(refusalOf(loose.get()), EPERM);
}

TEST("an area cannot be resized by anybody") {
  MainArea area = newArea(2);
  CHECK_EQUAL(ftruncate(area.descriptor(), 64), -1);
  CHECK_EQUAL(errno, EPERM);
}

TEST("a slot index is checked against our own copy, whatever the header says") {
  MainArea area = newArea(4);
  auto* header = static_cast<MainAreaHeader*>(const_cast<void*>(area.address()));
  header->slotCount = 1000000;
  CHECK_EQUAL(area.slotCount(), 4U);
  pid_t child = processes::inChild([&] {
    close(STDERR_FILENO);
    (void)area.read(4);
    return 0;
  });
  int status = processes::waitFor(child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

TEST("a replaced area has the old address, the new content and no old descriptor") {
  int before = processes::countDescriptors();
  {
    MainArea area = newArea(8), next = newArea(8);
    MainArea others[] = {newArea(9), newArea(8, 64), newArea(8, 0, 1 << 21)};
    area.publish(0, 1, 11);
    next.publish(0, 2, 22);
    const void* address = area.address();
    const int descriptor = area.descriptor();
    for (const MainArea& other : others) {
      Status refused = area.replace(Descriptor(duplicate(other)));
      CHECK(!refused.ok() && refused.error().number == EPROTO);
    }
    CHECK_EQUAL(area.read(0).pid, 11);
    CHECK(area.replace(Descriptor(duplicate(next))).ok());
    CHECK_EQUAL(area.address(), address);
    CHECK_EQUAL(area.read(0).pid, 22);
    CHECK_EQUAL(area.descriptor(), descriptor);
    // The number leads to the new file.
    MainAreaHeader header;
    CHECK_EQUAL(pwrite(next.descriptor(), "x", 1, 40), 1);
    CHECK_EQUAL(pread(descriptor, &header, sizeof header, 0), 64);
    CHECK_EQUAL(reinterpret_cast<const char*>(&header)[40], 'x');
  }
  CHECK_EQUAL(processes::countDescriptors(), before);
}

TEST("a closed area is gone from the address space, and closing twice is nothing") {
  MainArea area = newArea(1);
  void* address = const_cast<void*>(area.address());
  size_t bytes = area.bytes();
  area.close();
  area.close();
  CHECK(!area.isOpen());
  CHECK_EQUAL(msync(address, bytes, MS_ASYNC), -1);
  CHECK_EQUAL(errno, ENOMEM);
}

TEST("a slot that changes hands never shows a mixture: threads") {
  MainArea area = newArea(2);
  int mixtures[2] = {-1, -1};
  std::thread one([&] { mixtures[0] = countMixtures(area); });
  std::thread two([&] { mixtures[1] = countMixtures(area); });
  handOver(area);
  one.join();
  two.join();
  CHECK_EQUAL(mixtures[0], 0);
  CHECK_EQUAL(mixtures[1], 0);
}

TEST("a slot that changes hands never shows a mixture: processes") {
  MainArea area = newArea(2);
  pid_t readers[2];
  for (pid_t& reader : readers) {
    reader = processes::inChild([&] { return countMixtures(area) == 0 ? 0 : 1; });
  }
  handOver(area);
  for (pid_t reader : readers) CHECK_EQUAL(processes::waitFor(reader), 0);
}

TEST("the dead-man switch tells a clean end from a dirty one, once") {
  MainArea area = newArea(4);
  for (int round = 0; round < 100; ++round) {
    for (bool clean : {true, false}) {
      pid_t worker = processes::inChild([&] {
        area.attach(2);
        if (clean) area.detach(2);
        return 0;
      });
      CHECK_EQUAL(processes::waitFor(worker), 0);
      CHECK_EQUAL(area.takeDeadMan(2), !clean);
      CHECK(!area.takeDeadMan(2));
      CHECK(!area.takeDeadMan(1));
    }
  }
}

TEST("the fixed part is never larger than what JavaScript can see of it") {
  Result<AreaLayout> layout =
      MainArea::layoutFor({kMaxSlotCount, kMostStructBytes, kDefaultWindowBytes});
  CHECK(layout.ok() && layout.value().fixedBytes() <= size_t{4} << 30);
}

TEST("an area has every section, ready for use, and the window is not mapped") {
  MainArea area = newArea(4, 1000, size_t{1} << 30);
  CHECK(area.bytes() < (size_t{1} << 24));
  CHECK_EQUAL(area.shape().structBytes, 1000U);
  const AreaLayout& layout = area.layout();
  CHECK(area.processTableOffset() + 4 * kProcessBytes <= layout.directory.offset);
  Result<Directory> directory =
      Directory::attach(area.fixed().subspan(layout.directory.offset, layout.directory.bytes));
  CHECK(directory.ok());
  Result<DynamicSegments> segments =
      DynamicSegments::attach(area.descriptor(), area.fixed(), layout);
  CHECK(segments.ok());
  CHECK(Registry::attach(area.fixed(), layout, segments.value()).ok());
  Result<SegmentView> segment = segments.value().create(100000);
  CHECK(segment.ok());
  *static_cast<char*>(segment.value().address) = 1;
}
