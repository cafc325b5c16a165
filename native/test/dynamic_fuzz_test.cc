// dynamic_fuzz_test.cc: a thousand scribblers. Whatever stands in shared memory, every verb returns
// an error or a value; none crashes, hangs, or leaves its memory.

#include <sys/prctl.h>

#include <csignal>
#include <cstring>

#include "core/shm/shared_mutex.h"
#include "test/shared_area.h"

using namespace bgworker;
using namespace shared_area;

namespace {

constexpr uint64_t kSeeds = 1000;
constexpr size_t kHeapBytes = kLeastHashBytes;
constexpr HashShape kShape{32, 128};

std::span<const std::byte> bytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/** Random bytes, plausible numbers, or both, in a few places or everywhere. */
void scribble(Random& random, std::span<std::byte> target) {
  const uint64_t style = random() % 4;
  const uint64_t places = style == 3 ? target.size() / 16 : 1 + upTo(random, 200);
  for (uint64_t place = 0; place < places; ++place) {
    if (style == 0) {
      target[random() % target.size()] = static_cast<std::byte>(random());
      continue;
    }
    // Small numbers pass more checks than large ones, and so come further.
    uint64_t word = style == 1 ? random() : random() >> upTo(random, 63);
    const size_t bytes = random() % 2 == 0 ? 4 : 8;
    const size_t offset = random() % (target.size() / bytes) * bytes;
    std::memcpy(target.data() + offset, &word, bytes);
  }
}

struct Victim {
  Area area{size_t{8} << 20, 4096};
  DynamicSegments segments{area.segments()};
  Registry registry{area.registry(segments)};
  Heap heap{must(registry.heap("heap", kHeapBytes))};
  Hash hash{must(registry.hash("hash", kHeapBytes, kShape))};
  std::vector<HeapPointer> pointers;
  std::vector<std::byte> fixedBefore, heapBefore, hashBefore;

  Victim() {
    must(area.directory().claim("structure", 100)).publish();
    for (size_t bytes : {1, 100, 1000, 8000, 20000}) {
      pointers.push_back(must(heap.allocate(bytes)));
    }
    for (int index = 0; index < 200; ++index) {
      must(hash.findOrInsert(bytesOf(std::to_string(index)), 20)).release();
    }
    keep(area.fixed, fixedBefore);
    keep(memoryOf("heap"), heapBefore);
    keep(memoryOf("hash"), hashBefore);
  }
  static void keep(std::span<std::byte> memory, std::vector<std::byte>& copy) {
    copy.assign(memory.begin(), memory.end());
  }
  std::span<std::byte> memoryOf(const std::string& name) {
    // In the order of their making.
    SegmentRecord record = segments.list()[name == "heap" ? 0 : 1];
    SegmentView view = segments.find(record.handle);
    return {static_cast<std::byte*>(view.address), view.bytes};
  }
};

template <typename T>
void ignore(const Result<T>&) {}
void ignore(const Status&) {}

void readEverything(Victim& victim) {
  Area& area = victim.area;
  Result<Directory> directory = Directory::attach(area.section(area.layout.directory));
  if (directory.ok()) {
    (void)directory.value().find("structure");
    (void)directory.value().list();
    ignore(directory.value().claim("structure", 100));
    ignore(directory.value().claim("another", 100));
  }
  Result<DynamicSegments> segments =
      DynamicSegments::attach(area.file.get(), area.fixed, area.layout);
  if (segments.ok()) {
    std::vector<SegmentRecord> records = segments.value().list();
    Result<Registry> registry = Registry::attach(area.fixed, area.layout, segments.value());
    if (registry.ok()) {
      (void)registry.value().list();
      ignore(registry.value().claim("heap", RegistryKind::segment, 100));
      ignore(registry.value().heap("heap", kHeapBytes));
      ignore(registry.value().hash("hash", kHeapBytes, kShape));
    }
    for (const SegmentRecord& record : records) ignore(segments.value().attach(record.handle));
    for (const SegmentRecord& record : records) (void)segments.value().find(record.handle);
  }
}

void walkEverything(Hash& hash) {
  Hash::Scan scan(hash);
  for (uint64_t step = 0; step < 10000; ++step) {
    Result<std::optional<HashItemView>> item = scan.next();
    if (!item.ok() || !item.value().has_value()) return;
    // Every byte that a view shows has to be there.
    [[maybe_unused]] volatile unsigned sum = 0;
    for (std::byte byte : item.value()->key) sum = sum + static_cast<unsigned>(byte);
    for (std::byte byte : item.value()->value) sum = sum + static_cast<unsigned>(byte);
  }
}

void useHeap(Heap& heap, const std::vector<HeapPointer>& pointers) {
  (void)heap.stats();
  (void)heap.root();
  ignore(heap.countFreeRuns());
  for (size_t bytes : {16, 1000, 5000, 30000}) ignore(heap.allocate(bytes, {.zero = true}));
  for (HeapPointer pointer : pointers) ignore(heap.free(pointer));
  ignore(heap.trim());
}

void useHash(Hash& hash) {
  (void)hash.count();
  (void)hash.bucketCount();
  for (const char* key : {"7", "150", "absent"}) {
    Result<HashEntry> entry = hash.find(bytesOf(key));
    if (entry.ok() && entry.value().exists()) entry.value().release();
  }
  walkEverything(hash);
  for (int index = 190; index < 230; ++index) {
    Result<HashEntry> entry = hash.findOrInsert(bytesOf(std::to_string(index)), 100);
    if (entry.ok()) ignore(entry.value().assign(bytesOf(std::string(128, 'x'))));
  }
  ignore(hash.erase(bytesOf("7")));
}

}  // namespace

