// hash_chains.cc: the table's inner half: what happens while partitions are held. The outer half,
// which takes and releases them, is hash.cc.

#include <algorithm>
#include <cstring>

#include "core/base/assert.h"
#include "core/shm/hash.h"
#include "core/shm/refusal.h"
#include "core/shm/shared_read.h"

namespace bgworker {
namespace {

uint64_t mix(uint64_t value) {
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93;
  value ^= value >> 32;
  value *= 0xd6e8feb86659fd93;
  return value ^ value >> 32;
}

uint32_t roundedKey(uint32_t keyBytes) { return (keyBytes + 7) / 8 * 8; }

}  // namespace

Status Hash::checkKey(std::span<const std::byte> key) const {
  if (key.empty() || key.size() > shape_.maxKeyBytes) return refuse(Refusal::keyLength);
  return {};
}

uint32_t Hash::hashOf(std::span<const std::byte> key) const {
  // The seed is random for each table: nobody outside can choose keys that share a chain.
  uint64_t state = seed_ ^ mix(key.size());
  while (key.size() >= sizeof(uint64_t)) {
    uint64_t word;
    std::memcpy(&word, key.data(), sizeof word);
    state = mix(state ^ word);
    key = key.subspan(sizeof word);
  }
  uint64_t rest = 0;
  if (!key.empty()) std::memcpy(&rest, key.data(), key.size());
  return static_cast<uint32_t>(mix(mix(state ^ rest) + seed_) >> 32);
}

Status Hash::hold(uint32_t partition) {
  PM_ASSERT(!held_.has_value(), "a process holds at most one partition of a table");
  Status locked = control_->partitions[partition].mutex.lock();
  if (locked.ok()) held_ = partition;
  return locked;
}

void Hash::letGo() {
  PM_ASSERT(held_.has_value(), "a partition is released by who holds it");
  control_->partitions[*held_].mutex.unlock();
  held_.reset();
}

Result<Hash::Buckets> Hash::buckets() const {
  const uint32_t sizeLog2 = control_->sizeLog2.load(kRelaxed);
  if (sizeLog2 < kFirstSizeLog2 || sizeLog2 > kMostSizeLog2) return refuse(Refusal::corrupt);
  void* first = heap_.address(control_->buckets.load(kRelaxed), sizeof(uint64_t) << sizeLog2);
  if (first == nullptr) return refuse(Refusal::corrupt);
  return Buckets{static_cast<uint64_t*>(first), sizeLog2};
}

Result<HashItemView> Hash::itemAt(HeapPointer pointer) const {
  auto* item = static_cast<SharedHashItem*>(heap_.address(pointer, sizeof(SharedHashItem)));
  if (item == nullptr) return refuse(Refusal::corrupt);
  const uint32_t keyBytes = readOnce(item->keyBytes), valueBytes = readOnce(item->valueBytes);
  const uint32_t capacity = readOnce(item->capacity);
  if (keyBytes < 1 || keyBytes > shape_.maxKeyBytes || capacity > shape_.maxValueBytes ||
      valueBytes > capacity) {
    return refuse(Refusal::corrupt);
  }
  const size_t whole = sizeof(SharedHashItem) + roundedKey(keyBytes) + capacity;
  if (heap_.address(pointer, whole) == nullptr) return refuse(Refusal::corrupt);
  auto* key = reinterpret_cast<std::byte*>(item + 1);
  return HashItemView{pointer,
                      item,
                      readOnce(item->hash),
                      capacity,
                      {key, keyBytes},
                      {key + roundedKey(keyBytes), valueBytes}};
}

Result<Hash::Place> Hash::locate(std::span<const std::byte> key, uint32_t hash) const {
  Result<Buckets> all = buckets();
  if (!all.ok()) return all.error();
  HeapPointer* link = &all.value().first[bucketOf(hash, all.value().sizeLog2)];
  for (uint32_t step = 0; step < kMostChainSteps; ++step) {
    const HeapPointer pointer = readOnce(*link);
    if (pointer == 0) return Place{link, {}};
    Result<HashItemView> item = itemAt(pointer);
    if (!item.ok()) return item.error();
    if (item.value().hash == hash && std::ranges::equal(item.value().key, key)) {
      return Place{link, item.value()};
    }
    link = &item.value().item->next;
  }
  return refuse(Refusal::corrupt);
}

Result<HashItemView> Hash::makeItem(std::span<const std::byte> key, uint32_t hash,
                                    uint32_t valueBytes) {
  const auto keyBytes = static_cast<uint32_t>(key.size());
  const size_t whole = sizeof(SharedHashItem) + roundedKey(keyBytes) + valueBytes;
  Result<HeapPointer> pointer = heap_.allocate(whole, {.zero = true});
  if (!pointer.ok()) return pointer.error();
  auto* item = static_cast<SharedHashItem*>(heap_.address(pointer.value(), whole));
  item->hash = hash;
  item->keyBytes = keyBytes;
  item->valueBytes = valueBytes;
  item->capacity = valueBytes;
  std::memcpy(item + 1, key.data(), key.size());
  return itemAt(pointer.value());
}

Result<HashEntry> Hash::insertHeld(std::span<const std::byte> key, uint32_t hash,
                                   uint32_t valueBytes) {
  Result<Buckets> all = buckets();
  if (!all.ok()) return all.error();
  Result<HashItemView> item = makeItem(key, hash, valueBytes);
  if (!item.ok()) return item.error();
  HeapPointer& bucket = all.value().first[bucketOf(hash, all.value().sizeLog2)];
  item.value().item->next = bucket;
  bucket = item.value().pointer;
  control_->partitions[partitionOf(hash)].count.fetch_add(1, kRelaxed);
  return HashEntry(this, item.value(), true);
}

Status Hash::removeHeld(std::span<const std::byte> key, uint32_t hash) {
  // The key may lie in the item itself, which stays until it has been found.
  if (partitionOf(hash) != *held_) return refuse(Refusal::corrupt);
  Result<Place> place = locate(key, hash);
  if (!place.ok()) return place.error();
  const HashItemView& item = place.value().item;
  if (item.pointer == 0) return refuse(Refusal::corrupt);
  *place.value().link = readOnce(item.item->next);
  control_->partitions[*held_].count.fetch_sub(1, kRelaxed);
  return heap_.free(item.pointer);
}

Result<HashItemView> Hash::replaceHeld(const HashItemView& item, std::span<const std::byte> value) {
  if (value.size() > shape_.maxValueBytes) return refuse(Refusal::valueLength);
  const auto valueBytes = static_cast<uint32_t>(value.size());
  HashItemView target = item;
  if (valueBytes > item.capacity) {
    Result<Place> place = locate(item.key, item.hash);
    if (!place.ok()) return place.error();
    if (place.value().item.pointer != item.pointer) return refuse(Refusal::corrupt);
    Result<HashItemView> larger = makeItem(item.key, item.hash, valueBytes);
    if (!larger.ok()) return larger;
    target = larger.value();
    target.item->next = readOnce(item.item->next);
    *place.value().link = target.pointer;
    // The view is what was checked; it is as large as the value, unless somebody scribbled.
    const size_t room = std::min(value.size(), target.value.size());
    std::ranges::copy(value.first(room), target.value.begin());
    // The old item is out of the table: a failure to free it loses its memory, and nothing else.
    (void)heap_.free(item.pointer).ok();
    return target;
  }
  // The value may be a part of the old one.
  std::byte* first = reinterpret_cast<std::byte*>(target.item + 1) +
                     roundedKey(static_cast<uint32_t>(target.key.size()));
  if (!value.empty()) std::memmove(first, value.data(), value.size());
  target.item->valueBytes = valueBytes;
  target.value = {first, valueBytes};
  return target;
}

// ---- growing: all partitions are held ----

bool Hash::isCrowded(uint32_t partition) const {
  const uint32_t sizeLog2 = control_->sizeLog2.load(kRelaxed);
  if (sizeLog2 < kFirstSizeLog2 || sizeLog2 >= kMostSizeLog2) return false;
  const uint32_t bucketCount = 1U << (sizeLog2 - kPartitionsLog2);
  // Three quarters, computed like dshash.c does.
  return control_->partitions[partition].count.load(kRelaxed) > bucketCount / 2 + bucketCount / 4;
}

Status Hash::grow(uint32_t fromSizeLog2) {
  uint32_t locked = 0;
  Status status;
  for (; locked < kPartitionCount; ++locked) {
    status = control_->partitions[locked].mutex.lock();
    if (!status.ok()) break;
  }
  if (status.ok()) status = growHeld(fromSizeLog2);
  while (locked > 0) control_->partitions[--locked].mutex.unlock();
  return status;
}

Status Hash::growHeld(uint32_t fromSizeLog2) {
  Result<Buckets> from = buckets();
  if (!from.ok()) return from.error();
  // Somebody else has done it meanwhile.
  if (from.value().sizeLog2 != fromSizeLog2) return {};
  const uint32_t sizeLog2 = fromSizeLog2 + 1;
  const size_t bytes = sizeof(uint64_t) << sizeLog2;
  Result<HeapPointer> pointer = heap_.allocate(bytes, {.zero = true});
  if (!pointer.ok()) return pointer.error();
  auto* into = static_cast<uint64_t*>(heap_.address(pointer.value(), bytes));
  Result<HeapPointer> moved = moveItems(from.value(), into, sizeLog2);
  if (!moved.ok()) return moved.error();
  control_->buckets.store(pointer.value(), kRelaxed);
  control_->sizeLog2.store(sizeLog2, kRelaxed);
  return heap_.free(moved.value());
}

/** The old buckets' pointer. If a chain is damaged the rest of it is lost: the table is, anyway. */
Result<HeapPointer> Hash::moveItems(const Buckets& from, uint64_t* into, uint32_t intoSizeLog2) {
  const uint64_t count = uint64_t{1} << from.sizeLog2;
  for (uint64_t bucket = 0; bucket < count; ++bucket) {
    HeapPointer pointer = readOnce(from.first[bucket]);
    for (uint32_t step = 0; pointer != 0; ++step) {
      if (step > kMostChainSteps) return refuse(Refusal::corrupt);
      Result<HashItemView> item = itemAt(pointer);
      if (!item.ok()) return item.error();
      const HeapPointer next = readOnce(item.value().item->next);
      HeapPointer& target = into[bucketOf(item.value().hash, intoSizeLog2)];
      item.value().item->next = target;
      target = pointer;
      pointer = next;
    }
  }
  return control_->buckets.load(kRelaxed);
}

Status Hash::freeItems(const Buckets& from) {
  const uint64_t count = uint64_t{1} << from.sizeLog2;
  for (uint64_t bucket = 0; bucket < count; ++bucket) {
    HeapPointer pointer = readOnce(from.first[bucket]);
    for (uint32_t step = 0; pointer != 0; ++step) {
      if (step > kMostChainSteps) return refuse(Refusal::corrupt);
      Result<HashItemView> item = itemAt(pointer);
      if (!item.ok()) return item.error();
      const HeapPointer next = readOnce(item.value().item->next);
      Status freed = heap_.free(pointer);
      if (!freed.ok()) return freed;
      pointer = next;
    }
  }
  return {};
}

}  // namespace bgworker