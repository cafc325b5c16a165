#include "core/shm/registry.h"

#include "core/base/assert.h"

namespace bgworker {

Status NamedClaim::publish() {
  PM_ASSERT(entry_ != nullptr, "only a creator publishes, and once");
  Status pinned = segments_.pinSegment(view_.handle);
  // Its initialiser may have done it.
  if (!pinned.ok() && refusalOf(pinned.error()) != Refusal::alreadyPinned) {
    abandon();
    return pinned;
  }
  entry_->handle.store(view_.handle, std::memory_order_relaxed);
  std::exchange(entry_, nullptr)->once.finish();
  return {};
}

void NamedClaim::abandon() {
  if (entry_ == nullptr) return;
  segments_.detach(view_.handle);
  std::exchange(entry_, nullptr)->once.abandon();
}

void Registry::format(std::span<std::byte> fixed, const AreaLayout& layout) {
  RegistryTable::format(fixed.subspan(layout.registry.offset, layout.registry.bytes),
                        layout.segmentCapacity);
}

Result<Registry> Registry::attach(std::span<std::byte> fixed, const AreaLayout& layout,
                                  DynamicSegments& segments) {
  Result<RegistryTable> table = RegistryTable::attach(
      fixed.subspan(layout.registry.offset, layout.registry.bytes), layout.segmentCapacity);
  if (!table.ok()) return table.error();
  return Registry(table.value(), segments);
}

Result<NamedClaim> Registry::claim(std::string_view name, RegistryKind kind, size_t bytes) {
  Result<SharedRegistryEntry*> found = table_.findOrAdd(name, kind, bytes);
  if (!found.ok()) return found.error();
  SharedRegistryEntry& entry = *found.value();
  Result<Turn> turn = entry.once.enter();
  if (!turn.ok()) return turn.error();
  const bool mine = turn.value() == Turn::mine;
  Result<SegmentView> view = mine ? makeSegment(entry, bytes) : openSegment(entry, kind, bytes);
  if (!view.ok()) return view.error();
  return NamedClaim(*segments_, view.value(), mine ? &entry : nullptr);
}

Result<Heap> Registry::heap(std::string_view name, size_t bytes) {
  // Before the claim: a size that no heap can have must not become the name's.
  if (bytes < kLeastHeapBytes || bytes > kMostHeapBytes) return refuse(Refusal::sizeTooLarge);
  Result<NamedClaim> claim = this->claim(name, RegistryKind::area, bytes);
  if (!claim.ok()) return claim.error();
  std::span<std::byte> memory(static_cast<std::byte*>(claim.value().view().address), bytes);
  if (claim.value().found()) {
    Result<Heap> heap = Heap::attach(memory);
    if (!heap.ok()) segments_->detach(claim.value().view().handle);
    return heap;
  }
  Heap heap = Heap::format(memory);
  Status published = claim.value().publish();
  if (!published.ok()) return published.error();
  return heap;
}

Result<Hash> Registry::hash(std::string_view name, size_t bytes, const HashShape& shape) {
  if (bytes < kLeastHashBytes || bytes > kMostHeapBytes) return refuse(Refusal::sizeTooLarge);
  Status sound = checkShape(shape);
  if (!sound.ok()) return sound.error();
  Result<NamedClaim> claim = this->claim(name, RegistryKind::hash, bytes);
  if (!claim.ok()) return claim.error();
  std::span<std::byte> memory(static_cast<std::byte*>(claim.value().view().address), bytes);
  if (claim.value().found()) {
    Result<Heap> heap = Heap::attach(memory);
    Result<Hash> hash = heap.ok() ? Hash::attach(heap.value(), heap.value().root(), shape)
                                  : Result<Hash>(heap.error());
    // Else the mapping would be in the way of a call with the right parameters.
    if (!hash.ok()) segments_->detach(claim.value().view().handle);
    return hash;
  }
  Heap heap = Heap::format(memory);
  Result<Hash> hash = Hash::create(heap, shape);
  if (!hash.ok()) return hash;
  heap.setRoot(hash.value().pointer());
  Status published = claim.value().publish();
  if (!published.ok()) return published.error();
  return hash;
}

Result<SegmentView> Registry::makeSegment(SharedRegistryEntry& entry, size_t bytes) {
  Result<SegmentView> view = segments_->create(bytes);
  if (!view.ok()) {
    entry.once.abandon();
    return view;
  }
  // It is attached a line above.
  (void)segments_->pinMapping(view.value().handle).ok();
  return view;
}

Result<SegmentView> Registry::openSegment(SharedRegistryEntry& entry, RegistryKind kind,
                                          size_t bytes) {
  const uint32_t handle = entry.handle.load(std::memory_order_relaxed);
  SegmentView view = segments_->find(handle);
  if (view.address != nullptr) {
    if (kind != RegistryKind::segment) return refuse(Refusal::alreadyAttached);
    return view.bytes == bytes ? Result<SegmentView>(view) : refuse(Refusal::corrupt);
  }
  Result<SegmentView> attached = segments_->attach(handle);
  if (!attached.ok()) return attached;
  // The entry says one size and the segment another: one of them was scribbled on.
  if (attached.value().bytes != bytes) {
    segments_->detach(handle);
    return refuse(Refusal::corrupt);
  }
  (void)segments_->pinMapping(handle).ok();
  return attached;
}

}  // namespace bgworker