TEST("whatever is scribbled over the sections, every verb returns") {
  Victim victim;
  setSharedPatienceMs(1);
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Random random(seed);
    std::memcpy(victim.area.fixed.data(), victim.fixedBefore.data(), victim.fixedBefore.size());
    const AreaLayout& layout = victim.area.layout;
    // Mostly behind the header, which is the first thing to be checked and would end it all.
    for (const Section& section : {layout.directory, layout.table, layout.registry}) {
      const size_t spared = random() % 8 == 0 ? 0 : 32;
      scribble(random, victim.area.section(section).subspan(spared));
    }
    readEverything(victim);
  }
  std::memcpy(victim.area.fixed.data(), victim.fixedBefore.data(), victim.fixedBefore.size());
  setSharedPatienceMs(60000);
}

TEST("a process that goes on scribbling meanwhile cannot crash anybody, either") {
  Victim victim;
  std::span<std::byte> heapMemory = victim.memoryOf("heap"), hashMemory = victim.memoryOf("hash");
  setSharedPatienceMs(1);
  DescriptorPair started = processes::pipePair();
  pid_t scribbler = processes::inChild([&] {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // it never ends by itself
    processes::writeByte(started.second.get(), 's');
    for (Random random(4711);;) {
      // Whole again now and then, so that the others get beyond their first check.
      std::memcpy(victim.area.fixed.data(), victim.fixedBefore.data(), victim.fixedBefore.size());
      std::memcpy(heapMemory.data(), victim.heapBefore.data(), heapMemory.size());
      std::memcpy(hashMemory.data(), victim.hashBefore.data(), hashMemory.size());
      for (int round = 0; round < 20; ++round) {
        scribble(random, victim.area.section(victim.area.layout.directory).subspan(32));
        scribble(random, victim.area.section(victim.area.layout.table).subspan(32));
        scribble(random, victim.area.section(victim.area.layout.registry).subspan(32));
        scribble(random, heapMemory.first(sizeof(SharedHeapFront) + 4096).subspan(64));
        scribble(random, hashMemory.subspan(64));
      }
    }
    return 0;
  });
  CHECK_EQUAL(processes::readByte(started.first.get()), 's');
  for (int round = 0; round < 300; ++round) {
    readEverything(victim);
    useHeap(victim.heap, victim.pointers);
    useHash(victim.hash);
  }
  kill(scribbler, SIGKILL);
  CHECK(WIFSIGNALED(processes::waitFor(scribbler)));
  std::memcpy(victim.area.fixed.data(), victim.fixedBefore.data(), victim.fixedBefore.size());
  setSharedPatienceMs(60000);
}

TEST("whatever is scribbled over a heap and a hash table, every verb returns") {
  Victim victim;
  std::span<std::byte> heapMemory = victim.memoryOf("heap"), hashMemory = victim.memoryOf("hash");
  setSharedPatienceMs(1);
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    Random random(seed);
    std::memcpy(heapMemory.data(), victim.heapBefore.data(), heapMemory.size());
    std::memcpy(hashMemory.data(), victim.hashBefore.data(), hashMemory.size());
    // Alternately anywhere, and where the numbers are.
    const size_t front = seed % 2 == 0 ? kHeapBytes : sizeof(SharedHeapFront) + 4096;
    scribble(random, heapMemory.first(front).subspan(random() % 8 == 0 ? 0 : 64));
    scribble(random, hashMemory.first(kHeapBytes / (1 + random() % 8)).subspan(64));
    ignore(Heap::attach(heapMemory));
    useHeap(victim.heap, victim.pointers);
    Result<Heap> under = Heap::attach(hashMemory);
    if (under.ok()) {
      Result<Hash> hash = Hash::attach(under.value(), under.value().root(), kShape);
      if (hash.ok()) useHash(hash.value());
      ignore(Hash::attach(under.value(), victim.hash.pointer(), kShape));
    }
    useHash(victim.hash);
  }
  setSharedPatienceMs(60000);
}
