// heap_layout.h: what a shared heap looks like in its memory. heap.h says what it does.
//
//     header | page lock and free runs | 32 pools | one record for each page | pages
//
// Pages are numbered from 1, so that 0, which fresh memory is full of, means "none".
//
//  Who writes what, and why that is safe
//  -------------------------------------
//  header.magic, version, totalBytes
//              written once, by format(); attach() compares them with the size of the memory it
//              was given. The number of pages and all offsets follow from that size, in each
//              process anew: none is stored.
//  header.root an atomic for the heap's users: where they find their first thing.
//
//  runs        everything under runs.mutex: `bins` (the first free run of at least 2^bin pages
//              and fewer than twice that), the free runs' records, and each record's kind and
//              detail. usedPages and limitPages are atomics, so that stats() needs no lock.
//
//  pool        one for each size class: its mutex guards the list of superblocks that have room
//              (firstWithRoom), and of these and the full ones the record's next, previous,
//              usedCount and bits, and the bitmap at the start of the block.
//              Order: pool, then runs. Nobody takes two pools.
//
//  record      kind says who owns the rest. kind and detail are atomics because free() reads them
//              before it knows which lock is right; for an allocated address they are constant,
//              and they were written before the address could be handed on. For any other address
//              the answer may be old; what is done then is checked again under the lock.
//
//  Every page number, length, kind and class is checked before use: it is in range or the verb
//  says `corrupt`. Walks along lists end after as many steps as there are pages. Objects are found
//  by bitmaps, not by links inside free memory, so a write after free() cannot mislead it.

#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/shm/shared_mutex.h"

namespace bgworker {

inline constexpr uint64_t kHeapMagic = 0x0061654857474742;  // "BGGWHea" in memory
inline constexpr uint32_t kHeapVersion = 1;
inline constexpr size_t kHeapPageBytes = 4096;
inline constexpr uint32_t kSuperblockPages = 16;
inline constexpr size_t kSuperblockBytes = kSuperblockPages * kHeapPageBytes;
inline constexpr size_t kLargestSmallBytes = 8192;
inline constexpr uint32_t kSizeClassCount = 32;
inline constexpr uint32_t kBinCount = 32;

/** 16, 32, 48, 64, then four to each doubling: 80, 96, 112, 128, 160, … 8192. */
constexpr uint32_t sizeOfClass(uint32_t sizeClass) {
  if (sizeClass < 4) return 16 * (sizeClass + 1);
  const uint32_t base = 64U << ((sizeClass - 4) / 4);
  return base + ((sizeClass - 4) % 4 + 1) * (base / 4);
}
static_assert(sizeOfClass(kSizeClassCount - 1) == kLargestSmallBytes);

/** The smallest class that has room; `bytes` is 1 to kLargestSmallBytes. */
constexpr uint32_t classFor(size_t bytes) {
  const auto size = static_cast<uint32_t>(bytes);
  if (size <= 64) return (size + 15) / 16 - 1;
  const uint32_t base = std::bit_floor(size - 1);
  const auto group = static_cast<uint32_t>(std::bit_width(base)) - 7;
  return 4 + group * 4 + (size - 1 - base) / (base / 4);
}
constexpr bool classesFit() {
  for (uint32_t bytes = 1; bytes <= kLargestSmallBytes; ++bytes) {
    const uint32_t sizeClass = classFor(bytes);
    if (sizeClass >= kSizeClassCount || sizeOfClass(sizeClass) < bytes) return false;
    if (sizeClass > 0 && sizeOfClass(sizeClass - 1) >= bytes) return false;
  }
  return true;
}
static_assert(classesFit(), "classFor() is the inverse of sizeOfClass()");

/** Up to 64 objects have their bits in the record, more have a bitmap at the superblock's start. */
constexpr uint32_t bitmapBytes(uint32_t sizeClass) {
  const uint32_t size = sizeOfClass(sizeClass);
  if (kSuperblockBytes / size <= 64) return 0;
  return (static_cast<uint32_t>(kSuperblockBytes) / size + 511) / 512 * 64;
}
constexpr uint32_t objectsIn(uint32_t sizeClass) {
  return (static_cast<uint32_t>(kSuperblockBytes) - bitmapBytes(sizeClass)) /
         sizeOfClass(sizeClass);
}
static_assert(objectsIn(kSizeClassCount - 1) == 8 && objectsIn(0) == 4064);

struct alignas(64) SharedHeapHeader {
  uint64_t magic;      /* written once by format() */
  uint64_t totalBytes; /* written once by format() */
  uint32_t version;    /* written once by format() */
  uint32_t unused;
  std::atomic<uint64_t> root; /* the heap's users */
};
static_assert(sizeof(SharedHeapHeader) == 64, "the layout is a contract between processes");

struct alignas(64) SharedHeapRuns {
  SharedMutex mutex;
  std::atomic<uint32_t> usedPages;  /* under the mutex; read by all, without */
  std::atomic<uint32_t> limitPages; /* likewise */
  uint32_t bins[kBinCount];         /* under the mutex; a page, or 0 */
};
static_assert(sizeof(SharedHeapRuns) == 192, "the layout is a contract between processes");

struct alignas(64) SharedHeapPool {
  SharedMutex mutex;
  uint32_t firstWithRoom; /* under the mutex; a page, or 0 */
};
static_assert(sizeof(SharedHeapPool) == 64, "the layout is a contract between processes");

/** The numbers are stored. */
enum class PageKind : uint32_t {
  none = 0,         // inside of a run: nothing is known of it
  freeRun = 1,      // the first page of a free run; detail: that many of its pages were used
  freeEnd = 2,      // the last page of a free run of more than one
  large = 3,        // the first page of a large allocation
  superblock = 4,   // the first page of a superblock; detail: its size class
  inSuperblock = 5  // another page of it; detail: its first page
};

struct SharedPageRecord {
  std::atomic<uint32_t> kind;   /* under runs.mutex; read by free() without */
  std::atomic<uint32_t> detail; /* likewise */
  uint32_t length;              /* in pages; under runs.mutex */
  uint32_t next;                /* of a free run: runs.mutex; of a superblock: its pool's */
  uint32_t previous;            /* likewise */
  uint32_t usedCount;           /* of a superblock: its pool's mutex */
  uint64_t bits;                /* likewise */
};
static_assert(sizeof(SharedPageRecord) == 32, "the layout is a contract between processes");

struct SharedHeapFront {
  SharedHeapHeader header;
  SharedHeapRuns runs;
  SharedHeapPool pools[kSizeClassCount];
};
static_assert(sizeof(SharedHeapFront) == 64 + 192 + 32 * 64);

}  // namespace bgworker
