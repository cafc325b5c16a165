// heap_pages.h: the page half of a shared heap: runs of 4 KiB pages, taken and given back.
//
// For Heap only. A process's handle: where the memory is and how large, both its own numbers. The
// shared half, and why it is safe, stands in heap_layout.h.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/result.h"
#include "core/shm/heap_layout.h"

namespace bgworker {

class HeapPages {
 public:
  /** How many pages a heap of this size has; 0 if it is too small for one. */
  static uint32_t pageCountFor(size_t totalBytes);
  explicit HeapPages(std::span<std::byte> memory);

  void format();
  /** The first page of a run of `count`, now of this kind; 0 if there is none, or above limit. */
  Result<uint32_t> take(uint32_t count, PageKind kind, uint32_t detail);
  /** Gives a run back; badPointer if `page` begins none of this kind. */
  Status giveBack(uint32_t page, PageKind kind);
  /** Returns the memory of all free pages to the system. */
  Status trim();
  /** Walks all runs, checking; the number of free ones. */
  Result<uint32_t> countFreeRuns();

  uint32_t pageCount() const { return pageCount_; }
  bool isPage(uint32_t page) const { return page >= 1 && page <= pageCount_; }
  SharedHeapFront& front() const { return *reinterpret_cast<SharedHeapFront*>(memory_.data()); }
  SharedPageRecord& record(uint32_t page) const;
  PageKind kindOf(uint32_t page) const;
  /** From the start of the memory. */
  uint64_t offsetOf(uint32_t page) const {
    return pagesOffset_ + uint64_t{page - 1} * kHeapPageBytes;
  }
  /** The page of an offset; 0 if there is none. */
  uint32_t pageAt(uint64_t offset) const;
  std::span<std::byte> memory() const { return memory_; }

 private:
  bool isRun(uint32_t page, PageKind kind) const;
  void setKind(uint32_t page, PageKind kind, uint32_t detail);
  Result<uint32_t> findFree(uint32_t count) const;
  Result<uint32_t> findUsed() const;
  uint32_t usedPart(uint32_t page) const;
  Status unlink(uint32_t page);
  Status insertFree(uint32_t page, uint32_t length, uint32_t used);
  Status mergeAndInsert(uint32_t page, uint32_t length);
  Result<uint32_t> freeBefore(uint32_t page) const;
  Result<bool> trimSlice();

  std::span<std::byte> memory_;
  uint32_t pageCount_;
  uint64_t pagesOffset_;
};

}  // namespace bgworker
