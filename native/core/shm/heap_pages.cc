#include "core/shm/heap_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <new>

#include "core/base/assert.h"
#include "core/shm/refusal.h"
#include "core/shm/shared_pages.h"
#include "core/shm/shared_read.h"

namespace bgworker {
namespace {
constexpr uint32_t kTrimPages = 256;

uint64_t pagesOffsetFor(uint32_t pageCount) {
  // Record 0 stands for no page. Pages lie on the heap's own page size.
  const uint64_t end =
      sizeof(SharedHeapFront) + (uint64_t{pageCount} + 1) * sizeof(SharedPageRecord);
  return (end + kHeapPageBytes - 1) / kHeapPageBytes * kHeapPageBytes;
}

/** No run has length 0; the compiler, who does not know it, sees bin 0 there and not bin -1. */
uint32_t binOf(uint32_t length) { return static_cast<uint32_t>(std::bit_width(length | 1U)) - 1; }

}  // namespace

uint32_t HeapPages::pageCountFor(size_t totalBytes) {
  uint64_t count = totalBytes / (kHeapPageBytes + sizeof(SharedPageRecord));
  // The front and the rounding take a few pages more.
  while (count > 0 &&
         pagesOffsetFor(static_cast<uint32_t>(count)) + count * kHeapPageBytes > totalBytes) {
    --count;
  }
  return static_cast<uint32_t>(count);
}

HeapPages::HeapPages(std::span<std::byte> memory)
    : memory_(memory),
      pageCount_(pageCountFor(memory.size())),
      pagesOffset_(pagesOffsetFor(pageCount_)) {}

void HeapPages::format() {
  // Only writes: what stands here should be zero, but it is shared, and need not be.
  SharedHeapRuns& runs = front().runs;
  runs.limitPages.store(pageCount_, kRelaxed);
  for (uint32_t& bin : runs.bins) bin = 0;
  runs.bins[binOf(pageCount_)] = 1;
  record(1).length = pageCount_;
  record(1).next = 0;
  record(1).previous = 0;
  record(pageCount_).length = pageCount_;
  setKind(pageCount_, PageKind::freeEnd, 0);
  setKind(1, PageKind::freeRun, 0);
}

Result<uint32_t> HeapPages::take(uint32_t count, PageKind kind, uint32_t detail) {
  SharedHeapRuns& runs = front().runs;
  Locked locked(runs.mutex);
  if (!locked.ok()) return locked.error();
  const uint32_t used = runs.usedPages.load(kRelaxed), limit = runs.limitPages.load(kRelaxed);
  if (used > limit || count > limit - used) return 0U;
  Result<uint32_t> found = findFree(count);
  if (!found.ok() || found.value() == 0) return found;
  const uint32_t page = found.value();
  const uint32_t length = readOnce(record(page).length);
  const uint32_t usedPages = usedPart(page);
  Status unlinked = unlink(page);
  if (!unlinked.ok()) return unlinked.error();
  if (length < count || length > pageCount_ - page + 1) return refuse(Refusal::corrupt);
  if (length > count) {
    Status inserted =
        insertFree(page + count, length - count, usedPages > count ? usedPages - count : 0);
    if (!inserted.ok()) return inserted.error();
  }
  record(page).length = count;
  setKind(page, kind, detail);
  if (kind == PageKind::superblock) {
    for (uint32_t inner = 1; inner < count; ++inner) {
      setKind(page + inner, PageKind::inSuperblock, page);
    }
  }
  runs.usedPages.store(used + count, kRelaxed);
  return page;
}

Status HeapPages::giveBack(uint32_t page, PageKind kind) {
  SharedHeapRuns& runs = front().runs;
  Locked locked(runs.mutex);
  if (!locked.ok()) return locked.error();
  if (!isRun(page, kind)) return refuse(Refusal::badPointer);
  const uint32_t length = readOnce(record(page).length);
  const uint32_t used = runs.usedPages.load(kRelaxed);
  if (length < 1 || length > pageCount_ - page + 1 || length > used)
    return refuse(Refusal::corrupt);
  if (kind == PageKind::superblock) {
    for (uint32_t inner = 1; inner < length; ++inner) setKind(page + inner, PageKind::none, 0);
  }
  setKind(page, PageKind::none, 0);
  runs.usedPages.store(used - length, kRelaxed);
  return mergeAndInsert(page, length);
}

Status HeapPages::trim() {
  // Each turn makes one used run shorter; those who free meanwhile could keep us here for ever.
  for (uint32_t turn = 0; turn < pageCount_; ++turn) {
    Result<bool> trimmed = trimSlice();
    if (!trimmed.ok()) return trimmed.error();
    if (!trimmed.value()) break;
  }
  return {};
}

/** False: there is nothing left to trim. */
Result<bool> HeapPages::trimSlice() {
  Locked locked(front().runs.mutex);
  if (!locked.ok()) return locked.error();
  Result<uint32_t> found = findUsed();
  if (!found.ok()) return found.error();
  const uint32_t page = found.value();
  if (page == 0) return false;
  const uint32_t used = usedPart(page);
  const uint32_t kept = used > kTrimPages ? used - kTrimPages : 0;
  // Only whole pages of the system's can be returned; on the usual one they are the heap's.
  const auto base = reinterpret_cast<uintptr_t>(memory_.data()) + offsetOf(page);
  const uintptr_t first = wholePages(base + uint64_t{kept} * kHeapPageBytes);
  const uintptr_t end = base + uint64_t{used} * kHeapPageBytes;
  const uintptr_t last = end / systemPageBytes() * systemPageBytes();
  // The lock is held: whoever took the run out of the lists instead would make others find the
  // heap full. So it is a small part at a time.
  if (last > first && madvise(reinterpret_cast<void*>(first), last - first, MADV_REMOVE) < 0) {
    return lastError("madvise");
  }
  record(page).detail.store(kept, kRelaxed);
  return true;
}

Result<uint32_t> HeapPages::countFreeRuns() {
  Locked locked(front().runs.mutex);
  if (!locked.ok()) return locked.error();
  uint32_t freeRuns = 0, used = 0;
  bool lastWasFree = false;
  for (uint32_t page = 1; page <= pageCount_;) {
    const PageKind kind = kindOf(page);
    const uint32_t length = readOnce(record(page).length);
    const bool isFree = kind == PageKind::freeRun;
    if (!isFree && kind != PageKind::large && kind != PageKind::superblock) {
      return refuse(Refusal::corrupt);
    }
    if (length < 1 || length > pageCount_ - page + 1) return refuse(Refusal::corrupt);
    if (isFree && lastWasFree) return refuse(Refusal::corrupt);  // should have been one
    if (isFree) {
      ++freeRuns;
    } else {
      used += length;
    }
    lastWasFree = isFree;
    page += length;
  }
  if (used != front().runs.usedPages.load(kRelaxed)) return refuse(Refusal::corrupt);
  return freeRuns;
}

SharedPageRecord& HeapPages::record(uint32_t page) const {
  PM_ASSERT(page <= pageCount_, "a page number is checked before use");
  return reinterpret_cast<SharedPageRecord*>(memory_.data() + sizeof(SharedHeapFront))[page];
}

PageKind HeapPages::kindOf(uint32_t page) const {
  const uint32_t kind = record(page).kind.load(kRelaxed);
  return kind <= static_cast<uint32_t>(PageKind::inSuperblock) ? static_cast<PageKind>(kind)
                                                               : PageKind::none;
}

uint32_t HeapPages::pageAt(uint64_t offset) const {
  if (offset < pagesOffset_) return 0;
  const uint64_t index = (offset - pagesOffset_) / kHeapPageBytes;
  return index < pageCount_ ? static_cast<uint32_t>(index) + 1 : 0;
}

bool HeapPages::isRun(uint32_t page, PageKind kind) const {
  return isPage(page) && kindOf(page) == kind && readOnce(record(page).length) >= 1;
}

void HeapPages::setKind(uint32_t page, PageKind kind, uint32_t detail) {
  record(page).detail.store(detail, kRelaxed);
  record(page).kind.store(static_cast<uint32_t>(kind), kRelaxed);
}

Result<uint32_t> HeapPages::findFree(uint32_t count) const {
  // In its own bin a run may still be too short; in each higher one the first will do.
  for (uint32_t bin = binOf(count); bin < kBinCount; ++bin) {
    uint32_t page = readOnce(front().runs.bins[bin]);
    for (uint32_t step = 0; page != 0; ++step) {
      if (step > pageCount_ || !isRun(page, PageKind::freeRun)) return refuse(Refusal::corrupt);
      if (readOnce(record(page).length) >= count) return page;
      page = readOnce(record(page).next);
    }
  }
  return 0U;
}

Result<uint32_t> HeapPages::findUsed() const {
  for (uint32_t bin = 0; bin < kBinCount; ++bin) {
    uint32_t page = readOnce(front().runs.bins[bin]);
    for (uint32_t step = 0; page != 0; ++step) {
      if (step > pageCount_ || !isRun(page, PageKind::freeRun)) return refuse(Refusal::corrupt);
      if (usedPart(page) > 0) return page;
      page = readOnce(record(page).next);
    }
  }
  return 0U;
}

/** How many pages of a free run, from its start, may have memory behind them. */
uint32_t HeapPages::usedPart(uint32_t page) const {
  const uint32_t length = std::min(readOnce(record(page).length), pageCount_ - page + 1);
  return std::min(record(page).detail.load(kRelaxed), length);
}

Status HeapPages::unlink(uint32_t page) {
  SharedPageRecord& run = record(page);
  const uint32_t next = readOnce(run.next), previous = readOnce(run.previous);
  const uint32_t length = readOnce(run.length);
  if ((next != 0 && !isPage(next)) || (previous != 0 && !isPage(previous)) || length < 1 ||
      length > pageCount_ - page + 1) {
    return refuse(Refusal::corrupt);
  }
  if (next != 0) record(next).previous = previous;
  if (previous != 0) {
    record(previous).next = next;
  } else {
    front().runs.bins[binOf(length)] = next;
  }
  // Both marks go, so that none is ever old: a neighbour that is freed later looks for them.
  setKind(page, PageKind::none, 0);
  setKind(page + length - 1, PageKind::none, 0);
  return {};
}

Status HeapPages::insertFree(uint32_t page, uint32_t length, uint32_t used) {
  uint32_t& bin = front().runs.bins[binOf(length)];
  const uint32_t first = readOnce(bin);
  if (first != 0 && !isRun(first, PageKind::freeRun)) return refuse(Refusal::corrupt);
  SharedPageRecord& run = record(page);
  run.length = length;
  run.next = first;
  run.previous = 0;
  if (first != 0) record(first).previous = page;
  bin = page;
  if (length > 1) {
    record(page + length - 1).length = length;
    setKind(page + length - 1, PageKind::freeEnd, 0);
  }
  setKind(page, PageKind::freeRun, used);
  return {};
}

Status HeapPages::mergeAndInsert(uint32_t page, uint32_t length) {
  uint32_t used = length;
  Result<uint32_t> before = freeBefore(page);
  if (!before.ok()) return before.error();
  if (before.value() > 0) {
    page -= before.value();
    length += before.value();
    used += before.value();
    Status unlinked = unlink(page);
    if (!unlinked.ok()) return unlinked;
  }
  const uint32_t behind = page + length;
  if (isPage(behind) && isRun(behind, PageKind::freeRun)) {
    const uint32_t more = readOnce(record(behind).length), usedMore = usedPart(behind);
    Status unlinked = unlink(behind);
    if (!unlinked.ok()) return unlinked;
    if (more > pageCount_ - behind + 1) return refuse(Refusal::corrupt);
    length += more;
    if (usedMore > 0) used += usedMore;
  }
  return insertFree(page, length, used);
}

/** The length of the free run that ends before `page`; 0 if there is none. */
Result<uint32_t> HeapPages::freeBefore(uint32_t page) const {
  if (page == 1) return 0U;
  const PageKind kind = kindOf(page - 1);
  if (kind == PageKind::freeRun) return 1U;
  if (kind != PageKind::freeEnd) return 0U;
  const uint32_t length = readOnce(record(page - 1).length);
  if (length < 2 || length >= page || !isRun(page - length, PageKind::freeRun) ||
      readOnce(record(page - length).length) != length) {
    return refuse(Refusal::corrupt);
  }
  return length;
}

}  // namespace bgworker
