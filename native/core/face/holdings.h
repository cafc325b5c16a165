// holdings.h: what a native worker holds of shared memory, so that nothing of it is left when a
// segment is detached or the worker ends.
//
// Local memory, of one process and its one thread. C takes and gives back one by one; what it
// forgets is given back here, by endWithin() for a segment that goes, by endAll() at the end.

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "core/face/handles.h"
#include "core/ipc/queue.h"
#include "core/shm/directory.h"
#include "core/shm/dynamic_segments.h"
#include "core/shm/hash.h"
#include "core/shm/registry.h"
#include "core/sync/barrier.h"
#include "core/sync/condition_variable.h"
#include "core/sync/held_locks.h"
#include "core/sync/latch.h"
#include "include/bgworker.h"

namespace bgworker::face {

/** What an attached process has once. Whoever made it keeps it for longer than the worker runs. */
struct AttachedMemory {
  ThisProcess& self;
  Directory& directory;
  DynamicSegments& segments;
  Registry& registry;
};

class Holdings;

/** A callback of the worker's own, until it has run. */
struct DetachCall {
  Holdings& holdings;
  uint32_t segment;
  bgworker_detach_callback callback;
  void* arg;
};

/** The part that this process takes in a barrier. */
struct BarrierPart {
  BarrierPart(SharedBarrier& shared, ThisProcess& self) : barrier(shared), arrival(self) {}

  SharedBarrier& barrier;
  bool attached = false; /* to a dynamic one */
  /** It has arrived, and has not seen the end of the phase. */
  bool arrived = false;
  barrier::Arrival arrival;
};

/** An end of a queue that this process has. */
struct HeldEnd {
  template <typename End>
  HeldEnd(Holdings& owner, std::in_place_type_t<End> which, ThisProcess& self, const Queue& queue)
      : holdings(owner),
        memory(&queue.shared()),
        end(which, self, queue, PeerWatch{}, QueueEnd::Taken::before) {}
  HeldEnd(const HeldEnd&) = delete;
  HeldEnd& operator=(const HeldEnd&) = delete;
  ~HeldEnd();

  static void onSegmentDetach(const SegmentView& segment, void* end);

  Holdings& holdings;
  const void* memory;
  uint64_t handle = 0;
  uint32_t segment = 0; /* in which it lies; 0: in the main area */
  /** false: set, and not attached yet. */
  bool attached = false;
  /** Of the message of which a part was sent. */
  std::vector<bgworker_mq_part> underWay{};
  std::variant<QueueSender, QueueReceiver> end;
};

/** An entry of a hash table that a callback is looking at. */
using HeldEntry = std::variant<std::monostate, HashEntry*, Hash::Scan*>;

class Holdings {
 public:
  Holdings(const AttachedMemory& memory, bgworker_context* context);
  Holdings(const Holdings&) = delete;
  Holdings& operator=(const Holdings&) = delete;
  ~Holdings() { endAll(); }

  /** Null unless the whole thing lies aligned in a structure of the main area or in a segment that
   *  is mapped here. */
  template <typename T>
  T* placeOf(const void* address) {
    return static_cast<T*>(placeOf(address, sizeof(T), alignof(T)));
  }
  void* placeOf(const void* address, size_t bytes, size_t alignment);
  /** From now on endWithin() is called before this segment is unmapped. */
  void watch(uint32_t segment);

  /** Null if it takes none. */
  BarrierPart* partIn(const SharedBarrier& barrier) const;
  bool entryIsHeld() const { return !std::holds_alternative<std::monostate>(heldEntry); }

  /** Nothing is held in this memory any more. */
  void endWithin(const SegmentView& segment);
  /** Nothing is held at all, and no segment is mapped. Callbacks run. Idempotent. */
  void endAll();

  AttachedMemory memory;
  bgworker_context* const context;
  HeldLocks locks;
  ConditionSleeper sleeper;
  SpinLimits spinLimits{};
  std::vector<std::atomic<uint32_t>*> latches; /* shared ones that it owns */
  std::vector<std::unique_ptr<BarrierPart>> barriers;
  std::vector<std::unique_ptr<DetachCall>> detachCalls;
  Handles<HeldEnd> ends;
  Handles<Hash> hashes;
  HeldEntry heldEntry;
  std::vector<StructClaim*> structClaims; /* whose initialiser is running */
  std::vector<NamedClaim*> namedClaims;   /* likewise */

 private:
  void letGo();
  void abandonClaims();
  void disownLatches(const SegmentView* within);
  static void onSegmentDetach(const SegmentView& segment, void* holdings);

  std::vector<uint32_t> watched_;
  /** Where places were found last; structures never go, and a watched segment not unheard. */
  std::array<std::span<const std::byte>, 4> known_;
  size_t nextKnown_ = 0;
};

/** Does it lie in there? */
bool isWithin(const void* place, const SegmentView& segment);

}  // namespace bgworker::face
