// directory_test.cc: structures by name: one creator, everybody else waits, failure is retried.

#include "core/shm/directory.h"

#include <sys/syscall.h>

#include <algorithm>
#include <cstring>
#include <fstream>

#include "core/shm/shared_mutex.h"
#include "test/shared_area.h"

using namespace bgworker;
using namespace shared_area;

namespace {

constexpr int kParticipants = 8;
constexpr int kNames = 100;

struct Counted {
  std::atomic<uint32_t> initialised;
  std::atomic<uint32_t> attempts;
  uint64_t content[6];
};

bool sleepsInFutex(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/syscall");
  long number = -1;
  return file >> number && number == SYS_futex;
}

std::string nameOf(int index) { return "structure " + std::to_string(index); }

}  // namespace

TEST("a structure is found by name, at the same place, and listed with its sizes") {
  Area area;
  Directory directory = area.directory();
  void* address = nullptr;
  {
    StructClaim claim = must(directory.claim("hits", 100));
    CHECK(!claim.found());
    CHECK_EQUAL(claim.bytes(), 100U);
    CHECK(directory.find("hits").address == nullptr);
    address = claim.address();
    std::memset(address, 7, 100);
    claim.publish();
    CHECK(claim.found());
  }
  CHECK_EQUAL(reinterpret_cast<uintptr_t>(address) % kStructAlignment, 0U);
  CHECK_EQUAL(directory.find("hits").address, address);
  CHECK(directory.find("hit").address == nullptr && directory.find("").address == nullptr);
  Directory other = area.directory();
  StructClaim again = must(other.claim("hits", 100));
  CHECK(again.found() && again.address() == address);
  StructClaim longest = must(other.claim(std::string(63, 'n'), 1));
  longest.publish();
  std::vector<StructRecord> list = directory.list();
  CHECK_EQUAL(list.size(), 2U);
  CHECK(list[0].name == "hits" && list[0].bytes == 100 && list[0].allocatedBytes == 128);
  CHECK(list[1].name == std::string(63, 'n') && list[1].offset == list[0].offset + 128);
}

TEST("names and sizes that cannot be are refused, each with its reason") {
  Area area;
  Directory directory = area.directory();
  must(directory.claim("there", 64)).publish();
  CHECK_REFUSED(directory.claim("", 64), nameEmpty);
  CHECK_REFUSED(directory.claim(std::string(64, 'n'), 64), nameTooLong);
  CHECK_REFUSED(directory.claim(std::string_view("a\0b", 3), 64), nameHasNul);
  CHECK_REFUSED(directory.claim("new", 0), sizeZero);
  CHECK_REFUSED(directory.claim("there", 65), entrySizeWrong);
  CHECK_REFUSED(directory.claim("there", 63), entrySizeWrong);
  CHECK_REFUSED(directory.claim("large", area.layout.directory.bytes), outOfSpace);
  CHECK_REFUSED(directory.claim("huge", SIZE_MAX), outOfSpace);
  CHECK_REFUSED(directory.claim("huge", SIZE_MAX - 62), outOfSpace);
  CHECK_EQUAL(directory.list().size(), 1U);
}

TEST("space ends exactly where it was asked for, and so do entries") {
  {
    Area area(4096, 64 << 10);
    Directory directory = area.directory();
    const size_t room = area.layout.directory.bytes - Directory::bytesFor(0);
    must(directory.claim("all", room - 64)).publish();
    CHECK_REFUSED(directory.claim("more", 65), outOfSpace);
    must(directory.claim("last", 64)).publish();
    CHECK_REFUSED(directory.claim("more", 1), outOfSpace);
  }
  Area area;
  Directory directory = area.directory();
  for (uint32_t index = 0; index < kDirectoryCapacity; ++index) {
    must(directory.claim(nameOf(static_cast<int>(index)), 8)).publish();
  }
  CHECK_REFUSED(directory.claim("one too many", 8), tooManyNames);
  CHECK(must(directory.claim(nameOf(17), 8)).found());
}

