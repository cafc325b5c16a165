// shared_area.h: a memory file with all sections in it, and the two worlds that a body runs in.

#pragma once

#include <sys/mman.h>
#include <sys/stat.h>

#include <random>
#include <thread>

#include "core/shm/directory.h"
#include "core/shm/dynamic_segments.h"
#include "core/shm/memory_file.h"
#include "core/shm/registry.h"
#include "test/processes.h"

namespace shared_area {

using Random = std::mt19937_64;

inline uint64_t upTo(Random& random, uint64_t most) { return random() % (most + 1); }

inline bgworker::Refusal refusalOf(const bgworker::Status& status) {
  return status.ok() ? bgworker::Refusal::none : bgworker::refusalOf(status.error());
}
template <typename T>
bgworker::Refusal refusalOf(const bgworker::Result<T>& result) {
  return result.ok() ? bgworker::Refusal::none : bgworker::refusalOf(result.error());
}
/** The value of a result that has to have one. */
template <typename T>
T must(bgworker::Result<T> result) {
  if (!result.ok()) throw harness::Failure{result.error().call};
  return std::move(result.value());
}
inline void must(const bgworker::Status& status) {
  if (!status.ok()) throw harness::Failure{status.error().call};
}

#define CHECK_REFUSED(result, refusal) \
  CHECK(shared_area::refusalOf(result) == bgworker::Refusal::refusal)

struct Area {
  bgworker::AreaLayout layout;
  bgworker::Descriptor file;
  std::span<std::byte> fixed;

  explicit Area(size_t windowBytes = size_t{1} << 30, size_t structBytes = 64 << 10)
      : layout(must(bgworker::layoutOf(4096, 8, structBytes, windowBytes))),
        file(must(bgworker::makeMemoryFile("test area", layout.totalBytes()))) {
    void* base =
        mmap(nullptr, layout.fixedBytes(), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    CHECK(base != MAP_FAILED);
    fixed = {static_cast<std::byte*>(base), layout.fixedBytes()};
    bgworker::Directory::format(section(layout.directory));
    must(bgworker::DynamicSegments::format(fixed, layout));
    bgworker::Registry::format(fixed, layout);
  }
  Area(const Area&) = delete;
  ~Area() { munmap(fixed.data(), fixed.size()); }

  std::span<std::byte> section(const bgworker::Section& where) const {
    return fixed.subspan(where.offset, where.bytes);
  }
  bgworker::Directory directory() const {
    return must(bgworker::Directory::attach(section(layout.directory)));
  }
  bgworker::DynamicSegments segments() const {
    return must(bgworker::DynamicSegments::attach(file.get(), fixed, layout));
  }
  bgworker::Registry registry(bgworker::DynamicSegments& segments) const {
    return must(bgworker::Registry::attach(fixed, layout, segments));
  }
  /** What the file takes of the machine's memory. */
  int64_t residentBytes() const {
    struct stat status {};
    CHECK_EQUAL(fstat(file.get(), &status), 0);
    return static_cast<int64_t>(status.st_blocks) * 512;
  }
};

/** Memory of one's own, on a page: for what needs no file. */
struct Memory {
  std::span<std::byte> bytes;

  explicit Memory(size_t size) {
    void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(base != MAP_FAILED);
    bytes = {static_cast<std::byte*>(base), size};
  }
  Memory(const Memory&) = delete;
  ~Memory() { munmap(bytes.data(), bytes.size()); }
};

enum class World { threads, processes };

/** Runs body(0) … body(count - 1) at the same time; none begins before all are there. */
template <typename Body>
void together(World world, int count, Body body) {
  if (world == World::processes) {
    bgworker::DescriptorPair gate = processes::pipePair();
    std::vector<pid_t> children;
    for (int index = 0; index < count; ++index) {
      children.push_back(processes::inChild([&] {
        gate.second.reset();
        CHECK_EQUAL(processes::readByte(gate.first.get()), -1);
        body(index);
        return 0;
      }));
    }
    gate.second.reset();
    for (pid_t child : children) CHECK_EQUAL(processes::waitFor(child), 0);
    return;
  }
  std::atomic<int> missing{count};
  std::vector<std::string> failures(static_cast<size_t>(count));
  std::vector<std::thread> threads;
  for (int index = 0; index < count; ++index) {
    threads.emplace_back([&, index] {
      missing.fetch_sub(1);
      while (missing.load() > 0) std::this_thread::yield();
      try {
        body(index);
      } catch (const harness::Failure& failure) {
        failures[static_cast<size_t>(index)] = failure.what;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& failure : failures) {
    if (!failure.empty()) throw harness::Failure{failure};
  }
}

}  // namespace shared_area

/** One body, two tests. In it, `world` is the argument for together(). */
#define TEST_IN_BOTH_WORLDS(name)                                                                \
  static void HARNESS_JOIN(body_, __LINE__)(shared_area::World world);                           \
  static const harness::Registration HARNESS_JOIN(threads_, __LINE__)(name ": threads", [] {     \
    HARNESS_JOIN(body_, __LINE__)(shared_area::World::threads);                                  \
  });                                                                                            \
  static const harness::Registration HARNESS_JOIN(processes_, __LINE__)(name ": processes", [] { \
    HARNESS_JOIN(body_, __LINE__)(shared_area::World::processes);                                \
  });                                                                                            \
  static void HARNESS_JOIN(body_, __LINE__)([[maybe_unused]] shared_area::World world)
