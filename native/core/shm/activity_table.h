// activity_table.h: what each attached process says of itself: its database, and what it runs
// (pg_stat_activity). For people to read, and for who looks for the workers of a database.
//
// One SharedActivity for each slot. Zeroed memory is a valid table: nobody says anything.
//
//  Who writes what, and why nobody needs a lock
//  --------------------------------------------
//  all of it   written by the process of this slot while it lives, and by the postmaster only once
//              that process has been reaped. Read by anyone, at any time.
//  changes     even: what stands here is whole; odd: it is being written. Every word is stored with
//              release, behind the odd number, and loaded with acquire, before the second look at
//              the number: who has read a word of the new content finds another number than before.
//
// The postmaster believes nothing of this. A process that died while it wrote leaves an odd number,
// one that scribbles leaves anything; so a reader gives up after some attempts, lengths are bounded
// by what there is room for, and what the bytes mean is for the reader to make harmless.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace bgworker {

/** PostgreSQL's NAMEDATALEN, and what is left of 1 KiB (its track_activity_query_size). */
inline constexpr size_t kDatabaseMaxBytes = 64;
inline constexpr size_t kActivityMaxBytes = 944;

struct alignas(64) SharedActivity {
  std::atomic<uint32_t> changes;       /* by the process; by the postmaster after its death */
  std::atomic<uint32_t> databaseBytes; /* likewise; at most kDatabaseMaxBytes */
  std::atomic<uint32_t> activityBytes; /* likewise; at most kActivityMaxBytes */
  uint32_t unused;
  std::atomic<uint64_t> database[kDatabaseMaxBytes / 8]; /* likewise */
  std::atomic<uint64_t> activity[kActivityMaxBytes / 8]; /* likewise */
};
static_assert(sizeof(SharedActivity) == 1024 && offsetof(SharedActivity, database) == 16 &&
                  offsetof(SharedActivity, activity) == 80,
              "the layout is a contract between processes");
static_assert(std::is_standard_layout_v<SharedActivity> &&
                  std::is_trivially_destructible_v<SharedActivity> &&
                  std::atomic<uint64_t>::is_always_lock_free,
              "shared memory holds plain data, and no lock that is private to a process");

/** Bytes, as they were found; nobody has looked at what they are. */
struct ActivityView {
  std::string database;
  std::string activity;
};

/** A view; copied freely. Every verb asserts that its slot is below our own copy of the count. */
class ActivityTable {
 public:
  /** `memory`: bytesFor(slotCount) bytes on a cache line; zeroed before the first use. */
  ActivityTable(void* memory, uint32_t slotCount);

  static constexpr size_t bytesFor(uint32_t slotCount) {
    return static_cast<size_t>(slotCount) * sizeof(SharedActivity);
  }

  /** The process of that slot only. What is longer than its room is cut off. */
  void report(uint32_t slot, std::string_view database, std::string_view activity) const;
  /** The postmaster only, when the process of that slot has been reaped. */
  void clear(uint32_t slot) const;
  /** Anyone. Nothing: it is being written, and that does not end. */
  std::optional<ActivityView> read(uint32_t slot) const;

 private:
  SharedActivity& at(uint32_t slot) const;

  SharedActivity* first_;
  uint32_t slotCount_;
};

}  // namespace bgworker
