// hash.h: a hash table in a shared heap (dshash.c): byte keys, byte values, many writers.
//
//     Result<HashEntry> entry = table.findOrInsert(key, valueBytes);
//     … entry.value().value() is locked and yours to read and write …
//     entry.value().release();                               // or the end of its scope
//
// 128 partitions, each with its own lock; an entry that was found keeps its partition locked until
// it is released, and so does a scan between two steps. A process holds at most one of these
// locks: asking for a second entry before the first is released is a bug, and asserted, since two
// processes that did so could wait for each other. What it writes into the value is its own care:
// if it fails half-way, the half is what the others find.
//
// A value has as many bytes as it was inserted with; assign() changes that. It begins on 8 bytes,
// so 64-bit atomics work in it. The table grows at a load of 75 % and never shrinks. One lock mode:
// readers exclude each other, too.
//
// One object for each process, used by one thread. The shared half is described in hash_layout.h.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "core/base/result.h"
#include "core/shm/hash_layout.h"
#include "core/shm/heap.h"

namespace bgworker {

inline constexpr uint32_t kMostKeyBytes = 1024;
inline constexpr uint32_t kMostValueBytes = uint32_t{1} << 20;
/** Below, a heap has no room for each size of entry. */
inline constexpr size_t kLeastHashBytes = size_t{1} << 20;

/** Who attaches must say the same as who created. */
struct HashShape {
  uint32_t maxKeyBytes;   /* 1 to kMostKeyBytes */
  uint32_t maxValueBytes; /* 0 to kMostValueBytes */
};
Status checkShape(const HashShape& shape);

class Hash;

/** A locked entry, or none. Not to outlive its table. */
class [[nodiscard]] HashEntry {
 public:
  HashEntry() = default;
  HashEntry(HashEntry&& other) noexcept
      : table_(std::exchange(other.table_, nullptr)),
        item_(other.item_),
        inserted_(other.inserted_) {}
  HashEntry& operator=(HashEntry&& other) noexcept {
    if (this != &other) {
      release();
      table_ = std::exchange(other.table_, nullptr);
      item_ = other.item_;
      inserted_ = other.inserted_;
    }
    return *this;
  }
  ~HashEntry() { release(); }

  /** False: nothing was found, nothing is locked. */
  bool exists() const { return table_ != nullptr; }
  /** True: findOrInsert() made it, and the value is zero. */
  bool inserted() const { return inserted_; }
  std::span<const std::byte> key() const { return item_.key; }
  std::span<std::byte> value() const { return item_.value; }
  /** Replaces the value, and its length. If the heap is full the old one stays. */
  Status assign(std::span<const std::byte> value);
  /** Removes it from the table and releases it. */
  Status erase();
  void release();

 private:
  friend class Hash;
  HashEntry(Hash* table, const HashItemView& item, bool inserted)
      : table_(table), item_(item), inserted_(inserted) {}

  Hash* table_ = nullptr;
  HashItemView item_{};
  bool inserted_ = false;
};

class Hash {
 public:
  static Result<Hash> create(Heap heap, const HashShape& shape);
  /** foreign if there is no table at `pointer`, parametersWrong if it has another shape. */
  static Result<Hash> attach(Heap heap, HeapPointer pointer, const HashShape& shape);

  Hash(Hash&& other) noexcept;
  Hash& operator=(Hash&&) = delete;

  Result<HashEntry> find(std::span<const std::byte> key);
  Result<HashEntry> findOrInsert(std::span<const std::byte> key, uint32_t valueBytes);
  /** False if there was none. */
  Result<bool> erase(std::span<const std::byte> key);

  /** Visits each entry that is there throughout; one that comes or goes meanwhile, perhaps. */
  class [[nodiscard]] Scan {
   public:
    explicit Scan(Hash& table) : table_(table) {}
    Scan(const Scan&) = delete;
    Scan& operator=(const Scan&) = delete;
    ~Scan() { finish(); }
    /** The next entry, locked until the next call; nothing, at the end. */
    Result<std::optional<HashItemView>> next();
    /** Removes the entry that next() returned. */
    Status eraseCurrent();
    void finish();

   private:
    Result<bool> moveToPartition(uint32_t partition);

    Hash& table_;
    bool started_ = false;
    bool ended_ = false;
    uint32_t bucket_ = 0;
    HeapPointer current_ = 0;
    HeapPointer following_ = 0;
    uint32_t steps_ = 0;
  };

  /** Lock-free; exact while nobody changes it. */
  uint64_t count() const;
  uint64_t bucketCount() const;
  HeapPointer pointer() const { return pointer_; }
  /** Somewhere in its heap, in this process. */
  const void* address() const { return control_; }
  /** Frees everything. Nobody else may be using it; this object is of no use afterwards. */
  Status destroy();

 private:
  friend class HashEntry;
  Hash(Heap heap, HeapPointer pointer, const HashShape& shape, SharedHashControl* control)
      : heap_(heap), pointer_(pointer), shape_(shape), control_(control), seed_(control->seed) {}

  struct Buckets {
    uint64_t* first;
    uint32_t sizeLog2;
  };
  struct Place {
    HeapPointer* link;  // what points to it: a bucket, or the item before
    HashItemView item;  // its pointer is 0 if there is none
  };

  Status checkKey(std::span<const std::byte> key) const;
  uint32_t hashOf(std::span<const std::byte> key) const;
  Status hold(uint32_t partition);
  void letGo();
  Result<Buckets> buckets() const;
  Result<HashItemView> itemAt(HeapPointer pointer) const;
  Result<Place> locate(std::span<const std::byte> key, uint32_t hash) const;
  Result<HashItemView> makeItem(std::span<const std::byte> key, uint32_t hash, uint32_t valueBytes);
  Result<HashEntry> insertHeld(std::span<const std::byte> key, uint32_t hash, uint32_t valueBytes);
  Status removeHeld(std::span<const std::byte> key, uint32_t hash);
  Result<HashItemView> replaceHeld(const HashItemView& item, std::span<const std::byte> value);
  bool isCrowded(uint32_t partition) const;
  Status grow(uint32_t fromSizeLog2);
  Status growHeld(uint32_t fromSizeLog2);
  Result<HeapPointer> moveItems(const Buckets& from, uint64_t* into, uint32_t intoSizeLog2);
  Status freeItems(const Buckets& from);

  Heap heap_;
  HeapPointer pointer_;
  HashShape shape_;
  SharedHashControl* control_;
  uint64_t seed_;
  std::optional<uint32_t> held_;  // the partition that this process has locked
};

}  // namespace bgworker
