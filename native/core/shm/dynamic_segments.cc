#include "core/shm/dynamic_segments.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "core/shm/around.h"
#include "core/shm/refusal.h"
#include "core/shm/shared_pages.h"

namespace bgworker {
namespace {

TableShape shapeOf(const AreaLayout& layout) {
  return {layout.segmentCapacity, systemPageBytes(), layout.window.bytes};
}

}  // namespace

Status DynamicSegments::format(std::span<std::byte> fixed, const AreaLayout& layout) {
  PM_ASSERT(fixed.size() == layout.fixedBytes(), "the whole fixed part is mapped");
  return SegmentTable::format(fixed.subspan(layout.table.offset, layout.table.bytes),
                              shapeOf(layout));
}

Result<DynamicSegments> DynamicSegments::attach(int descriptor, std::span<std::byte> fixed,
                                                const AreaLayout& layout) {
  PM_ASSERT(fixed.size() == layout.fixedBytes(), "the whole fixed part is mapped");
  Result<SegmentTable> table =
      SegmentTable::attach(fixed.subspan(layout.table.offset, layout.table.bytes), shapeOf(layout));
  if (!table.ok()) return table.error();
  return DynamicSegments(descriptor, table.value(), layout.window);
}

std::vector<SegmentRecord> DynamicSegments::listOf(std::span<std::byte> fixed,
                                                   const AreaLayout& layout) {
  return SegmentTable::formatted(fixed.subspan(layout.table.offset, layout.table.bytes),
                                 shapeOf(layout))
      .list();
}

DynamicSegments::DynamicSegments(DynamicSegments&& other) noexcept
    : descriptor_(other.descriptor_),
      table_(other.table_),
      window_(other.window_),
      mappings_(std::exchange(other.mappings_, {})) {}

Result<SegmentView> DynamicSegments::create(size_t bytes) {
  Result<SegmentPlace> place = table_.add(bytes);
  if (!place.ok()) return place.error();
  return map(place.value());
}

Result<SegmentView> DynamicSegments::attach(uint32_t handle) {
  if (search(handle) != nullptr) return refuse(Refusal::alreadyAttached);
  Result<SegmentPlace> place = table_.acquire(handle);
  if (!place.ok()) return place.error();
  return map(place.value());
}

SegmentView DynamicSegments::find(uint32_t handle) const {
  for (const Mapping& mapping : mappings_) {
    if (mapping.view.handle == handle) return mapping.view;
  }
  return {};
}

SegmentView DynamicSegments::findAround(const void* address, size_t bytes) const {
  for (const Mapping& mapping : mappings_) {
    const SegmentView& view = mapping.view;
    if (isAround({static_cast<std::byte*>(view.address), view.bytes}, address, bytes)) return view;
  }
  return {};
}

void DynamicSegments::detach(uint32_t handle) {
  // Each turn looks anew: a callback may have attached, detached or registered something.
  for (;;) {
    Mapping* mapping = search(handle);
    if (mapping == nullptr) return;
    if (mapping->callbacks.empty()) break;
    Callback callback = mapping->callbacks.back();
    mapping->callbacks.pop_back();
    SegmentView view = mapping->view;
    callback.function(view, callback.argument);
  }
  Mapping* mapping = search(handle);
  const bool counted = mapping->counted;
  munmap(mapping->view.address, mapping->extentBytes);
  mappings_.erase(mappings_.begin() + (mapping - mappings_.data()));
  if (counted) drop(handle);
}

void DynamicSegments::detachAll() {
  while (!mappings_.empty()) detach(mappings_.back().view.handle);
}

void DynamicSegments::releaseUnpinned() {
  for (;;) {
    const auto last = std::ranges::find_if(mappings_.rbegin(), mappings_.rend(),
                                           [](const Mapping& mapping) { return !mapping.pinned; });
    if (last == mappings_.rend()) return;
    detach(last->view.handle);
  }
}

Status DynamicSegments::pinMapping(uint32_t handle) {
  Mapping* mapping = search(handle);
  if (mapping == nullptr) return refuse(Refusal::notAttached);
  mapping->pinned = true;
  return {};
}

Status DynamicSegments::unpinMapping(uint32_t handle) {
  Mapping* mapping = search(handle);
  if (mapping == nullptr) return refuse(Refusal::notAttached);
  mapping->pinned = false;
  return {};
}

Status DynamicSegments::pinSegment(uint32_t handle) {
  if (search(handle) == nullptr) return refuse(Refusal::notAttached);
  return table_.pin(handle);
}

Status DynamicSegments::unpinSegment(uint32_t handle) {
  Result<std::optional<SegmentPlace>> last = table_.unpin(handle);
  if (!last.ok()) return last.error();
  if (last.value().has_value()) destroy(*last.value());
  return {};
}

Status DynamicSegments::onDetach(uint32_t handle, DetachCallback callback, void* argument) {
  Mapping* mapping = search(handle);
  if (mapping == nullptr) return refuse(Refusal::notAttached);
  mapping->callbacks.push_back({callback, argument});
  return {};
}

bool DynamicSegments::cancelOnDetach(uint32_t handle, DetachCallback callback, void* argument) {
  Mapping* mapping = search(handle);
  if (mapping == nullptr) return false;
  auto& all = mapping->callbacks;
  for (size_t index = all.size(); index-- > 0;) {
    if (all[index].function != callback || all[index].argument != argument) continue;
    all.erase(all.begin() + static_cast<ptrdiff_t>(index));
    return true;
  }
  return false;
}

void DynamicSegments::reset() {
  for (Mapping& mapping : mappings_) {
    mapping.callbacks.clear();
    mapping.counted = false;
  }
}

Result<SegmentView> DynamicSegments::map(const SegmentPlace& place) {
  void* address = mmap(nullptr, place.extentBytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_,
                       static_cast<off_t>(window_.offset + place.offset));
  if (address == MAP_FAILED) {
    SystemError failed = lastError("mmap");
    drop(place.handle);
    return failed;
  }
  SegmentView view{place.handle, address, place.bytes};
  mappings_.push_back({view, place.extentBytes});
  return view;
}

DynamicSegments::Mapping* DynamicSegments::search(uint32_t handle) {
  for (Mapping& mapping : mappings_) {
    if (mapping.view.handle == handle) return &mapping;
  }
  return nullptr;
}

void DynamicSegments::drop(uint32_t handle) {
  Result<std::optional<SegmentPlace>> last = table_.release(handle);
  // Damaged: nobody can say any more what may be destroyed, so nothing is. See the file's head.
  if (last.ok() && last.value().has_value()) destroy(*last.value());
}

void DynamicSegments::destroy(const SegmentPlace& place) {
  // The record still holds the extent, so nobody can get it before its pages are zero again. If
  // they cannot be given back, it keeps it: a segment less, rather than one that is not zero.
  const auto offset = static_cast<off_t>(window_.offset + place.offset);
  int done = 0;
  do {
    done = fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                     static_cast<off_t>(place.extentBytes));
  } while (done < 0 && errno == EINTR);
  if (done < 0) return;
  // A failure means that the table is damaged; then the record stays as it is.
  (void)table_.remove(place.handle).ok();
}

}  // namespace bgworker
