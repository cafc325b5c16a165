#include "core/shm/hash.h"

#include <sys/random.h>

#include <algorithm>

#include "core/base/assert.h"
#include "core/shm/refusal.h"
#include "core/shm/shared_read.h"

namespace bgworker {

Status checkShape(const HashShape& shape) {
  if (shape.maxKeyBytes < 1 || shape.maxKeyBytes > kMostKeyBytes) return refuse(Refusal::keyLength);
  if (shape.maxValueBytes > kMostValueBytes) return refuse(Refusal::valueLength);
  return {};
}

Result<Hash> Hash::create(Heap heap, const HashShape& shape) {
  Status sound = checkShape(shape);
  if (!sound.ok()) return sound.error();
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) return lastError("getrandom");
  Result<HeapPointer> control = heap.allocate(sizeof(SharedHashControl), {.zero = true});
  if (!control.ok()) return control.error();
  const size_t bucketBytes = sizeof(uint64_t) << kFirstSizeLog2;
  Result<HeapPointer> buckets = heap.allocate(bucketBytes, {.zero = true});
  if (!buckets.ok()) {
    (void)heap.free(control.value()).ok();
    return buckets.error();
  }
  auto* shared =
      static_cast<SharedHashControl*>(heap.address(control.value(), sizeof(SharedHashControl)));
  shared->maxKeyBytes = shape.maxKeyBytes;
  shared->maxValueBytes = shape.maxValueBytes;
  shared->seed = seed;
  shared->sizeLog2.store(kFirstSizeLog2, kRelaxed);
  shared->buckets.store(buckets.value(), kRelaxed);
  shared->version = kHashVersion;
  shared->magic = kHashMagic;
  return Hash(heap, control.value(), shape, shared);
}

Result<Hash> Hash::attach(Heap heap, HeapPointer pointer, const HashShape& shape) {
  Status sound = checkShape(shape);
  if (!sound.ok()) return sound.error();
  // The heap promises 8 bytes for any offset, and 16 only for its own.
  if (pointer % alignof(SharedHashControl) != 0) return refuse(Refusal::foreign);
  auto* shared = static_cast<SharedHashControl*>(heap.address(pointer, sizeof(SharedHashControl)));
  if (shared == nullptr || shared->magic != kHashMagic || shared->version != kHashVersion) {
    return refuse(Refusal::foreign);
  }
  if (shared->maxKeyBytes != shape.maxKeyBytes || shared->maxValueBytes != shape.maxValueBytes) {
    return refuse(Refusal::parametersWrong);
  }
  return Hash(heap, pointer, shape, shared);
}

Hash::Hash(Hash&& other) noexcept
    : heap_(other.heap_),
      pointer_(other.pointer_),
      shape_(other.shape_),
      control_(other.control_),
      seed_(other.seed_) {
  PM_ASSERT(!other.held_.has_value(), "a table does not move while one of its entries is held");
}

Result<HashEntry> Hash::find(std::span<const std::byte> key) {
  Status sound = checkKey(key);
  if (!sound.ok()) return sound.error();
  const uint32_t hash = hashOf(key);
  Status held = hold(partitionOf(hash));
  if (!held.ok()) return held.error();
  Result<Place> place = locate(key, hash);
  if (place.ok() && place.value().item.pointer != 0) {
    return HashEntry(this, place.value().item, false);
  }
  letGo();
  if (!place.ok()) return place.error();
  return HashEntry();
}

Result<HashEntry> Hash::findOrInsert(std::span<const std::byte> key, uint32_t valueBytes) {
  Status sound = checkKey(key);
  if (!sound.ok()) return sound.error();
  if (valueBytes > shape_.maxValueBytes) return refuse(Refusal::valueLength);
  const uint32_t hash = hashOf(key);
  for (bool mayGrow = true;; mayGrow = false) {
    Status held = hold(partitionOf(hash));
    if (!held.ok()) return held.error();
    Result<Place> place = locate(key, hash);
    if (place.ok() && place.value().item.pointer != 0) {
      return HashEntry(this, place.value().item, false);
    }
    if (place.ok() && mayGrow && isCrowded(partitionOf(hash))) {
      const uint32_t sizeLog2 = control_->sizeLog2.load(kRelaxed);
      letGo();
      // No room to grow is no reason to refuse: the chains only get longer.
      Status grown = grow(sizeLog2);
      if (!grown.ok() && refusalOf(grown.error()) != Refusal::heapFull) return grown.error();
      continue;
    }
    Result<HashEntry> entry =
        place.ok() ? insertHeld(key, hash, valueBytes) : Result<HashEntry>(place.error());
    if (!entry.ok()) letGo();
    return entry;
  }
}

