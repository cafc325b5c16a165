// attached.h: what an Attachment holds between its making and its end.
//
// Waits and claims under way have numbers, by which JavaScript names them.

#pragma once

#include <napi.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/shm/directory.h"
#include "core/shm/dynamic_segments.h"
#include "core/shm/hash.h"
#include "core/shm/main_area.h"
#include "core/shm/registry.h"
#include "core/sync/barrier.h"
#include "core/sync/condition_variable.h"
#include "core/sync/lwlock.h"
#include "core/sync/this_process.h"

namespace bgworker {

template <typename T>
class Numbered {
 public:
  uint32_t add(std::unique_ptr<T> item) {
    for (uint32_t number = 0; number < items_.size(); ++number) {
      if (items_[number] != nullptr) continue;
      items_[number] = std::move(item);
      return number;
    }
    items_.push_back(std::move(item));
    return static_cast<uint32_t>(items_.size() - 1);
  }
  /** Null if nothing has this number. */
  T* get(int64_t number) const {
    bool known = number >= 0 && number < static_cast<int64_t>(items_.size());
    return known ? items_[static_cast<size_t>(number)].get() : nullptr;
  }
  void drop(int64_t number) { items_[static_cast<size_t>(number)].reset(); }
  template <typename Condition>
  void dropIf(Condition&& condition) {
    for (std::unique_ptr<T>& item : items_) {
      if (item != nullptr && condition(*item)) item.reset();
    }
  }
  void clear() { items_.clear(); }

 private:
  std::vector<std::unique_ptr<T>> items_;
};

/** Cancelled when it goes, unless it has ended. */
struct LockWait {
  ThisProcess& self;
  lwlock::Wait wait{};
  bool isOver = false;

  ~LockWait() {
    if (!isOver) lwlock::cancel(self, wait);
  }
};

struct ArrivalWait {
  barrier::Arrival arrival;
  const SharedBarrier* barrier;
};

struct Attached {
  Attached(MainArea& mainArea, Doorbells bells, uint32_t slot, int deathDescriptor,
           Directory structs, DynamicSegments dynamic)
      : area(mainArea),
        doorbells(std::move(bells)),
        self({area.fixed().data() + area.processTableOffset(), area.slotCount()}, doorbells, slot,
             deathDescriptor),
        directory(std::move(structs)),
        segments(std::move(dynamic)),
        sleeper(self) {}

  /** Whatever waits for something that lies in this memory waits no longer. */
  void endWaitsWithin(const void* address, size_t bytes);
  /** Everything but the mappings, in the order in which one needs the other. */
  void endAll();

  MainArea& area;
  Doorbells doorbells;
  ThisProcess self;
  Directory directory;
  DynamicSegments segments;
  std::optional<Registry> registry;
  ConditionSleeper sleeper;
  const SharedConditionVariable* sleptOn = nullptr;

  std::map<uint32_t, Napi::Reference<Napi::ArrayBuffer>> buffers;  // by handle
  Numbered<StructClaim> structClaims;
  Numbered<NamedClaim> namedClaims;
  Numbered<Hash> hashes;
  HashEntry* updating = nullptr;  // locked, while a callback of JavaScript's runs
  Numbered<LockWait> lockWaits;
  Numbered<ConditionWait> conditionWaits;
  Numbered<ArrivalWait> arrivals;
};

}  // namespace bgworker
