#include "core/face/holdings.h"

#include <algorithm>

#include "core/shm/around.h"

namespace bgworker::face {

bool isWithin(const void* place, const SegmentView& segment) {
  return isAround({static_cast<const std::byte*>(segment.address), segment.bytes}, place, 1);
}

Holdings::Holdings(const AttachedMemory& attached, bgworker_context* owner)
    : memory(attached), context(owner), locks(attached.self), sleeper(attached.self) {
  // The worker has the thread to itself: no event loop looks at the doorbell meanwhile, and each
  // wait would ring it in vain.
  memory.self.loopWatches(false);
}

void* Holdings::placeOf(const void* address, size_t bytes, size_t alignment) {
  if (address == nullptr || reinterpret_cast<uintptr_t>(address) % alignment != 0) return nullptr;
  auto* place = const_cast<void*>(address);
  for (const std::span<const std::byte> known : known_) {
    if (isAround(known, address, bytes)) return place;
  }
  std::span<const std::byte> found;
  if (SegmentView segment = memory.segments.findAround(address, bytes); segment.handle != 0) {
    watch(segment.handle);
    found = {static_cast<const std::byte*>(segment.address), segment.bytes};
  } else {
    const StructView structure = memory.directory.findAround(address, bytes);
    if (structure.address == nullptr) return nullptr;
    found = {static_cast<const std::byte*>(structure.address), structure.bytes};
  }
  known_[nextKnown_++ % known_.size()] = found;
  return place;
}

void Holdings::watch(uint32_t segment) {
  if (std::ranges::find(watched_, segment) != watched_.end()) return;
  // Registered before any callback of the worker's own, so it runs after all of them.
  if (!memory.segments.onDetach(segment, onSegmentDetach, this).ok()) return;
  watched_.push_back(segment);
}

void Holdings::onSegmentDetach(const SegmentView& segment, void* holdings) {
  auto* self = static_cast<Holdings*>(holdings);
  std::erase(self->watched_, segment.handle);
  self->known_ = {};
  self->endWithin(segment);
}

BarrierPart* Holdings::partIn(const SharedBarrier& barrier) const {
  for (const std::unique_ptr<BarrierPart>& part : barriers) {
    if (&part->barrier == &barrier) return part.get();
  }
  return nullptr;
}

void Holdings::endWithin(const SegmentView& segment) {
  locks.releaseIf([&](const SharedLwlock& lock) { return isWithin(&lock, segment); });
  if (isWithin(sleeper.target(), segment)) sleeper.cancel();
  disownLatches(&segment);
  std::erase_if(barriers, [&](const auto& part) { return isWithin(&part->barrier, segment); });
  ends.dropAll([&](const HeldEnd& end) { return isWithin(end.memory, segment); });
  hashes.dropAll([&](const Hash& hash) { return isWithin(hash.address(), segment); });
}

void Holdings::endAll() {
  // PostgreSQL's order: locks first, so that nobody waits for a process that is leaving.
  letGo();
  abandonClaims();
  memory.segments.detachAll();
  // What lies in the main area, and what the callbacks have taken meanwhile.
  ends.dropAll([](const HeldEnd&) { return true; });
  letGo();
  disownLatches(nullptr);
  barriers.clear();
}

void Holdings::letGo() {
  // A callback that held an entry has called exit(), and will not come back to it.
  if (HashEntry** entry = std::get_if<HashEntry*>(&heldEntry)) (*entry)->release();
  if (Hash::Scan** scan = std::get_if<Hash::Scan*>(&heldEntry)) (*scan)->finish();
  heldEntry = {};
  locks.releaseAll();
  sleeper.cancel();
}

void Holdings::abandonClaims() {
  // The latest first: one may have been made in the initialiser of another.
  while (!namedClaims.empty()) {
    NamedClaim* claim = namedClaims.back();
    namedClaims.pop_back();
    claim->abandon();
  }
  while (!structClaims.empty()) {
    StructClaim* claim = structClaims.back();
    structClaims.pop_back();
    claim->abandon();
  }
}

/** Null: all. */
void Holdings::disownLatches(const SegmentView* within) {
  std::erase_if(latches, [&](std::atomic<uint32_t>* word) {
    if (within != nullptr && !isWithin(word, *within)) return false;
    if (ownsLatch(memory.self, *word)) disownLatch(*word);
    return true;
  });
}

}  // namespace bgworker::face
