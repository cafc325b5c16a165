// registry.h: dynamic segments by name (GetNamedDSMSegment, GetNamedDSA, GetNamedDSHash).
//
// The first to ask for a name makes the segment and initialises it, all others get it initialised;
// two that ask at once wait for each other. It stays until the next crash cycle, and mapped in
// whoever asked until his process ends; asking again gives the same address.
//
//     Result<NamedClaim> claim = registry.claim("cache", RegistryKind::segment, 1 << 20);
//     if (!claim.value().found()) { initialise(claim.value().view()); claim.value().publish(); }
//
// A claim that ends unpublished was a failure: the segment is destroyed, the entry stays, and the
// next claimant is the creator. Name, kind and size must be those of the first claim, even then.
// One object for each process, used by one thread; the shared half is in registry_table.h.

#pragma once

#include <string_view>

#include "core/shm/dynamic_segments.h"
#include "core/shm/hash.h"
#include "core/shm/heap.h"
#include "core/shm/registry_table.h"

namespace bgworker {

class [[nodiscard]] NamedClaim {
 public:
  NamedClaim(DynamicSegments& segments, SegmentView view, SharedRegistryEntry* entry)
      : segments_(segments), view_(view), entry_(entry) {}
  NamedClaim(NamedClaim&& other) noexcept
      : segments_(other.segments_),
        view_(other.view_),
        entry_(std::exchange(other.entry_, nullptr)) {}
  NamedClaim& operator=(NamedClaim&&) = delete;
  ~NamedClaim() { abandon(); }

  /** True: somebody has initialised it. False: it is zero, and yours to initialise. */
  bool found() const { return entry_ == nullptr; }
  const SegmentView& view() const { return view_; }
  /** Fails, and abandons, if the segment cannot be pinned: shared memory is damaged. */
  Status publish();
  void abandon();

 private:
  DynamicSegments& segments_;
  SegmentView view_;
  SharedRegistryEntry* entry_;  // null once it is everybody's
};

class Registry {
 public:
  static void format(std::span<std::byte> fixed, const AreaLayout& layout);
  /** `segments` lives longer, at its address. */
  static Result<Registry> attach(std::span<std::byte> fixed, const AreaLayout& layout,
                                 DynamicSegments& segments);

  /** Waits while another process initialises it. Kinds but `segment`: alreadyAttached, twice. */
  Result<NamedClaim> claim(std::string_view name, RegistryKind kind, size_t bytes);
  /** Once per process. `bytes` is what it may grow to. */
  Result<Heap> heap(std::string_view name, size_t bytes);
  /** Once per process. The heap under it is its own; `bytes` is what it may grow to. */
  Result<Hash> hash(std::string_view name, size_t bytes, const HashShape& shape);

  /** Lock-free. */
  std::vector<RegistryRecord> list() const { return table_.list(); }

 private:
  Registry(RegistryTable table, DynamicSegments& segments) : table_(table), segments_(&segments) {}
  Result<SegmentView> makeSegment(SharedRegistryEntry& entry, size_t bytes);
  Result<SegmentView> openSegment(SharedRegistryEntry& entry, RegistryKind kind, size_t bytes);

  RegistryTable table_;
  DynamicSegments* segments_;
};

}  // namespace bgworker
