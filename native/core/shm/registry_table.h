// registry_table.h: the names under which dynamic segments can be found: the shared half.
//
// Registry, which attaches them, is its only user; the supervisor may list() it.
//
//  Who writes what, and why that is safe
//  -------------------------------------
//  Section: header | capacity entries. As many entries as there can be segments.
//
//  header.magic, version, capacity
//              written once, by format(); attach() compares them with what it is told.
//  header.mutex guards the making of entries. Taken by workers only.
//  header.entryCount
//              written under the mutex, with a release, behind the entry that it shows; so who
//              has read it with an acquire reads names, kinds and sizes without a lock: they never
//              change again, and no entry is ever removed. Readers clamp it to their capacity.
//  entry.once  the entry's lock, while its segment is made and initialised.
//  entry.handle
//              written by the initialiser, before once.finish(), which is the release; read by
//              whoever found once ready, which is the acquire. It is believed only as far as the
//              segment table knows it.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/shm/refusal.h"
#include "core/shm/shared_mutex.h"
#include "core/shm/shared_once.h"

namespace bgworker {

inline constexpr uint64_t kRegistryMagic = 0x0067655257474742;  // "BGGWReg" in memory
inline constexpr uint32_t kRegistryVersion = 1;

/** The numbers are stored: 0 is none. */
enum class RegistryKind : uint32_t { segment = 1, area = 2, hash = 3 };

struct alignas(64) SharedRegistryHeader {
  uint64_t magic;                   /* written once by format() */
  uint32_t version;                 /* written once by format() */
  uint32_t capacity;                /* written once by format() */
  SharedMutex mutex;                /* workers */
  std::atomic<uint32_t> entryCount; /* under the mutex; read by all, without */
};
static_assert(sizeof(SharedRegistryHeader) == 64, "the layout is a contract between processes");

struct alignas(64) SharedRegistryEntry {
  char name[kSharedNameBytes];  /* written once, before entryCount shows the entry */
  uint64_t bytes;               /* likewise */
  uint32_t kind;                /* likewise; a RegistryKind */
  SharedOnce once;              /* the initialiser, then read by all */
  std::atomic<uint32_t> handle; /* the initialiser, before once is ready */
};
static_assert(sizeof(SharedRegistryEntry) == 128, "the layout is a contract between processes");
static_assert(offsetof(SharedRegistryEntry, bytes) == 64 &&
                  offsetof(SharedRegistryEntry, handle) == 80,
              "the layout is a contract between processes");

struct RegistryRecord {
  std::string name; /* 1 to 63 bytes, as they stand there */
  RegistryKind kind;
  std::optional<uint64_t> bytes; /* none: not initialised */
};

class RegistryTable {
 public:
  static size_t bytesFor(uint32_t capacity);
  /** `section` is zero, and nobody else's yet. */
  static void format(std::span<std::byte> section, uint32_t capacity);
  static Result<RegistryTable> attach(std::span<std::byte> section, uint32_t capacity);
  /** For who has formatted it himself: whatever its header says now, list() works. */
  static RegistryTable formatted(std::span<std::byte> section, uint32_t capacity) {
    return RegistryTable(section, capacity);
  }

  /** Finds or makes it; refuses another kind or size. */
  Result<SharedRegistryEntry*> findOrAdd(std::string_view name, RegistryKind kind, size_t bytes);
  /** Lock-free: anybody, the supervisor too. */
  std::vector<RegistryRecord> list() const;

 private:
  RegistryTable(std::span<std::byte> section, uint32_t capacity)
      : section_(section), capacity_(capacity) {}
  SharedRegistryHeader& header() const;
  std::span<SharedRegistryEntry> entries() const;
  SharedRegistryEntry* search(std::string_view name) const;
  Result<SharedRegistryEntry*> add(std::string_view name, RegistryKind kind, size_t bytes);

  std::span<std::byte> section_;
  uint32_t capacity_;
};

}  // namespace bgworker
