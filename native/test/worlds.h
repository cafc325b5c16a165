// worlds.h: one stress body in two worlds: threads, which a sanitizer can see, and processes, which
// are the truth.
//
//     WORLD_TEST("nothing is lost") {
//       worlds::Stage stage(8, sizeof(Shared));
//       stage.run(world, 8, [](worlds::Player& player) { ... CHECK(...); });
//     }
//
// A player has a slot of its own, numbered as it is. A player that is a process maps the memory
// again, at another address, so that a pointer in it would be found out. Players begin together.

#pragma once

#include <sys/mman.h>

#include <atomic>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "core/base/fault_point.h"
#include "core/shm/memory_file.h"
#include "core/sync/latch.h"
#include "core/sync/this_process.h"
#include "test/processes.h"

enum class World { threads, processes };

namespace worlds {

using bgworker::ThisProcess;

#if defined(__SANITIZE_THREAD__)
inline constexpr uint32_t kSlowdown = 8;
#elif defined(__SANITIZE_ADDRESS__)
inline constexpr uint32_t kSlowdown = 3;
#else
inline constexpr uint32_t kSlowdown = 1;
#endif
/** How often to repeat something that is slower under a sanitizer. */
constexpr uint32_t scaled(uint32_t count) { return count / kSlowdown; }

/** For waits that end long before, or the test has failed. */
inline bgworker::WaitOptions patiently() {
  return {.deadlineNs = bgworker::deadlineInMs(processes::kPatienceMs)};
}

struct Player {
  ThisProcess& self;
  uint32_t index;
  void* memory;
  template <typename T>
  T& shared() {
    return *static_cast<T*>(memory);
  }
};

using Body = std::function<void(Player&)>;

class Stage {
 public:
  Stage(uint32_t slotCount, size_t userBytes)
      : slotCount_(slotCount), bytes_(bgworker::ProcessTable::bytesFor(slotCount) + userBytes) {
    bgworker::Result<bgworker::Descriptor> file = bgworker::makeMemoryFile("test stage", bytes_);
    CHECK(file.ok());
    file_ = std::move(file.value());
    bgworker::Result<bgworker::Doorbells> bells = bgworker::Doorbells::create(slotCount);
    CHECK(bells.ok());
    bells_.emplace_back(std::move(bells.value()));
    base_ = map();
  }
  ~Stage() { munmap(base_, bytes_); }
  Stage(const Stage&) = delete;

  bgworker::ProcessTable table() const { return {base_, slotCount_}; }
  const bgworker::Doorbells& bells() const { return bells_[0]; }
  void* memory() const { return userPart(base_); }
  template <typename T>
  T& shared() const {
    return *static_cast<T*>(memory());
  }

  void run(World world, uint32_t players, const Body& body) {
    bgworker::DescriptorPair gate = processes::pipePair();
    if (world == World::threads) {
      runThreads(players, body, gate);
    } else {
      std::vector<pid_t> children = startProcesses(players, body, gate);
      gate.second.reset();
      int failed = 0;
      for (pid_t child : children) failed += processes::waitFor(child) != 0;
      CHECK_EQUAL(failed, 0);
    }
  }

  /** One player in a child, at once; the caller waits for it. */
  pid_t inProcess(uint32_t index, const Body& body) {
    return processes::inChild([&] {
      play(index, base_, body);
      return 0;
    });
  }

  void play(uint32_t index, void* base, const Body& body) {
    ThisProcess self({base, slotCount_}, bells(), index);
    Player player{self, index, userPart(base)};
    body(player);
    self.leave();
  }

 private:
  void* userPart(void* base) const {
    return static_cast<char*>(base) + bgworker::ProcessTable::bytesFor(slotCount_);
  }
  void* map() const {
    void* base = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    CHECK(base != MAP_FAILED);
    return base;
  }

  void runThreads(uint32_t players, const Body& body, bgworker::DescriptorPair& gate) {
    std::vector<std::string> failures(players);
    std::vector<std::thread> threads;
    for (uint32_t index = 0; index < players; ++index) {
      threads.emplace_back([&, index] {
        try {
          char byte;
          (void)!read(gate.first.get(), &byte, 1);
          play(index, base_, body);
        } catch (const harness::Failure& failure) {
          failures[index] = failure.what;
        }
      });
    }
    for (uint32_t index = 0; index < players; ++index) processes::writeByte(gate.second.get(), 1);
    for (std::thread& thread : threads) thread.join();
    for (const std::string& failure : failures) {
      if (!failure.empty()) throw harness::Failure{failure};
    }
  }

  std::vector<pid_t> startProcesses(uint32_t players, const Body& body,
                                    bgworker::DescriptorPair& gate) {
    std::vector<pid_t> children;
    for (uint32_t index = 0; index < players; ++index) {
      children.push_back(processes::inChild([&] {
        gate.second.reset();
        void* again = map();
        munmap(base_, bytes_);
        (void)processes::readByte(gate.first.get());
        play(index, again, body);
        return 0;
      }));
    }
    return children;
  }

  uint32_t slotCount_;
  size_t bytes_;
  bgworker::Descriptor file_;
  std::vector<bgworker::Doorbells> bells_;
  void* base_ = nullptr;
};

/** Does this end in PM_ASSERT's abort? */
template <typename Act>
bool aborts(Act act) {
  pid_t child = processes::inChild([&] {
    close(STDERR_FILENO);
    act();
    return 0;
  });
  int status = processes::waitFor(child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

/** A player that stands still at a fault point until it is told to go on. */
struct Meeting {
  bgworker::DescriptorPair arrived = processes::pipePair();
  bgworker::DescriptorPair go = processes::pipePair();
  void arm(const char* name, uint32_t skip = 0) {
    bgworker::fault::arm(
        {name, bgworker::fault::Action::wait, skip, arrived.second.get(), go.first.get()});
  }
  void await() { CHECK_EQUAL(processes::readByte(arrived.first.get()), 1); }
  void letGo() { processes::writeByte(go.second.get(), 1); }
};

}  // namespace worlds

#define WORLD_TEST(name)                                                                         \
  static void HARNESS_JOIN(world_, __LINE__)(World);                                             \
  static const harness::Registration HARNESS_JOIN(threads_, __LINE__)(name ": threads", [] {     \
    HARNESS_JOIN(world_, __LINE__)(World::threads);                                              \
  });                                                                                            \
  static const harness::Registration HARNESS_JOIN(processes_, __LINE__)(name ": processes", [] { \
    HARNESS_JOIN(world_, __LINE__)(World::processes);                                            \
  });                                                                                            \
  static void HARNESS_JOIN(world_, __LINE__)([[maybe_unused]] World world)
