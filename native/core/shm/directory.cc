#include "core/shm/directory.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "core/base/assert.h"
#include "core/shm/around.h"
#include "core/shm/shared_read.h"

namespace bgworker {
namespace {

constexpr size_t kStructsOffset =
    sizeof(SharedDirectoryHeader) + kDirectoryCapacity * sizeof(SharedDirectoryEntry);
static_assert(kStructsOffset % kStructAlignment == 0);

}  // namespace

void StructClaim::publish() {
  PM_ASSERT(once_ != nullptr, "only a creator publishes, and once");
  std::exchange(once_, nullptr)->finish();
}

void StructClaim::abandon() {
  if (once_ == nullptr) return;
  std::memset(view_.address, 0, view_.bytes);
  std::exchange(once_, nullptr)->abandon();
}

size_t Directory::structSpace(size_t bytes) {
  return (bytes + kStructAlignment - 1) / kStructAlignment * kStructAlignment;
}

size_t Directory::bytesFor(size_t structBytes) { return kStructsOffset + structSpace(structBytes); }

void Directory::format(std::span<std::byte> section) {
  PM_ASSERT(section.size() >= kStructsOffset, "the section was sized by bytesFor()");
  auto* header = new (section.data()) SharedDirectoryHeader{};
  header->magic = kDirectoryMagic;
  header->version = kDirectoryVersion;
  header->totalBytes = section.size();
}

Result<Directory> Directory::attach(std::span<std::byte> section) {
  if (section.size() < kStructsOffset) return refuse(Refusal::foreign);
  const auto& header = *reinterpret_cast<const SharedDirectoryHeader*>(section.data());
  if (header.magic != kDirectoryMagic || header.version != kDirectoryVersion ||
      header.totalBytes != section.size()) {
    return refuse(Refusal::foreign);
  }
  return Directory(section);
}

Result<StructClaim> Directory::claim(std::string_view name, size_t bytes) {
  Status named = checkSharedName(name);
  if (!named.ok()) return named.error();
  if (bytes == 0) return refuse(Refusal::sizeZero);
  Result<SharedDirectoryEntry*> found = findOrAdd(name, bytes);
  if (!found.ok()) return found.error();
  SharedDirectoryEntry& entry = *found.value();
  StructView view = checkedView(entry);
  if (view.address == nullptr) return refuse(Refusal::corrupt);
  if (view.bytes != bytes) return refuse(Refusal::entrySizeWrong);
  Result<Turn> turn = entry.once.enter();
  if (!turn.ok()) return turn.error();
  return StructClaim(view, turn.value() == Turn::mine ? &entry.once : nullptr);
}

StructView Directory::find(std::string_view name) const {
  if (!checkSharedName(name).ok()) return {};
  const SharedDirectoryEntry* entry = search(name);
  return entry != nullptr && entry->once.ready() ? checkedView(*entry) : StructView{};
}

std::vector<StructRecord> Directory::list() const {
  std::vector<StructRecord> records;
  uint64_t end = kStructsOffset;  // of the structures so far
  for (const SharedDirectoryEntry& entry : std::span(entries(), entryCount())) {
    StructView view = checkedView(entry);
    std::string name = copySharedName(entry.name);
    if (view.address == nullptr || name.empty()) continue;
    auto offset = static_cast<uint64_t>(static_cast<std::byte*>(view.address) - section_.data());
    if (offset < end) continue;
    records.push_back({std::move(name), offset, view.bytes, structSpace(view.bytes)});
    end = offset + structSpace(view.bytes);
  }
  return records;
}

StructSpace Directory::space() const {
  const uint64_t bytes = section_.size() - kStructsOffset;
  const uint64_t taken = header().structBytes.load(std::memory_order_relaxed);
  return {kStructsOffset, bytes, std::min(taken / kStructAlignment * kStructAlignment, bytes)};
}

StructView Directory::findAround(const void* address, size_t bytes) const {
  for (const SharedDirectoryEntry& entry : std::span(entries(), entryCount())) {
    const StructView view = checkedView(entry);
    if (isAround({static_cast<std::byte*>(view.address), view.bytes}, address, bytes)) return view;
  }
  return {};
}

Result<SharedDirectoryEntry*> Directory::findOrAdd(std::string_view name, size_t bytes) {
  if (SharedDirectoryEntry* entry = search(name)) return entry;
  Locked locked(header().mutex);
  if (!locked.ok()) return locked.error();
  // Again: somebody may have added it between the look and the lock.
  if (SharedDirectoryEntry* entry = search(name)) return entry;
  return add(name, bytes);
}

Result<SharedDirectoryEntry*> Directory::add(std::string_view name, size_t bytes) {
  const uint64_t taken = header().structBytes.load(std::memory_order_relaxed);
  const uint64_t space = section_.size() - kStructsOffset;
  if (taken > space || taken % kStructAlignment != 0) return refuse(Refusal::corrupt);
  const uint32_t index = entryCount();
  if (index == kDirectoryCapacity) return refuse(Refusal::tooManyNames);
  // The first comparison keeps the rounding up in the second from wrapping.
  if (bytes > space || structSpace(bytes) > space - taken) return refuse(Refusal::outOfSpace);
  SharedDirectoryEntry& entry = entries()[index];
  storeSharedName(entry.name, name);
  entry.offset = kStructsOffset + taken;
  entry.bytes = bytes;
  entry.allocatedBytes = structSpace(bytes);
  header().structBytes.store(taken + structSpace(bytes), std::memory_order_relaxed);
  header().entryCount.store(index + 1, std::memory_order_release);
  return &entry;
}

SharedDirectoryEntry* Directory::search(std::string_view name) const {
  for (SharedDirectoryEntry& entry : std::span(entries(), entryCount())) {
    if (sharedName(entry.name) == name) return &entry;
  }
  return nullptr;
}

StructView Directory::checkedView(const SharedDirectoryEntry& entry) const {
  const uint64_t offset = readOnce(entry.offset), bytes = readOnce(entry.bytes);
  bool sound = offset >= kStructsOffset && offset <= section_.size() &&
               offset % kStructAlignment == 0 && bytes > 0 && bytes <= section_.size() - offset;
  return sound ? StructView{section_.data() + offset, bytes} : StructView{};
}

SharedDirectoryHeader& Directory::header() const {
  return *reinterpret_cast<SharedDirectoryHeader*>(section_.data());
}

SharedDirectoryEntry* Directory::entries() const {
  return reinterpret_cast<SharedDirectoryEntry*>(section_.data() + sizeof(SharedDirectoryHeader));
}

uint32_t Directory::entryCount() const {
  // Pairs with the release in add().
  return std::min(header().entryCount.load(std::memory_order_acquire), kDirectoryCapacity);
}

}  // namespace bgworker