Result<bool> Hash::erase(std::span<const std::byte> key) {
  Result<HashEntry> entry = find(key);
  if (!entry.ok()) return entry.error();
  if (!entry.value().exists()) return false;
  Status erased = entry.value().erase();
  if (!erased.ok()) return erased.error();
  return true;
}

Status HashEntry::assign(std::span<const std::byte> value) {
  PM_ASSERT(exists(), "only a held entry is assigned to");
  Result<HashItemView> replaced = table_->replaceHeld(item_, value);
  if (!replaced.ok()) return replaced.error();
  item_ = replaced.value();
  return {};
}

Status HashEntry::erase() {
  PM_ASSERT(exists(), "only a held entry is erased");
  Status removed = table_->removeHeld(item_.key, item_.hash);
  release();
  return removed;
}

void HashEntry::release() {
  if (table_ == nullptr) return;
  std::exchange(table_, nullptr)->letGo();
}

uint64_t Hash::count() const {
  uint64_t total = 0;
  for (const SharedHashPartition& partition : control_->partitions) {
    total += partition.count.load(kRelaxed);
  }
  return total;
}

uint64_t Hash::bucketCount() const {
  return uint64_t{1} << std::min(control_->sizeLog2.load(kRelaxed), kMostSizeLog2);
}

Status Hash::destroy() {
  PM_ASSERT(!held_.has_value(), "a table is not destroyed while one of its entries is held");
  Result<Buckets> all = buckets();
  if (!all.ok()) return all.error();
  Status freed = freeItems(all.value());
  if (!freed.ok()) return freed;
  const HeapPointer bucketsPointer = control_->buckets.load(kRelaxed);
  control_->magic = 0;  // whoever comes late finds no table
  freed = heap_.free(bucketsPointer);
  return freed.ok() ? heap_.free(pointer_) : freed;
}

// ---- scanning -----------------------------------------------------------------------------------

Result<std::optional<HashItemView>> Hash::Scan::next() {
  if (ended_) return std::optional<HashItemView>();
  if (!started_) {
    Status held = table_.hold(0);
    if (!held.ok()) return held.error();
    started_ = true;
    Result<Buckets> all = table_.buckets();
    if (!all.ok()) return all.error();
    following_ = readOnce(all.value().first[0]);
  }
  // The table cannot grow here: for that somebody would need the lock that the scan holds.
  Result<Buckets> all = table_.buckets();
  if (!all.ok()) return all.error();
  while (following_ == 0) {
    if (++bucket_ >> all.value().sizeLog2 != 0) {
      finish();
      return std::optional<HashItemView>();
    }
    const uint32_t partition = bucket_ >> (all.value().sizeLog2 - kPartitionsLog2);
    if (partition != *table_.held_) {
      Result<bool> moved = moveToPartition(partition);
      if (!moved.ok()) return moved.error();
    }
    following_ = readOnce(all.value().first[bucket_]);
    steps_ = 0;
  }
  if (++steps_ > kMostChainSteps) return refuse(Refusal::corrupt);
  Result<HashItemView> item = table_.itemAt(following_);
  if (!item.ok()) return item.error();
  current_ = following_;
  following_ = readOnce(item.value().item->next);
  return std::optional(item.value());
}

Status Hash::Scan::eraseCurrent() {
  PM_ASSERT(started_ && !ended_ && current_ != 0, "only what next() returned can be erased, once");
  Result<HashItemView> item = table_.itemAt(std::exchange(current_, 0));
  if (!item.ok()) return item.error();
  return table_.removeHeld(item.value().key, item.value().hash);
}

void Hash::Scan::finish() {
  if (started_ && !ended_) table_.letGo();
  ended_ = true;
}

Result<bool> Hash::Scan::moveToPartition(uint32_t partition) {
  // The next lock before the last is released: else the table could grow in between.
  Status locked = table_.control_->partitions[partition].mutex.lock();
  if (!locked.ok()) return locked.error();
  table_.letGo();
  table_.held_ = partition;
  return true;
}

}  // namespace bgworker
