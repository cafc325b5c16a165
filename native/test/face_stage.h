// face_stage.h: workers in C without Node: each actor is one process's attachment and the table.
//
//     WORLD_TEST("nothing is lost") {
//       face_stage::Stage stage;
//       stage.run(world, 4, [](face_stage::Actor& actor) { ... api.lwlock->acquire(actor, ...) ...
//       });
//     }
//
// An actor that is a process maps the area again, at another address.

#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "core/face/context.h"
#include "core/face/native_worker.h"
#include "core/shm/main_area.h"
#include "test/worlds.h"

namespace face_stage {

using bgworker::Descriptor;
using bgworker::Doorbells;
using bgworker::MainArea;

inline const bgworker_api& api = bgworker::face::api();

template <typename T>
T must(bgworker::Result<T> result) {
  if (!result.ok()) throw harness::Failure{result.error().call};
  return std::move(result.value());
}

/** What a process has once: Attachment, without Node. */
struct Attached {
  Attached(MainArea& area, const Doorbells& bells, uint32_t slot, int death)
      : self({area.fixed().data() + area.processTableOffset(), area.slotCount()}, bells, slot,
             death),
        directory(must(bgworker::Directory::attach(
            area.fixed().subspan(area.layout().directory.offset, area.layout().directory.bytes)))),
        segments(must(
            bgworker::DynamicSegments::attach(area.descriptor(), area.fixed(), area.layout()))),
        registry(must(bgworker::Registry::attach(area.fixed(), area.layout(), segments))),
        memory{self, directory, segments, registry} {}
  ~Attached() { self.leave(); }
  Attached(const Attached&) = delete;

  bgworker::ThisProcess self;
  bgworker::Directory directory;
  bgworker::DynamicSegments segments;
  bgworker::Registry registry;
  bgworker::face::AttachedMemory memory;
};

/** A worker between the call of its function and its return. */
struct Actor {
  Actor(Attached& attached, uint32_t number)
      : memory(attached), index(number), worker{nullptr, "actor", {}, -1}, own(worker) {
    own.holdings.emplace(attached.memory, &own);
  }
  Actor(const Actor&) = delete;

  // NOLINTNEXTLINE: it stands for its context in every call.
  operator bgworker_context*() { return &own; }
  void end() { own.holdings->endAll(); }

  Attached& memory;
  uint32_t index;
  bgworker::NativeWorker worker;
  bgworker_context own;
};

using Body = std::function<void(Actor&)>;

class Stage {
 public:
  explicit Stage(uint32_t slotCount = 8, size_t structBytes = 1 << 20)
      : area(must(MainArea::create(slotCount, structBytes, size_t{1} << 30))),
        bells(must(Doorbells::create(slotCount))) {}

  /** In this process; ends with the scope. */
  struct Own {
    Own(Stage& stage, uint32_t slot, int death = -1)
        : attached(stage.area, stage.bells, slot, death), actor(attached, slot) {}
    Attached attached;
    Actor actor;
  };

  void run(World world, uint32_t count, const Body& body) {
    if (world == World::threads) {
      runThreads(count, body);
      return;
    }
    bgworker::DescriptorPair gate = processes::pipePair();
    std::vector<pid_t> children;
    for (uint32_t index = 0; index < count; ++index) {
      children.push_back(processes::inChild([&] {
        gate.second.reset();
        (void)processes::readByte(gate.first.get());
        playAgainMapped(index, body);
        return 0;
      }));
    }
    gate.second.reset();
    int failed = 0;
    for (pid_t child : children) failed += processes::waitFor(child) != 0;
    CHECK_EQUAL(failed, 0);
  }

  MainArea area;
  Doorbells bells;

 private:
  void play(MainArea& where, uint32_t index, const Body& body) {
    Attached attached(where, bells, index, -1);
    Actor actor(attached, index);
    body(actor);
  }

  void playAgainMapped(uint32_t index, const Body& body) {
    MainArea again = must(MainArea::map(dup(area.descriptor())));
    area.close();
    play(again, index, body);
  }

  void runThreads(uint32_t count, const Body& body) {
    std::atomic<uint32_t> missing{count};
    std::vector<std::string> failures(count);
    std::vector<std::thread> threads;
    for (uint32_t index = 0; index < count; ++index) {
      threads.emplace_back([&, index] {
        missing.fetch_sub(1);
        while (missing.load() > 0) std::this_thread::yield();
        try {
          play(area, index, body);
        } catch (const harness::Failure& failure) {
          failures[index] = failure.what;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const std::string& failure : failures) {
      if (!failure.empty()) throw harness::Failure{failure};
    }
  }
};

/** The structure that all actors of a test share; zeroes at first. */
template <typename Structure>
Structure& shared(bgworker_context* context) {
  void* address = nullptr;
  if (api.shmem->init_struct(context, "shared", sizeof(Structure), nullptr, nullptr, &address) <
      0) {
    throw harness::Failure{"there is no room for the shared structure"};
  }
  return *static_cast<Structure*>(address);
}

/** A call, what it gives back, and what it should. */
struct Row {
  const char* what;
  int got;
  int wanted;
};

/** All of them, so that a test names the one that is wrong. */
inline void checkRows(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    if (row.got == row.wanted) continue;
    throw harness::Failure{std::string(row.what) + " gave " + std::to_string(row.got) +
                           ", wanted " + std::to_string(row.wanted)};
  }
}

#define CALLED(call, wanted) \
  face_stage::Row {          \
#call, call, wanted      \
  }

}  // namespace face_stage
