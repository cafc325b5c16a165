// hash_layout.h: what a shared hash table looks like in its heap. hash.h says what it does.
//
//     control (with its partitions) → buckets → item → item → …
//
//  Who writes what, and why that is safe
//  -------------------------------------
//  control.magic … maxValueBytes, seed
//              written once, by create(), before the table's pointer is handed on; attach() checks
//              them, and each process keeps its own copies.
//  control.buckets, sizeLog2
//              written only by who holds all 128 locks (grow()); so whoever holds one may read
//              them. They are atomics because bucketCount() reads without a lock.
//  partition   mutex guards every item whose hash has this partition's number as its upper seven
//              bits, and the buckets of these: a bucket's number is the upper sizeLog2 bits of the
//              hash, and sizeLog2 >= 7, so a partition's buckets are neighbours and no bucket has
//              two. count is an atomic because count() reads without a lock.
//              Order: a process takes one; grow() takes all, upwards, having released that one; a
//              scan takes the next before it releases the last, upwards, too. The heap's locks
//              come after these. destroy() takes none: nobody else uses the table then.
//  item        everything under its partition's mutex. hash and keyBytes never change.
//
//  A pointer out of the heap, a length above its limit or a chain of more than kMostChainSteps is
//  `corrupt`; nothing is followed unchecked.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/shm/heap.h"
#include "core/shm/shared_mutex.h"

namespace bgworker {

inline constexpr uint64_t kHashMagic = 0x0073614857474742;  // "BGGWHas" in memory
inline constexpr uint32_t kHashVersion = 1;
inline constexpr uint32_t kPartitionsLog2 = 7;
inline constexpr uint32_t kPartitionCount = 1U << kPartitionsLog2;
inline constexpr uint32_t kFirstSizeLog2 = kPartitionsLog2 + 1;
inline constexpr uint32_t kMostSizeLog2 = 28;
/** At 75 % load a chain of 30 is a wonder: this many is a circle. */
inline constexpr uint32_t kMostChainSteps = 1U << 20;

constexpr uint32_t partitionOf(uint32_t hash) { return hash >> (32 - kPartitionsLog2); }
constexpr uint32_t bucketOf(uint32_t hash, uint32_t sizeLog2) { return hash >> (32 - sizeLog2); }

struct alignas(16) SharedHashPartition {
  SharedMutex mutex;
  std::atomic<uint32_t> count; /* under the mutex; read by all, without */
  uint64_t unused;
};
static_assert(sizeof(SharedHashPartition) == 16, "the layout is a contract between processes");

struct SharedHashControl {
  uint64_t magic;                 /* written once by create() */
  uint32_t version;               /* written once by create() */
  uint32_t maxKeyBytes;           /* written once by create() */
  uint32_t maxValueBytes;         /* written once by create() */
  std::atomic<uint32_t> sizeLog2; /* under all mutexes */
  std::atomic<uint64_t> buckets;  /* under all mutexes */
  uint64_t seed;                  /* written once by create() */
  uint64_t unused[3];
  SharedHashPartition partitions[kPartitionCount];
};
static_assert(sizeof(SharedHashControl) == 64 + 16 * 128,
              "the layout is a contract between processes");
static_assert(offsetof(SharedHashControl, seed) == 32 &&
                  offsetof(SharedHashControl, partitions) == 64,
              "the layout is a contract between processes");

/** Behind it the key, then, from the next multiple of 8, the value. */
struct SharedHashItem {
  uint64_t next; /* a HeapPointer; 0 at the end of the chain */
  uint32_t hash;
  uint32_t keyBytes;
  uint32_t valueBytes;
  uint32_t capacity; /* for the value */
};
static_assert(sizeof(SharedHashItem) == 24, "the layout is a contract between processes");

/** A checked item: addresses of this process. */
struct HashItemView {
  HeapPointer pointer;
  SharedHashItem* item;
  uint32_t hash;
  uint32_t capacity;
  std::span<const std::byte> key;
  std::span<std::byte> value;
};

}  // namespace bgworker
