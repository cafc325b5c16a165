#include "core/shm/registry_table.h"

#include <algorithm>
#include <new>

#include "core/base/assert.h"
#include "core/shm/shared_read.h"

namespace bgworker {

size_t RegistryTable::bytesFor(uint32_t capacity) {
  return sizeof(SharedRegistryHeader) + capacity * sizeof(SharedRegistryEntry);
}

void RegistryTable::format(std::span<std::byte> section, uint32_t capacity) {
  PM_ASSERT(section.size() >= bytesFor(capacity), "the section was sized by bytesFor()");
  auto* header = new (section.data()) SharedRegistryHeader{};
  header->magic = kRegistryMagic;
  header->version = kRegistryVersion;
  header->capacity = capacity;
}

Result<RegistryTable> RegistryTable::attach(std::span<std::byte> section, uint32_t capacity) {
  if (section.size() < bytesFor(capacity)) return refuse(Refusal::foreign);
  const auto& header = *reinterpret_cast<const SharedRegistryHeader*>(section.data());
  if (header.magic != kRegistryMagic || header.version != kRegistryVersion ||
      header.capacity != capacity) {
    return refuse(Refusal::foreign);
  }
  return RegistryTable(section, capacity);
}

Result<SharedRegistryEntry*> RegistryTable::findOrAdd(std::string_view name, RegistryKind kind,
                                                      size_t bytes) {
  Status named = checkSharedName(name);
  if (!named.ok()) return named.error();
  if (bytes == 0) return refuse(Refusal::sizeZero);
  SharedRegistryEntry* entry = search(name);
  if (entry == nullptr) {
    Result<SharedRegistryEntry*> added = add(name, kind, bytes);
    if (!added.ok()) return added;
    entry = added.value();
  }
  if (readOnce(entry->kind) != static_cast<uint32_t>(kind)) return refuse(Refusal::kindWrong);
  if (readOnce(entry->bytes) != bytes) return refuse(Refusal::segmentSizeWrong);
  return entry;
}

std::vector<RegistryRecord> RegistryTable::list() const {
  std::vector<RegistryRecord> records;
  for (const SharedRegistryEntry& entry : entries()) {
    const uint32_t kind = readOnce(entry.kind);
    std::string name = copySharedName(entry.name);
    if (kind < 1 || kind > static_cast<uint32_t>(RegistryKind::hash) || name.empty()) continue;
    std::optional<uint64_t> bytes;
    if (entry.once.ready()) bytes = readOnce(entry.bytes);
    records.push_back({std::move(name), static_cast<RegistryKind>(kind), bytes});
  }
  return records;
}

Result<SharedRegistryEntry*> RegistryTable::add(std::string_view name, RegistryKind kind,
                                                size_t bytes) {
  Locked locked(header().mutex);
  if (!locked.ok()) return locked.error();
  // Again: somebody may have added it between the look and the lock.
  if (SharedRegistryEntry* entry = search(name)) return entry;
  const auto index = static_cast<uint32_t>(entries().size());
  if (index == capacity_) return refuse(Refusal::tooManyNames);
  SharedRegistryEntry& entry = *(entries().data() + index);
  storeSharedName(entry.name, name);
  entry.bytes = bytes;
  entry.kind = static_cast<uint32_t>(kind);
  header().entryCount.store(index + 1, std::memory_order_release);
  return &entry;
}

SharedRegistryEntry* RegistryTable::search(std::string_view name) const {
  for (SharedRegistryEntry& entry : entries()) {
    if (sharedName(entry.name) == name) return &entry;
  }
  return nullptr;
}

SharedRegistryHeader& RegistryTable::header() const {
  return *reinterpret_cast<SharedRegistryHeader*>(section_.data());
}

std::span<SharedRegistryEntry> RegistryTable::entries() const {
  // Pairs with the release in add().
  const uint32_t count = std::min(header().entryCount.load(std::memory_order_acquire), capacity_);
  auto* first =
      reinterpret_cast<SharedRegistryEntry*>(section_.data() + sizeof(SharedRegistryHeader));
  return {first, count};
}

}  // namespace bgworker
