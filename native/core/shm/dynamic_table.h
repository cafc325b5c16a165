// dynamic_table.h: which dynamic segments exist, who counts on them, and where they lie.
//
// The shared half of dynamic segments (dsm.c's control segment): it hands out extents of the
// window and counts references. It maps nothing; that is DynamicSegments, its only user.
//
//  Who writes what, and why that is safe
//  -------------------------------------
//  Section: header | capacity records | capacity positions.
//
//  header.magic … windowBytes
//              written once, by format(); attach() compares them with the shape that it is given
//              and keeps that, its own copy, for every later check.
//  header.mutex guards all that follows. Held for one walk over the records (they are 64 + 5 for
//              each slot), never during a system call. Taken by workers only.
//  header.created, handleKey
//              a handle is the number of the creation, scrambled by a permutation of the 32-bit
//              numbers whose key is random. So handles look random, and one that is kept too long
//              finds nothing: it comes again after four billion creations, not by chance.
//  header.usedCount, positions[]
//              the indices of the records in use, in the order of their offsets. Free room is
//              what lies between two neighbours: so it needs no list, and coalesces by itself.
//              First fit is one walk. The walk checks that each index is in range and each
//              extent begins behind the last and ends in the window; else `corrupt`.
//  header.highWater
//              one more than the highest record that was ever used: the walks end there. Clamped
//              to the capacity by its readers.
//  record      refcount 0: free; 1: being destroyed, nobody can attach, its pages are being
//              given back; 2 and more: one, and one for each mapping and the pin.
//              Written under the mutex. list() reads without it: handle, the rest, handle again;
//              the handle is set last, with a release, and taken away first, and never comes
//              again. The next owner's values are stored with a release, too: who has read one of
//              them (an acquire) finds at his second look that the old handle is gone. So what
//              lies between two equal looks at it belongs together. list() leaves out what cannot
//              be a segment.
//
// A process that dies in here leaves the mutex locked, or a count too high. Both end with the
// crash cycle that its death starts.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/shm/shared_mutex.h"

namespace bgworker {

inline constexpr uint64_t kSegmentTableMagic = 0x006e794457474742;  // "BGGWDyn" in memory
inline constexpr uint32_t kSegmentTableVersion = 1;
inline constexpr uint32_t kInvalidHandle = 0;

struct alignas(64) SharedTableHeader {
  uint64_t magic;                  /* written once by format() */
  uint32_t version;                /* written once by format() */
  uint32_t capacity;               /* written once by format() */
  uint64_t pageBytes;              /* written once by format() */
  uint64_t windowBytes;            /* written once by format() */
  SharedMutex mutex;               /* workers */
  uint32_t usedCount;              /* under the mutex */
  uint32_t created;                /* under the mutex */
  std::atomic<uint32_t> highWater; /* under the mutex; read by list() without */
  uint64_t handleKey;              /* written once by format() */
};
static_assert(sizeof(SharedTableHeader) == 64, "the layout is a contract between processes");
static_assert(offsetof(SharedTableHeader, mutex) == 32 &&
                  offsetof(SharedTableHeader, handleKey) == 48,
              "the layout is a contract between processes");

struct SharedSegmentRecord {
  std::atomic<uint32_t> handle;   /* under the mutex; read by list() without */
  std::atomic<uint32_t> refcount; /* likewise */
  std::atomic<uint32_t> pinned;   /* likewise; 0 or 1 */
  uint32_t unused;
  std::atomic<uint64_t> offset; /* likewise; in the window, on a page */
  std::atomic<uint64_t> bytes;  /* likewise; as asked for, the extent is in whole pages */
};
static_assert(sizeof(SharedSegmentRecord) == 32, "the layout is a contract between processes");
static_assert(std::atomic<uint64_t>::is_always_lock_free,
              "a lock inside an atomic would be private to each process");

struct TableShape {
  uint32_t capacity;
  uint64_t pageBytes;
  uint64_t windowBytes; /* whole pages */
};

/** A checked copy. */
struct SegmentPlace {
  uint32_t handle;
  uint64_t offset; /* in the window */
  size_t bytes;
  size_t extentBytes;
};

struct SegmentRecord {
  uint32_t handle;
  uint32_t refcount;
  bool pinned;
  uint64_t offset;
  uint64_t bytes;
};

class SegmentTable {
 public:
  static size_t bytesFor(uint32_t capacity);
  /** `section` is zero, and nobody else's yet. */
  static Status format(std::span<std::byte> section, const TableShape& shape);
  static Result<SegmentTable> attach(std::span<std::byte> section, const TableShape& shape);
  /** For who has formatted it himself: whatever its header says now, list() works. */
  static SegmentTable formatted(std::span<std::byte> section, const TableShape& shape) {
    return SegmentTable(section, shape);
  }

  /** A new segment with refcount 2. Its pages are zero. */
  Result<SegmentPlace> add(size_t bytes);
  /** One reference more; segmentGone unless somebody holds it. */
  Result<SegmentPlace> acquire(uint32_t handle);
  /** One reference less. If it was the last, the place: the caller empties it, then remove()s. */
  Result<std::optional<SegmentPlace>> release(uint32_t handle);
  Status pin(uint32_t handle);
  /** Like release(). */
  Result<std::optional<SegmentPlace>> unpin(uint32_t handle);
  /** The end of a segment whose pages have been given back. */
  Status remove(uint32_t handle);

  /** Lock-free: anybody, the supervisor too. */
  std::vector<SegmentRecord> list() const;

 private:
  SegmentTable(std::span<std::byte> section, const TableShape& shape)
      : section_(section), shape_(shape) {}
  SharedTableHeader& header() const;
  std::span<SharedSegmentRecord> records() const;
  /** Those that were ever used. */
  std::span<SharedSegmentRecord> knownRecords() const;
  /** A free one; null if there is none. */
  SharedSegmentRecord* freeRecord();
  std::span<uint32_t> positions() const;

  bool isPlace(uint64_t offset, uint64_t bytes) const;
  Result<SegmentPlace> placeOf(const SharedSegmentRecord& record) const;
  SharedSegmentRecord* search(uint32_t handle, uint32_t leastRefcount) const;
  Result<std::optional<SegmentPlace>> dropReference(SharedSegmentRecord& record);
  uint32_t nextHandle();

  struct Gap {
    uint32_t position;
    uint64_t offset;
  };
  /** `used`: the caller's checked copy of usedCount. */
  Result<Gap> firstFit(uint64_t extentBytes, uint32_t used) const;

  std::span<std::byte> section_;
  TableShape shape_;
};

}  // namespace bgworker
