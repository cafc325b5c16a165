// directory.h: the structures of fixed size in the main segment, by name (ShmemInitStruct).
//
// A preload module's start-up hook claims its structures by name, in every process and again after
// every crash cycle. The first to come gets zeroed memory and initialises it, the others get the
// same memory, initialised:
//
//     Result<StructClaim> claim = directory.claim("hits", 128);
//     if (!claim.value().found()) { initialise(claim.value().address()); claim.value().publish(); }
//
// A claim that ends unpublished was a failure: its memory is zeroed again, and the next claimant
// is the creator. Nothing is ever freed.
//
//  Who writes what, and why that is safe
//  -------------------------------------
//  Section: header | kDirectoryCapacity entries | structures, each on its own cache lines.
//
//  header.magic, version, totalBytes
//              written once, by format(), before anybody else has the section. attach() checks
//              them against the size of the section that it was given, and no verb reads them
//              again.
//  header.mutex guards structBytes and the making of entries. Taken by workers only.
//  header.structBytes
//              how much of the space for structures is taken; written under the mutex, and checked
//              against the section's size by whoever reads it, space() without the mutex.
//  header.entryCount
//              written under the mutex, with a release, once the new entry is complete; whoever
//              has read it with an acquire may read the entries below it without a lock, because
//              an entry's name, offset and sizes never change again. Readers clamp it to
//              kDirectoryCapacity.
//  entry.once  whether the content is there; see shared_once.h.
//
//  offset and bytes of an entry are copied and checked against the section before use: damage
//  makes claim() and find() return `corrupt`, and list() leave the entry out. Structures lie in
//  the order of their entries, so one that reaches into its successor is damage, too.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/shm/refusal.h"
#include "core/shm/shared_mutex.h"
#include "core/shm/shared_once.h"

namespace bgworker {

inline constexpr uint64_t kDirectoryMagic = 0x0072694457474742;  // "BGGWDir" in memory
inline constexpr uint32_t kDirectoryVersion = 1;
inline constexpr uint32_t kDirectoryCapacity = 256;
inline constexpr size_t kStructAlignment = 64;

struct alignas(64) SharedDirectoryHeader {
  uint64_t magic;                    /* written once by format() */
  uint32_t version;                  /* written once by format() */
  SharedMutex mutex;                 /* workers */
  uint64_t totalBytes;               /* written once by format() */
  std::atomic<uint64_t> structBytes; /* under the mutex; read by space() without */
  std::atomic<uint32_t> entryCount;  /* under the mutex; read by all, without */
};
static_assert(sizeof(SharedDirectoryHeader) == 64, "the layout is a contract between processes");

struct alignas(64) SharedDirectoryEntry {
  char name[kSharedNameBytes]; /* written once, before entryCount shows the entry */
  uint64_t offset;             /* likewise; from the start of the section */
  uint64_t bytes;              /* likewise; as asked for */
  uint64_t allocatedBytes;     /* likewise; in whole cache lines */
  SharedOnce once;             /* the initialiser, then read by all */
};
static_assert(sizeof(SharedDirectoryEntry) == 128, "the layout is a contract between processes");
static_assert(offsetof(SharedDirectoryEntry, offset) == 64 &&
                  offsetof(SharedDirectoryEntry, once) == 88,
              "the layout is a contract between processes");

struct StructView {
  void* address;
  size_t bytes;
};

struct StructRecord {
  std::string name; /* up to 63 bytes, as they stand there */
  uint64_t offset;
  uint64_t bytes;
  uint64_t allocatedBytes;
};

/** Where the section's structures lie. */
struct StructSpace {
  uint64_t offset; /* as the records' offsets */
  uint64_t bytes;
  uint64_t takenBytes; /* at most `bytes`, whatever stands in the header; a hint, no more */
};

class [[nodiscard]] StructClaim {
 public:
  StructClaim(StructView view, SharedOnce* once) : view_(view), once_(once) {}
  StructClaim(StructClaim&& other) noexcept
      : view_(other.view_), once_(std::exchange(other.once_, nullptr)) {}
  StructClaim& operator=(StructClaim&&) = delete;
  ~StructClaim() { abandon(); }

  /** True: somebody has initialised it. False: it is zero, and yours to initialise. */
  bool found() const { return once_ == nullptr; }
  void* address() const { return view_.address; }
  size_t bytes() const { return view_.bytes; }
  void publish();
  void abandon();

 private:
  StructView view_;
  SharedOnce* once_;  // null once it is everybody's
};

class Directory {
 public:
  /** The section's size for structures of these sizes, each counted by structSpace(). */
  static size_t bytesFor(size_t structBytes);
  /** What a structure takes of the space that is asked for. */
  static size_t structSpace(size_t bytes);

  /** `section` is zero, and nobody else's yet. */
  static void format(std::span<std::byte> section);
  static Result<Directory> attach(std::span<std::byte> section);
  /** For who has formatted it himself: whatever its header says now, list() and space() work. */
  static Directory formatted(std::span<std::byte> section) { return Directory(section); }

  /** Waits while another process initialises it. */
  Result<StructClaim> claim(std::string_view name, size_t bytes);

  // Lock-free: anybody, the supervisor too.
  /** Null if there is none, or it is not initialised yet. */
  StructView find(std::string_view name) const;
  /** By offset; no two overlap. */
  std::vector<StructRecord> list() const;
  StructSpace space() const;
  /** The structure in which all these bytes lie, initialised or not; or one that is null. */
  StructView findAround(const void* address, size_t bytes) const;

 private:
  explicit Directory(std::span<std::byte> section) : section_(section) {}
  SharedDirectoryHeader& header() const;
  SharedDirectoryEntry* entries() const;
  uint32_t entryCount() const;
  SharedDirectoryEntry* search(std::string_view name) const;
  Result<SharedDirectoryEntry*> findOrAdd(std::string_view name, size_t bytes);
  Result<SharedDirectoryEntry*> add(std::string_view name, size_t bytes);
  StructView checkedView(const SharedDirectoryEntry& entry) const;

  std::span<std::byte> section_;
};

}  // namespace bgworker
