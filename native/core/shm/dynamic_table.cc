#include "core/shm/dynamic_table.h"

#include <sys/random.h>

#include <algorithm>
#include <new>

#include "core/base/assert.h"
#include "core/shm/refusal.h"
#include "core/shm/shared_read.h"

namespace bgworker {
namespace {

constexpr uint32_t kDestroyed = 1, kCreated = 2;

/** A permutation of the 32-bit numbers: four Feistel rounds, so no two numbers meet. */
uint32_t permute(uint32_t number, uint64_t key) {
  uint32_t left = number >> 16, right = number & 0xffff;
  for (int round = 0; round < 4; ++round) {
    auto roundKey = static_cast<uint32_t>(key >> (16 * round)) & 0xffff;
    uint32_t mixed = (right ^ roundKey) * 0x9e3779b1U;
    mixed ^= mixed >> 15;
    mixed *= 0x85ebca6bU;
    uint32_t next = left ^ (mixed >> 16);
    left = right;
    right = next;
  }
  return left << 16 | right;
}

}  // namespace

size_t SegmentTable::bytesFor(uint32_t capacity) {
  return sizeof(SharedTableHeader) + capacity * (sizeof(SharedSegmentRecord) + sizeof(uint32_t));
}

Status SegmentTable::format(std::span<std::byte> section, const TableShape& shape) {
  PM_ASSERT(section.size() >= bytesFor(shape.capacity), "the section was sized by bytesFor()");
  PM_ASSERT(shape.windowBytes % shape.pageBytes == 0, "a window has whole pages");
  uint64_t key = 0;
  if (getrandom(&key, sizeof key, 0) != sizeof key) return lastError("getrandom");
  auto* header = new (section.data()) SharedTableHeader{};
  header->magic = kSegmentTableMagic;
  header->version = kSegmentTableVersion;
  header->capacity = shape.capacity;
  header->pageBytes = shape.pageBytes;
  header->windowBytes = shape.windowBytes;
  header->handleKey = key;
  return {};
}

Result<SegmentTable> SegmentTable::attach(std::span<std::byte> section, const TableShape& shape) {
  if (section.size() < bytesFor(shape.capacity)) return refuse(Refusal::foreign);
  const auto& header = *reinterpret_cast<const SharedTableHeader*>(section.data());
  if (header.magic != kSegmentTableMagic || header.version != kSegmentTableVersion ||
      header.capacity != shape.capacity || header.pageBytes != shape.pageBytes ||
      header.windowBytes != shape.windowBytes) {
    return refuse(Refusal::foreign);
  }
  return SegmentTable(section, shape);
}

Result<SegmentPlace> SegmentTable::add(size_t bytes) {
  if (bytes == 0) return refuse(Refusal::sizeZero);
  if (bytes > shape_.windowBytes) return refuse(Refusal::windowFull);
  const uint64_t extentBytes = (bytes + shape_.pageBytes - 1) / shape_.pageBytes * shape_.pageBytes;
  Locked locked(header().mutex);
  if (!locked.ok()) return locked.error();
  const uint32_t used = readOnce(header().usedCount);
  if (used > shape_.capacity) return refuse(Refusal::corrupt);
  SharedSegmentRecord* record = used == shape_.capacity ? nullptr : freeRecord();
  if (record == nullptr) return refuse(Refusal::tooManySegments);
  Result<Gap> gap = firstFit(extentBytes, used);
  if (!gap.ok()) return gap.error();
  const uint32_t handle = nextHandle();
  if (handle == kInvalidHandle) return refuse(Refusal::corrupt);

  std::span<uint32_t> order = positions();
  const uint32_t position = gap.value().position;
  std::copy_backward(order.begin() + position, order.begin() + used, order.begin() + used + 1);
  order[position] = static_cast<uint32_t>(record - records().data());
  header().usedCount = used + 1;
  // Releases, all of them, for the second look of list().
  record->offset.store(gap.value().offset, std::memory_order_release);
  record->bytes.store(bytes, std::memory_order_release);
  record->pinned.store(0, std::memory_order_release);
  record->refcount.store(kCreated, std::memory_order_release);
  record->handle.store(handle, std::memory_order_release);
  return SegmentPlace{handle, gap.value().offset, bytes, extentBytes};
}

Result<SegmentPlace> SegmentTable::acquire(uint32_t handle) {
  Locked locked(header().mutex);
  if (!locked.ok()) return locked.error();
  SharedSegmentRecord* record = search(handle, kCreated);
  if (record == nullptr) return refuse(Refusal::segmentGone);
  Result<SegmentPlace> place = placeOf(*record);
  if (!place.ok()) return place;
  const uint32_t refcount = record->refcount.load(kRelaxed);
  if (refcount == UINT32_MAX) return refuse(Refusal::corrupt);
  record->refcount.store(refcount + 1, kRelaxed);
  return place;
}

Result<std::optional<SegmentPlace>> SegmentTable::release(uint32_t handle) {
  Locked locked(header().mutex);
  if (!locked.ok()) return locked.error();
  SharedSegmentRecord* record = search(handle, kCreated);
  // Whoever releases held it: so it was there, unless somebody scribbled.
  if (record == nullptr) return refuse(Refusal::corrupt);
  return dropReference(*record);
}

Status SegmentTable::pin(uint32_t handle) {
  Locked locked(header().mutex);
  if (!locked.ok()) return locked.error();
  SharedSegmentRecord* record = search(handle, kCreated);
  if (record == nullptr) return refuse(Refusal::segmentGone);
  if (record->pinned.load(kRelaxed) != 0) return refuse(Refusal::alreadyPinned);
  const uint32_t refcount = record->refcount.load(kRelaxed);
  if (refcount == UINT32_MAX) return refuse(Refusal::corrupt);
  record->pinned.store(1, kRelaxed);
  record->refcount.store(refcount + 1, kRelaxed);
  return {};
}

Result<std::optional<SegmentPlace>> SegmentTable::unpin(uint32_t handle) {
  Locked locked(header().mutex);
  if (!locked.ok()) return locked.error();
  SharedSegmentRecord* record = search(handle, kCreated);
  if (record == nullptr) return refuse(Refusal::unknownSegment);
  if (record->pinned.load(kRelaxed) == 0) return refuse(Refusal::notPinned);
  record->pinned.store(0, kRelaxed);
  return dropReference(*record);
}

Status SegmentTable::remove(uint32_t handle) {
  Locked locked(header().mutex);
  if (!locked.ok()) return locked.error();
  SharedSegmentRecord* record = search(handle, kDestroyed);
  if (record == nullptr || record->refcount.load(kRelaxed) != kDestroyed) {
    return refuse(Refusal::corrupt);
  }
  const uint32_t used = readOnce(header().usedCount);
  if (used > shape_.capacity) return refuse(Refusal::corrupt);
  std::span<uint32_t> order = positions().first(used);
  const auto index = static_cast<uint32_t>(record - records().data());
  const auto position = std::ranges::find(order, index);
  if (position == order.end()) return refuse(Refusal::corrupt);
  std::copy(position + 1, order.end(), position);
  header().usedCount = used - 1;
  record->handle.store(kInvalidHandle, std::memory_order_release);
  record->refcount.store(0, kRelaxed);
  return {};
}

std::vector<SegmentRecord> SegmentTable::list() const {
  std::vector<SegmentRecord> found;
  for (const SharedSegmentRecord& record : knownRecords()) {
    const uint32_t handle = record.handle.load(std::memory_order_acquire);
    if (handle == kInvalidHandle) continue;
    SegmentRecord copy{handle, record.refcount.load(std::memory_order_acquire),
                       record.pinned.load(std::memory_order_acquire) != 0,
                       record.offset.load(std::memory_order_acquire),
                       record.bytes.load(std::memory_order_acquire)};
    if (record.handle.load(kRelaxed) != handle || copy.refcount <= kDestroyed) continue;
    if (isPlace(copy.offset, copy.bytes)) found.push_back(copy);
  }
  return found;
}

bool SegmentTable::isPlace(uint64_t offset, uint64_t bytes) const {
  // In this order each comparison keeps the next from wrapping.
  return offset <= shape_.windowBytes && offset % shape_.pageBytes == 0 && bytes > 0 &&
         bytes <= shape_.windowBytes - offset;
}

Result<SegmentPlace> SegmentTable::placeOf(const SharedSegmentRecord& record) const {
  const uint64_t offset = record.offset.load(kRelaxed), bytes = record.bytes.load(kRelaxed);
  if (!isPlace(offset, bytes)) return refuse(Refusal::corrupt);
  // Offset and window are whole pages, so rounding up stays inside.
  const uint64_t extentBytes = (bytes + shape_.pageBytes - 1) / shape_.pageBytes * shape_.pageBytes;
  return SegmentPlace{record.handle.load(kRelaxed), offset, bytes, extentBytes};
}

SharedSegmentRecord* SegmentTable::search(uint32_t handle, uint32_t leastRefcount) const {
  if (handle == kInvalidHandle) return nullptr;
  for (SharedSegmentRecord& record : knownRecords()) {
    if (record.handle.load(kRelaxed) == handle && record.refcount.load(kRelaxed) >= leastRefcount) {
      return &record;
    }
  }
  return nullptr;
}

Result<std::optional<SegmentPlace>> SegmentTable::dropReference(SharedSegmentRecord& record) {
  const uint32_t refcount = record.refcount.load(kRelaxed) - 1;
  if (refcount > kDestroyed) {
    record.refcount.store(refcount, kRelaxed);
    return std::optional<SegmentPlace>();
  }
  Result<SegmentPlace> place = placeOf(record);
  if (!place.ok()) return place.error();
  record.refcount.store(kDestroyed, kRelaxed);
  return std::optional(place.value());
}

uint32_t SegmentTable::nextHandle() {
  // Of capacity + 2 different numbers one is neither 0 nor in use.
  for (uint32_t attempt = 0; attempt < shape_.capacity + 2; ++attempt) {
    uint32_t handle = permute(++header().created, readOnce(header().handleKey));
    if (handle != kInvalidHandle && search(handle, kDestroyed) == nullptr) return handle;
  }
  return kInvalidHandle;
}

Result<SegmentTable::Gap> SegmentTable::firstFit(uint64_t extentBytes, uint32_t used) const {
  uint64_t end = 0;  // of the extents so far
  for (uint32_t position = 0; position < used; ++position) {
    const uint32_t index = readOnce(positions()[position]);
    if (index >= shape_.capacity) return refuse(Refusal::corrupt);
    Result<SegmentPlace> place = placeOf(records()[index]);
    if (!place.ok()) return place.error();
    if (place.value().offset < end) return refuse(Refusal::corrupt);
    if (place.value().offset - end >= extentBytes) return Gap{position, end};
    end = place.value().offset + place.value().extentBytes;
  }
  if (shape_.windowBytes - end < extentBytes) return refuse(Refusal::windowFull);
  return Gap{used, end};
}

SharedTableHeader& SegmentTable::header() const {
  return *reinterpret_cast<SharedTableHeader*>(section_.data());
}

std::span<SharedSegmentRecord> SegmentTable::records() const {
  auto* first = reinterpret_cast<SharedSegmentRecord*>(section_.data() + sizeof(SharedTableHeader));
  return {first, shape_.capacity};
}

std::span<SharedSegmentRecord> SegmentTable::knownRecords() const {
  // Pairs with the release in freeRecord().
  const uint32_t known = header().highWater.load(std::memory_order_acquire);
  return records().first(std::min(known, shape_.capacity));
}

SharedSegmentRecord* SegmentTable::freeRecord() {
  std::span<SharedSegmentRecord> known = knownRecords();
  for (SharedSegmentRecord& record : known) {
    if (record.refcount.load(kRelaxed) == 0) return &record;
  }
  if (known.size() == shape_.capacity) return nullptr;
  header().highWater.store(static_cast<uint32_t>(known.size()) + 1, std::memory_order_release);
  return &records()[known.size()];
}

std::span<uint32_t> SegmentTable::positions() const {
  auto* first = reinterpret_cast<uint32_t*>(section_.data() + sizeof(SharedTableHeader) +
                                            shape_.capacity * sizeof(SharedSegmentRecord));
  return {first, shape_.capacity};
}

}  // namespace bgworker