TEST_IN_BOTH_WORLDS("eight claim the same hundred names, and each is initialised once") {
  Area area;
  together(world, kParticipants, [&](int self) {
    Directory directory = area.directory();
    for (int step = 0; step < kNames; ++step) {
      const int index = (step * (self % 2 == 0 ? 1 : 99) + self) % kNames;
      StructClaim claim = must(directory.claim(nameOf(index), sizeof(Counted)));
      auto& counted = *static_cast<Counted*>(claim.address());
      if (!claim.found()) {
        CHECK_EQUAL(counted.initialised.fetch_add(1), 0U);
        for (uint64_t& word : counted.content) word = static_cast<uint64_t>(index) + 1;
        claim.publish();
      }
      CHECK_EQUAL(counted.initialised.load(), 1U);
      for (uint64_t word : counted.content) CHECK_EQUAL(word, static_cast<uint64_t>(index) + 1);
    }
  });
  std::vector<StructRecord> list = area.directory().list();
  CHECK_EQUAL(list.size(), static_cast<size_t>(kNames));
  std::ranges::sort(list, {}, &StructRecord::offset);
  for (size_t index = 1; index < list.size(); ++index) {
    CHECK_EQUAL(list[index].offset, list[index - 1].offset + list[index - 1].allocatedBytes);
  }
}

TEST_IN_BOTH_WORLDS("eight that ask for a new name at the same moment make one entry") {
  Area area;
  Memory outside(4096);
  auto& arrived = *reinterpret_cast<std::atomic<int>*>(outside.bytes.data());
  auto& creators = *reinterpret_cast<std::atomic<int>*>(outside.bytes.data() + 64);
  together(world, kParticipants, [&](int) {
    Directory directory = area.directory();
    for (int round = 1; round <= kNames; ++round) {
      arrived.fetch_add(1);
      while (arrived.load() < round * kParticipants) std::this_thread::yield();
      StructClaim claim = must(directory.claim(nameOf(round), 64));
      if (claim.found()) continue;
      creators.fetch_add(1);
      claim.publish();
    }
  });
  CHECK_EQUAL(creators.load(), kNames);
  CHECK_EQUAL(area.directory().list().size(), static_cast<size_t>(kNames));
}

TEST("whoever sleeps while another initialises is woken by success and by failure") {
  for (bool succeeds : {true, false}) {
    Area area;
    Directory directory = area.directory();
    StructClaim claim = must(directory.claim("slow", 64));
    pid_t waiter = processes::inChild([&] {
      Directory own = area.directory();
      StructClaim found = must(own.claim("slow", 64));
      return found.found() == succeeds ? 0 : 1;
    });
    while (!sleepsInFutex(waiter)) std::this_thread::yield();
    if (succeeds) {
      claim.publish();
    } else {
      claim.abandon();
    }
    // Not woken, it would sleep for its whole patience, which is longer than a test may take.
    CHECK_EQUAL(processes::waitFor(waiter), 0);
  }
}

TEST_IN_BOTH_WORLDS("a creator's failure makes the next one creator, of zeroed memory") {
  Area area;
  Memory outside(4096);
  auto& attempts = *reinterpret_cast<std::atomic<uint32_t>*>(outside.bytes.data());
  together(world, kParticipants, [&](int) {
    Directory directory = area.directory();
    for (bool done = false; !done;) {
      StructClaim claim = must(directory.claim("frail", 256));
      auto* bytes = static_cast<uint8_t*>(claim.address());
      if (!claim.found()) {
        CHECK(std::all_of(bytes, bytes + 256, [](uint8_t byte) { return byte == 0; }));
        std::memset(bytes, 9, 256);
        // The first five fail, whoever they are.
        if (attempts.fetch_add(1) < 5) continue;
        claim.publish();
      }
      CHECK(std::all_of(bytes, bytes + 256, [](uint8_t byte) { return byte == 9; }));
      done = true;
    }
  });
  CHECK_EQUAL(attempts.load(), 6U);
}

