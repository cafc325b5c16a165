// dynamic_segments.h: one process's dynamic shared memory segments (dsm.c).
//
// One object for each process (each thread that plays one), used by one thread. A segment is
// mapped by its attacher alone, wherever there is room: offsets travel, pointers don't. After
// detach() its addresses fault.
//
// Detaching: the callbacks run, last registered first, each taken off before it runs, so that one
// that fails is not run again; then the mapping goes; then the reference. It never fails: if the
// shared table is damaged, the reference stays, and the segment lives until the crash cycle.
//
// Lifetime of a mapping: to its detach(), or to releaseUnpinned() (the end of its owner: the
// `await using`, the error cleanup), or, pinned, to detachAll() at the end of the process.
//
// In a fork child that inherits the object: reset(), then detachAll(). Its mappings were counted
// once, for its parent.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/shm/dynamic_layout.h"
#include "core/shm/dynamic_table.h"

namespace bgworker {

struct SegmentView {
  uint32_t handle;
  void* address;
  size_t bytes;
};

/** Runs while the segment is still mapped. It may call the object again, also for this segment. */
using DetachCallback = void (*)(const SegmentView& segment, void* argument);

class DynamicSegments {
 public:
  /** `fixed`: the mapping of the file's first layout.fixedBytes() bytes, zero in its sections. */
  static Status format(std::span<std::byte> fixed, const AreaLayout& layout);
  /** `descriptor` stays the caller's, and open for longer than this object. */
  static Result<DynamicSegments> attach(int descriptor, std::span<std::byte> fixed,
                                        const AreaLayout& layout);

  DynamicSegments(DynamicSegments&& other) noexcept;
  DynamicSegments& operator=(DynamicSegments&&) = delete;
  ~DynamicSegments() { detachAll(); }

  Result<SegmentView> create(size_t bytes);
  /** segmentGone if nobody holds it; alreadyAttached if this process does: see find(). */
  Result<SegmentView> attach(uint32_t handle);
  /** This process's mapping, or one whose address is null. */
  SegmentView find(uint32_t handle) const;
  /** This process's mapping in which all these bytes lie, or one whose address is null. */
  SegmentView findAround(const void* address, size_t bytes) const;

  /** Nothing happens if it is not attached. */
  void detach(uint32_t handle);
  /** The most recently attached first. */
  void detachAll();
  void releaseUnpinned();

  Status pinMapping(uint32_t handle);
  Status unpinMapping(uint32_t handle);
  /** The segment outlives its attachers. It must be attached here. */
  Status pinSegment(uint32_t handle);
  /** It need not. Destroys the segment if nobody is attached. */
  Status unpinSegment(uint32_t handle);

  Status onDetach(uint32_t handle, DetachCallback callback, void* argument);
  /** Takes off the latest registration of this pair; false if there is none. */
  bool cancelOnDetach(uint32_t handle, DetachCallback callback, void* argument);
  /** Forgets all callbacks, and that the mappings were counted: detaching now only unmaps. */
  void reset();

  std::vector<SegmentRecord> list() const { return table_.list(); }
  /** Lock-free, for the supervisor, who has formatted it and is not attached. */
  static std::vector<SegmentRecord> listOf(std::span<std::byte> fixed, const AreaLayout& layout);
  size_t attachedCount() const { return mappings_.size(); }

 private:
  struct Callback {
    DetachCallback function;
    void* argument;
  };
  struct Mapping {
    SegmentView view;
    size_t extentBytes;
    bool pinned = false;
    bool counted = true;
    std::vector<Callback> callbacks{};
  };

  DynamicSegments(int descriptor, SegmentTable table, Section window)
      : descriptor_(descriptor), table_(table), window_(window) {}
  Result<SegmentView> map(const SegmentPlace& place);
  Mapping* search(uint32_t handle);
  void drop(uint32_t handle);
  void destroy(const SegmentPlace& place);

  int descriptor_;
  SegmentTable table_;
  Section window_;
  std::vector<Mapping> mappings_;  // in the order of attaching
};

}  // namespace bgworker
