// heap.h: a heap in shared memory (dsa.c): allocate in one process, free in another.
//
//     Heap heap = Heap::format(memory);                    // once
//     Result<HeapPointer> pointer = heap.allocate(100);    // an offset: it may travel
//     void* address = heap.address(pointer.value(), 100);  // this process's; null if outside
//
// Up to 8 KiB come from superblocks of 64 KiB, one kind for each of 32 size classes, each with its
// own lock; more comes in runs of 4 KiB pages. Every address is aligned to 16 bytes.
//
// PostgreSQL adds segments to an area as it grows. Here the memory is one segment, as large as the
// heap may ever become: the window is sparse, so what is not used costs addresses and no memory.
// That leaves one mapping, one base address, and no list of segments that could lie. trim() gives
// the memory of free pages back to the system. The heap is destroyed with its segment: with the
// last who is attached, unless pinned.
//
// A Heap is a handle, copied at will; all processes use theirs at the same time. The shared half,
// and why it is safe, is described in heap_layout.h.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/result.h"
#include "core/shm/heap_pages.h"
#include "core/shm/refusal.h"

namespace bgworker {

/** An offset from the start of the heap; 0 is none. */
using HeapPointer = uint64_t;

inline constexpr size_t kLeastHeapBytes = size_t{128}
                                          << 10;  // one superblock, and what leads to it
inline constexpr size_t kMostHeapBytes = size_t{1} << 40;

struct AllocateOptions {
  bool zero = false;
  bool noOutOfMemory = false; /* then 0 instead of heapFull */
};

struct HeapStats {
  size_t totalBytes;
  size_t usedBytes; /* of pages that hold something */
  size_t limitBytes;
};

class Heap {
 public:
  /** `memory` is zero, nobody else's yet, on a page, and within the two limits above. */
  static Heap format(std::span<std::byte> memory);
  static Result<Heap> attach(std::span<std::byte> memory);

  Result<HeapPointer> allocate(size_t bytes, AllocateOptions options = {});
  /** badPointer unless allocate() returned it and nobody has freed it since. */
  Status free(HeapPointer pointer);
  /** The address of `bytes` bytes; null if they are not all in the heap, or not on 8 bytes. */
  void* address(HeapPointer pointer, size_t bytes) const;

  /** No allocation takes the heap above it. What is there stays. */
  Status setSizeLimit(size_t bytes);
  /** Returns free memory to the system. */
  Status trim();
  /** Where the users of this heap begin; 0 at first. */
  HeapPointer root() const;
  void setRoot(HeapPointer pointer);

  /** Lock-free. */
  HeapStats stats() const;
  /** Walks everything, checking, while nobody else uses it: how many runs are free. */
  Result<uint32_t> countFreeRuns() { return pages_.countFreeRuns(); }

 private:
  explicit Heap(std::span<std::byte> memory) : pages_(memory) {}

  Result<HeapPointer> allocateSmall(uint32_t sizeClass);
  Result<HeapPointer> allocateLarge(size_t bytes);
  Result<uint32_t> superblockWithRoom(uint32_t sizeClass);
  Result<HeapPointer> takeObject(uint32_t page, uint32_t sizeClass);
  Status freeObject(HeapPointer pointer, uint32_t page);
  Status clearBit(HeapPointer pointer, uint32_t page, uint32_t sizeClass);
  Status releaseIfEmpty(uint32_t page, uint32_t sizeClass, bool keepLast);
  Status pushRoom(uint32_t page, uint32_t sizeClass);
  Status dropRoom(uint32_t page, uint32_t sizeClass);
  bool isSuperblock(uint32_t page, uint32_t sizeClass) const;
  uint32_t superblockOf(uint32_t page) const;
  std::span<uint64_t> bitsOf(uint32_t page, uint32_t sizeClass) const;
  SharedHeapPool& pool(uint32_t sizeClass) const { return pages_.front().pools[sizeClass]; }

  HeapPages pages_;
};

}  // namespace bgworker
