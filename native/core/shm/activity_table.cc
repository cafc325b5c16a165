#include "core/shm/activity_table.h"

#include <algorithm>
#include <array>

#include "core/base/assert.h"

namespace bgworker {
namespace {

// Larger than any honest race lasts; who never comes to rest must not keep a reader here.
constexpr int kReadAttempts = 1000;

/** Release, each word: who reads one of them finds the odd number that was stored before. */
template <size_t kWords>
void storeBytes(std::atomic<uint64_t> (&words)[kWords], std::string_view bytes) {
  std::array<uint64_t, kWords> copy{};
  bytes.copy(reinterpret_cast<char*>(copy.data()), bytes.size());
  const size_t used = (bytes.size() + 7) / 8;
  for (size_t index = 0; index < used; ++index) {
    words[index].store(copy[index], std::memory_order_release);
  }
}

/** Acquire, each word: the second look at the number comes after all of them. */
template <size_t kWords>
std::string loadBytes(const std::atomic<uint64_t> (&words)[kWords], size_t bytes) {
  std::array<uint64_t, kWords> copy;
  const size_t used = (bytes + 7) / 8;
  for (size_t index = 0; index < used; ++index) {
    copy[index] = words[index].load(std::memory_order_acquire);
  }
  return {reinterpret_cast<const char*>(copy.data()), bytes};
}

}  // namespace

ActivityTable::ActivityTable(void* memory, uint32_t slotCount)
    : first_(static_cast<SharedActivity*>(memory)), slotCount_(slotCount) {
  PM_ASSERT(reinterpret_cast<uintptr_t>(memory) % alignof(SharedActivity) == 0,
            "an activity table starts on a cache line");
}

SharedActivity& ActivityTable::at(uint32_t slot) const {
  PM_ASSERT(slot < slotCount_, "a slot number is below our own copy of slotCount");
  return first_[slot];
}

void ActivityTable::report(uint32_t slot, std::string_view database,
                           std::string_view activity) const {
  SharedActivity& shared = at(slot);
  database = database.substr(0, kDatabaseMaxBytes);
  activity = activity.substr(0, kActivityMaxBytes);
  // Odd whatever stood there: an earlier process may have died in the middle.
  const uint32_t writing = shared.changes.load(std::memory_order_relaxed) | 1;
  shared.changes.store(writing, std::memory_order_relaxed);
  shared.databaseBytes.store(static_cast<uint32_t>(database.size()), std::memory_order_release);
  shared.activityBytes.store(static_cast<uint32_t>(activity.size()), std::memory_order_release);
  storeBytes(shared.database, database);
  storeBytes(shared.activity, activity);
  shared.changes.store(writing + 1, std::memory_order_release);
}

void ActivityTable::clear(uint32_t slot) const { report(slot, {}, {}); }

std::optional<ActivityView> ActivityTable::read(uint32_t slot) const {
  const SharedActivity& shared = at(slot);
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    const uint32_t before = shared.changes.load(std::memory_order_acquire);
    if (before % 2 != 0) continue;
    const uint32_t databaseBytes = shared.databaseBytes.load(std::memory_order_acquire);
    const uint32_t activityBytes = shared.activityBytes.load(std::memory_order_acquire);
    ActivityView view{
        loadBytes(shared.database, std::min<size_t>(databaseBytes, kDatabaseMaxBytes)),
        loadBytes(shared.activity, std::min<size_t>(activityBytes, kActivityMaxBytes))};
    if (shared.changes.load(std::memory_order_relaxed) == before) return view;
  }
  return std::nullopt;
}

}  // namespace bgworker