TEST("who asks for what he is initialising is told so, and does not wait for himself") {
  Area area;
  Directory directory = area.directory();
  StructClaim claim = must(directory.claim("loop", 8));
  CHECK_REFUSED(directory.claim("loop", 8), initialisedAbove);
  claim.publish();
  CHECK(must(directory.claim("loop", 8)).found());
}

TEST("a creator that never ends, and a lock that is never released, are errors in time") {
  Area area;
  Directory directory = area.directory();
  pid_t dead = processes::inChild([&] {
    Directory own = area.directory();
    [[maybe_unused]] Result<StructClaim> claim = own.claim("orphan", 8);
    _exit(0);
    return 1;
  });
  CHECK_EQUAL(processes::waitFor(dead), 0);
  setSharedPatienceMs(20);
  CHECK_REFUSED(directory.claim("orphan", 8), initialisationStuck);
  auto& header =
      *reinterpret_cast<SharedDirectoryHeader*>(area.section(area.layout.directory).data());
  must(header.mutex.lock());
  CHECK_REFUSED(directory.claim("other", 8), lockStuck);
  header.mutex.unlock();
  reinterpret_cast<std::atomic<uint32_t>&>(header.mutex).store(77);
  CHECK_REFUSED(directory.claim("other", 8), corrupt);
  setSharedPatienceMs(60000);
}

TEST_IN_BOTH_WORLDS("the shared mutex lets one in at a time, and loses no wake-up") {
  struct Guarded {
    SharedMutex mutex;
    uint32_t inside;
    uint64_t count;
  };
  Memory memory(4096);
  auto& guarded = *reinterpret_cast<Guarded*>(memory.bytes.data());
  constexpr uint64_t kRounds = 20000;
  together(world, kParticipants, [&](int) {
    for (uint64_t round = 0; round < kRounds; ++round) {
      Locked locked(guarded.mutex);
      CHECK(locked.ok());
      CHECK_EQUAL(++guarded.inside, 1U);
      ++guarded.count;
      --guarded.inside;
    }
  });
  CHECK_EQUAL(guarded.count, kRounds * kParticipants);
}

TEST("a foreign or corrupted header is refused") {
  Area area;
  std::span<std::byte> section = area.section(area.layout.directory);
  auto& header = *reinterpret_cast<SharedDirectoryHeader*>(section.data());
  CHECK_REFUSED(Directory::attach(section.first(section.size() - 64)), foreign);
  CHECK_REFUSED(Directory::attach(section.first(16)), foreign);
  header.magic ^= 1;
  CHECK_REFUSED(Directory::attach(section), foreign);
  header.magic ^= 1;
  header.version += 1;
  CHECK_REFUSED(Directory::attach(section), foreign);
  header.version -= 1;
  header.totalBytes -= 64;
  CHECK_REFUSED(Directory::attach(section), foreign);
  header.totalBytes += 64;
  Directory directory = must(Directory::attach(section));
  must(directory.claim("a", 8)).publish();
  // What lies behind the header is checked when it is used.
  auto& entry = *reinterpret_cast<SharedDirectoryEntry*>(section.data() + sizeof header);
  reinterpret_cast<std::atomic<uint32_t>&>(entry.once).store(0x80000000);
  CHECK_REFUSED(directory.claim("a", 8), corrupt);
  entry.offset = section.size() - 4;
  CHECK_REFUSED(directory.claim("a", 8), corrupt);
  CHECK(directory.find("a").address == nullptr);
  CHECK_EQUAL(directory.list().size(), 0U);
  header.structBytes = section.size() + 64;
  CHECK_REFUSED(directory.claim("b", 8), corrupt);
}
