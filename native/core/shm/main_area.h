// main_area.h: the one memory file of an instance, and its own part of it: header, slots,
// processes.
//
//     fixed   [header | one slot per possible worker | process table | activity table] directory,
//             segment table and registry                                     (dynamic_layout.h)
//     window  extents of dynamic segments, mapped only by who attaches one
//
// The postmaster makes it, the launcher maps it before it forks, so a child finds it at the same
// address; an exec'ed worker maps it where there is room. After a crash the postmaster makes a new
// one, and the launcher maps that in place of the old, under the same descriptor number: attached
// children need the descriptor to map dynamic segments. Only the fixed part is ever mapped here.
//
//  Who writes what, and why nobody needs a lock
//  --------------------------------------------
//  header      written once, by create(), before anybody else has the descriptor. map() checks it
//              and keeps its own copy of the shape; no verb reads the shared one again.
//
//  processes   see core/sync/process_table.h, which is a layer above this one; here it is so many
//              zero bytes. The other sections say themselves who writes what.
//
//  activities  see activity_table.h.
//
//  generation, pid, inUse
//              written by the postmaster only, one thread of one process, with plain atomic
//              stores. Workers read them. A reader that meets a change in the middle sees it
//              because publish() keeps an order:
//                 inUse = 0 | generation = g | pid = p | inUse = 1      (each a release)
//              and read() takes generation, inUse, pid, generation (each an acquire):
//               - pid of the new generation implies that generation was stored before it, so the
//                 second look at generation differs from the first: the reader tries again;
//               - inUse = 1 after the new generation was seen can only be the last store, so pid
//                 is the new one.
//              The same generation may get another pid at any time (the worker was restarted);
//              then either pid is a true answer.
//
//  attachment  the dead-man switch. Written by the worker of this slot while it lives (armed on
//              attach, disarmed on detach), and by the postmaster only once that worker has been
//              reaped. The two never overlap, so there is no race to order; release and acquire
//              only say what an observer may conclude.
//
//  The postmaster believes nothing of this: any attached process can scribble on all of it. The
//  postmaster's decisions rest on its own copies and on wait statuses; read() is for others, and
//  what takeDeadMan() returns can at worst call a clean exit a crash, or hide one that its wait
//  status does not show.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/descriptor.h"
#include "core/base/result.h"
#include "core/shm/activity_table.h"
#include "core/shm/dynamic_layout.h"

namespace bgworker {

inline constexpr uint64_t kMainAreaMagic = 0x0061657241574742;  // "BGWArea" in memory
inline constexpr uint32_t kMainAreaVersion = 3;
inline constexpr uint32_t kMaxSlotCount = 262144;
inline constexpr size_t kCacheLineBytes = 64;
/** What the process table needs for each slot: sizeof(SharedProcess), asserted where that is. */
inline constexpr size_t kProcessBytes = 1088;

struct alignas(kCacheLineBytes) MainAreaHeader {
  uint64_t magic;       /* written once by create() */
  uint32_t version;     /* written once by create() */
  uint32_t slotCount;   /* written once by create(); checked by map(), then never read again */
  uint64_t totalBytes;  /* written once by create(); the window included */
  uint64_t structBytes; /* likewise: what the preload modules asked for */
  uint64_t windowBytes; /* likewise */
};
static_assert(sizeof(MainAreaHeader) == 64, "the layout is a contract between processes");

/** One cache line each, so that a worker's switch does not slow its neighbours' readers. */
struct alignas(kCacheLineBytes) SharedSlot {
  std::atomic<uint64_t> generation; /* written by the postmaster only */
  std::atomic<int32_t> pid;         /* written by the postmaster only; -1, 0 or a process */
  std::atomic<uint32_t> inUse;      /* written by the postmaster only; 0 or 1 */
  std::atomic<uint32_t> attachment; /* written by the worker; by the postmaster after its death */
};
static_assert(sizeof(SharedSlot) == 64, "the layout is a contract between processes");
static_assert(offsetof(SharedSlot, pid) == 8 && offsetof(SharedSlot, inUse) == 12 &&
                  offsetof(SharedSlot, attachment) == 16,
              "the layout is a contract between processes");
static_assert(std::atomic<uint64_t>::is_always_lock_free &&
                  std::atomic<uint32_t>::is_always_lock_free,
              "a lock inside an atomic would be private to each process");

struct SlotView {
  bool inUse;
  uint64_t generation;
  int32_t pid;
};

/** The numbers that decide the layout. */
struct AreaShape {
  uint32_t slotCount;
  uint64_t structBytes;
  uint64_t windowBytes;

  bool operator==(const AreaShape&) const = default;
};

/** Every verb asserts that the slot index is below slotCount(): callers check their callers'. */
class MainArea {
 public:
  /** `structBytes`: for the directory's structures, each counted by Directory::structSpace(). */
  static Result<MainArea> create(uint32_t slotCount, size_t structBytes = 0,
                                 size_t windowBytes = kDefaultWindowBytes);
  /** Owns the descriptor if it succeeds; EPROTO if this is no main area of this version. */
  static Result<MainArea> map(int descriptor);
  static Result<AreaLayout> layoutFor(const AreaShape& shape);

  MainArea(MainArea&& other) noexcept;
  MainArea& operator=(MainArea&&) = delete;
  ~MainArea() { close(); }

  /** Maps a new area of the same shape over this one, at the same address and under the same
   *  descriptor number, and drops the old. EPROTO for another shape. */
  Status replace(Descriptor descriptor);
  /** Unmaps and closes. Idempotent. */
  void close();

  bool isOpen() const { return base_ != nullptr; }
  int descriptor() const { return descriptor_.get(); }
  /** Of the fixed part, which is what is mapped. */
  size_t bytes() const { return layout_.fixedBytes(); }
  uint32_t slotCount() const { return shape_.slotCount; }
  const AreaShape& shape() const { return shape_; }
  const AreaLayout& layout() const { return layout_; }
  const void* address() const { return base_; }
  std::span<std::byte> fixed() const { return {static_cast<std::byte*>(base_), bytes()}; }
  size_t processTableOffset() const;
  size_t activityTableOffset() const;
  ActivityTable activities() const;

  // The postmaster only.
  void publish(uint32_t slot, uint64_t generation, int32_t pid);
  void release(uint32_t slot);
  bool takeDeadMan(uint32_t slot);
  // The worker of that slot only.
  void attach(uint32_t slot);
  void detach(uint32_t slot);
  // Anyone.
  SlotView read(uint32_t slot) const;

 private:
  MainArea(Descriptor descriptor, void* base, const AreaShape& shape, const AreaLayout& layout);
  SharedSlot& at(uint32_t slot) const;

  Descriptor descriptor_;
  void* base_;
  AreaShape shape_;
  AreaLayout layout_;
};

}  // namespace bgworker
