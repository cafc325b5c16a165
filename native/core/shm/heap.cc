#include "core/shm/heap.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "core/base/assert.h"
#include "core/shm/shared_read.h"

namespace bgworker {

Heap Heap::format(std::span<std::byte> memory) {
  PM_ASSERT(memory.size() >= kLeastHeapBytes && memory.size() <= kMostHeapBytes,
            "a heap has 128 KiB to 1 TiB");
  PM_ASSERT(reinterpret_cast<uintptr_t>(memory.data()) % kHeapPageBytes == 0,
            "a heap begins on a page");
  auto* header = new (memory.data()) SharedHeapHeader{};
  Heap heap(memory);
  heap.pages_.format();
  header->totalBytes = memory.size();
  header->version = kHeapVersion;
  header->magic = kHeapMagic;
  return heap;
}

Result<Heap> Heap::attach(std::span<std::byte> memory) {
  if (memory.size() < kLeastHeapBytes || memory.size() > kMostHeapBytes ||
      reinterpret_cast<uintptr_t>(memory.data()) % kHeapPageBytes != 0) {
    return refuse(Refusal::foreign);
  }
  const auto& header = *reinterpret_cast<const SharedHeapHeader*>(memory.data());
  if (header.magic != kHeapMagic || header.version != kHeapVersion ||
      header.totalBytes != memory.size()) {
    return refuse(Refusal::foreign);
  }
  return Heap(memory);
}

Result<HeapPointer> Heap::allocate(size_t bytes, AllocateOptions options) {
  if (bytes == 0) return refuse(Refusal::sizeZero);
  Result<HeapPointer> pointer =
      bytes <= kLargestSmallBytes ? allocateSmall(classFor(bytes)) : allocateLarge(bytes);
  if (!pointer.ok()) return pointer;
  if (pointer.value() == 0) {
    if (options.noOutOfMemory) return pointer;
    return refuse(Refusal::heapFull);
  }
  if (options.zero) std::memset(pages_.memory().data() + pointer.value(), 0, bytes);
  return pointer;
}

Status Heap::free(HeapPointer pointer) {
  const uint32_t page = pages_.pageAt(pointer);
  if (page == 0) return refuse(Refusal::badPointer);
  if (pages_.kindOf(page) == PageKind::large) {
    if (pointer != pages_.offsetOf(page)) return refuse(Refusal::badPointer);
    return pages_.giveBack(page, PageKind::large);
  }
  const uint32_t first = superblockOf(page);
  if (first == 0) return refuse(Refusal::badPointer);
  return freeObject(pointer, first);
}

void* Heap::address(HeapPointer pointer, size_t bytes) const {
  const size_t total = pages_.memory().size();
  if (pointer < pages_.offsetOf(1) || pointer % 8 != 0) return nullptr;
  if (pointer > total || bytes > total - pointer) return nullptr;
  return pages_.memory().data() + pointer;
}

Status Heap::setSizeLimit(size_t bytes) {
  const uint64_t pages = std::min<uint64_t>(bytes / kHeapPageBytes, pages_.pageCount());
  SharedHeapRuns& runs = pages_.front().runs;
  Locked locked(runs.mutex);
  if (!locked.ok()) return locked.error();
  runs.limitPages.store(static_cast<uint32_t>(pages), kRelaxed);
  return {};
}

Status Heap::trim() {
  for (uint32_t sizeClass = 0; sizeClass < kSizeClassCount; ++sizeClass) {
    Locked locked(pool(sizeClass).mutex);
    if (!locked.ok()) return locked.error();
    uint32_t page = readOnce(pool(sizeClass).firstWithRoom);
    for (uint32_t step = 0; page != 0; ++step) {
      if (step > pages_.pageCount() || !isSuperblock(page, sizeClass)) {
        return refuse(Refusal::corrupt);
      }
      const uint32_t next = readOnce(pages_.record(page).next);
      Status released = releaseIfEmpty(page, sizeClass, false);
      if (!released.ok()) return released;
      page = next;
    }
  }
  return pages_.trim();
}

HeapPointer Heap::root() const {
  // Pairs with the release in setRoot(): what the root leads to is there.
  return pages_.front().header.root.load(std::memory_order_acquire);
}

void Heap::setRoot(HeapPointer pointer) {
  pages_.front().header.root.store(pointer, std::memory_order_release);
}

HeapStats Heap::stats() const {
  const SharedHeapRuns& runs = pages_.front().runs;
  return {pages_.memory().size(), runs.usedPages.load(kRelaxed) * kHeapPageBytes,
          runs.limitPages.load(kRelaxed) * kHeapPageBytes};
}

Result<HeapPointer> Heap::allocateLarge(size_t bytes) {
  const uint64_t count = (uint64_t{bytes} - 1) / kHeapPageBytes + 1;
  if (count > pages_.pageCount()) return HeapPointer{0};
  Result<uint32_t> page = pages_.take(static_cast<uint32_t>(count), PageKind::large, 0);
  if (!page.ok()) return page.error();
  return page.value() == 0 ? HeapPointer{0} : pages_.offsetOf(page.value());
}

Result<HeapPointer> Heap::allocateSmall(uint32_t sizeClass) {
  Locked locked(pool(sizeClass).mutex);
  if (!locked.ok()) return locked.error();
  Result<uint32_t> page = superblockWithRoom(sizeClass);
  if (!page.ok()) return page.error();
  if (page.value() == 0) return HeapPointer{0};
  return takeObject(page.value(), sizeClass);
}

Result<uint32_t> Heap::superblockWithRoom(uint32_t sizeClass) {
  const uint32_t first = readOnce(pool(sizeClass).firstWithRoom);
  if (first != 0) {
    if (!isSuperblock(first, sizeClass)) return refuse(Refusal::corrupt);
    return first;
  }
  Result<uint32_t> taken = pages_.take(kSuperblockPages, PageKind::superblock, sizeClass);
  if (!taken.ok() || taken.value() == 0) return taken;
  const uint32_t page = taken.value();
  SharedPageRecord& record = pages_.record(page);
  record.usedCount = 0;
  record.bits = 0;
  // The pages may have been somebody's, and the bitmap lies in them.
  std::ranges::fill(bitsOf(page, sizeClass), 0);
  Status pushed = pushRoom(page, sizeClass);
  if (!pushed.ok()) return pushed.error();
  return page;
}

Result<HeapPointer> Heap::takeObject(uint32_t page, uint32_t sizeClass) {
  SharedPageRecord& record = pages_.record(page);
  const uint32_t count = objectsIn(sizeClass);
  std::span<uint64_t> words = bitsOf(page, sizeClass);
  for (size_t word = 0; word < words.size(); ++word) {
    const uint64_t bits = readOnce(words[word]);
    const auto bit = static_cast<uint32_t>(std::countr_one(bits));
    const uint32_t object = static_cast<uint32_t>(word) * 64 + bit;
    if (bit == 64) continue;
    if (object >= count) break;
    words[word] = bits | uint64_t{1} << bit;
    const uint32_t used = readOnce(record.usedCount) + 1;
    record.usedCount = used;
    if (used >= count) {
      Status dropped = dropRoom(page, sizeClass);
      if (!dropped.ok()) return dropped.error();
    }
    return pages_.offsetOf(page) + bitmapBytes(sizeClass) +
           uint64_t{object} * sizeOfClass(sizeClass);
  }
  // It stands in the list of those that have room, and has none.
  return refuse(Refusal::corrupt);
}

Status Heap::freeObject(HeapPointer pointer, uint32_t page) {
  const uint32_t sizeClass = pages_.record(page).detail.load(kRelaxed);
  if (sizeClass >= kSizeClassCount) return refuse(Refusal::corrupt);
  Locked locked(pool(sizeClass).mutex);
  if (!locked.ok()) return locked.error();
  // Again, now that nobody can change it: a bad pointer may have met a superblock that was going.
  if (!isSuperblock(page, sizeClass)) return refuse(Refusal::badPointer);
  Status cleared = clearBit(pointer, page, sizeClass);
  if (!cleared.ok()) return cleared;
  SharedPageRecord& record = pages_.record(page);
  const uint32_t used = readOnce(record.usedCount);
  if (used == 0 || used > objectsIn(sizeClass)) return refuse(Refusal::corrupt);
  record.usedCount = used - 1;
  if (used == objectsIn(sizeClass)) {
    Status pushed = pushRoom(page, sizeClass);
    if (!pushed.ok()) return pushed;
  }
  return releaseIfEmpty(page, sizeClass, true);
}

Status Heap::clearBit(HeapPointer pointer, uint32_t page, uint32_t sizeClass) {
  const uint64_t first = pages_.offsetOf(page) + bitmapBytes(sizeClass);
  if (pointer < first) return refuse(Refusal::badPointer);
  const uint64_t object = (pointer - first) / sizeOfClass(sizeClass);
  if ((pointer - first) % sizeOfClass(sizeClass) != 0 || object >= objectsIn(sizeClass)) {
    return refuse(Refusal::badPointer);
  }
  uint64_t& word = bitsOf(page, sizeClass)[object / 64];
  const uint64_t bit = uint64_t{1} << object % 64;
  const uint64_t bits = readOnce(word);
  if ((bits & bit) == 0) return refuse(Refusal::badPointer);  // freed already
  word = bits & ~bit;
  return {};
}

/** The last one with room is kept, so that one object freed and allocated again costs no pages. */
Status Heap::releaseIfEmpty(uint32_t page, uint32_t sizeClass, bool keepLast) {
  SharedPageRecord& record = pages_.record(page);
  if (readOnce(record.usedCount) != 0) return {};
  const bool last = readOnce(record.next) == 0 && readOnce(record.previous) == 0;
  if (keepLast && last) return {};
  Status dropped = dropRoom(page, sizeClass);
  if (!dropped.ok()) return dropped;
  return pages_.giveBack(page, PageKind::superblock);
}

Status Heap::pushRoom(uint32_t page, uint32_t sizeClass) {
  const uint32_t first = readOnce(pool(sizeClass).firstWithRoom);
  if (first != 0 && !isSuperblock(first, sizeClass)) return refuse(Refusal::corrupt);
  SharedPageRecord& record = pages_.record(page);
  record.next = first;
  record.previous = 0;
  if (first != 0) pages_.record(first).previous = page;
  pool(sizeClass).firstWithRoom = page;
  return {};
}

Status Heap::dropRoom(uint32_t page, uint32_t sizeClass) {
  SharedPageRecord& record = pages_.record(page);
  const uint32_t next = readOnce(record.next), previous = readOnce(record.previous);
  // A neighbour must be a superblock of this class: only those records are ours to write.
  if ((next != 0 && !isSuperblock(next, sizeClass)) ||
      (previous != 0 && !isSuperblock(previous, sizeClass))) {
    return refuse(Refusal::corrupt);
  }
  if (next != 0) pages_.record(next).previous = previous;
  if (previous != 0) {
    pages_.record(previous).next = next;
  } else {
    pool(sizeClass).firstWithRoom = next;
  }
  record.next = 0;
  record.previous = 0;
  return {};
}

bool Heap::isSuperblock(uint32_t page, uint32_t sizeClass) const {
  return pages_.isPage(page) && page <= pages_.pageCount() - kSuperblockPages + 1 &&
         pages_.kindOf(page) == PageKind::superblock &&
         pages_.record(page).detail.load(kRelaxed) == sizeClass;
}

/** The first page of the superblock that this page is of; 0 if it is of none. */
uint32_t Heap::superblockOf(uint32_t page) const {
  const PageKind kind = pages_.kindOf(page);
  if (kind == PageKind::superblock) return page;
  if (kind != PageKind::inSuperblock) return 0;
  const uint32_t first = pages_.record(page).detail.load(kRelaxed);
  const bool near = first < page && page - first < kSuperblockPages;
  return near && pages_.isPage(first) && pages_.kindOf(first) == PageKind::superblock ? first : 0;
}

std::span<uint64_t> Heap::bitsOf(uint32_t page, uint32_t sizeClass) const {
  if (bitmapBytes(sizeClass) == 0) return {&pages_.record(page).bits, 1};
  auto* words = reinterpret_cast<uint64_t*>(pages_.memory().data() + pages_.offsetOf(page));
  return {words, bitmapBytes(sizeClass) / sizeof(uint64_t)};
}

}  // namespace bgworker
