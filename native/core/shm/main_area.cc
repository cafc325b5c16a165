#include "core/shm/main_area.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>
#include <utility>

#include "core/base/assert.h"
#include "core/shm/directory.h"
#include "core/shm/dynamic_segments.h"
#include "core/shm/memory_file.h"
#include "core/shm/registry.h"

namespace bgworker {
namespace {

// Larger than any honest race lasts. A process that scribbles on the slot could otherwise keep a
// reader here for ever.
constexpr int kReadAttempts = 1000;

constexpr uint32_t kArmed = 1;
constexpr uint32_t kDisarmed = 0;

Result<void*> mapShared(int descriptor, size_t bytes, void* address) {
  int fixed = address == nullptr ? 0 : MAP_FIXED;
  void* base = mmap(address, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | fixed, descriptor, 0);
  if (base == MAP_FAILED) return lastError("mmap");
  return base;
}

constexpr size_t slotsEnd(uint32_t slotCount) {
  return sizeof(MainAreaHeader) + static_cast<size_t>(slotCount) * sizeof(SharedSlot);
}

constexpr size_t processesEnd(uint32_t slotCount) {
  return slotsEnd(slotCount) + static_cast<size_t>(slotCount) * kProcessBytes;
}

/** Reads the header through the descriptor: nothing is mapped before it is known to be ours. */
Result<AreaShape> checkedShape(int descriptor) {
  Result<size_t> size = sealedSize(descriptor, Sealing::size);
  if (!size.ok()) return size.error();
  const SystemError foreign{"mmap", EPROTO};
  if (size.value() < sizeof(MainAreaHeader)) return foreign;
  MainAreaHeader header;
  Status read = readWhole(descriptor, {reinterpret_cast<uint8_t*>(&header), sizeof header});
  if (!read.ok()) return read.error();
  if (header.magic != kMainAreaMagic || header.version != kMainAreaVersion) return foreign;
  if (header.slotCount < 1 || header.slotCount > kMaxSlotCount) return foreign;
  if (header.totalBytes != size.value()) return foreign;
  AreaShape shape{header.slotCount, header.structBytes, header.windowBytes};
  Result<AreaLayout> layout = MainArea::layoutFor(shape);
  if (!layout.ok() || layout.value().totalBytes() != size.value()) return foreign;
  return shape;
}

/** The pages are zero already, which is what slots and processes start with. */
Status formatSections(void* base, const AreaLayout& layout) {
  std::span<std::byte> fixed(static_cast<std::byte*>(base), layout.fixedBytes());
  Directory::format(fixed.subspan(layout.directory.offset, layout.directory.bytes));
  Status formatted = DynamicSegments::format(fixed, layout);
  if (!formatted.ok()) return formatted;
  Registry::format(fixed, layout);
  return {};
}

}  // namespace

Result<AreaLayout> MainArea::layoutFor(const AreaShape& shape) {
  const size_t ownBytes = processesEnd(shape.slotCount) + ActivityTable::bytesFor(shape.slotCount);
  return layoutOf(ownBytes, shape.slotCount, shape.structBytes, shape.windowBytes);
}

Result<MainArea> MainArea::create(uint32_t slotCount, size_t structBytes, size_t windowBytes) {
  PM_ASSERT(slotCount >= 1 && slotCount <= kMaxSlotCount, "a main area has 1 to 262144 slots");
  const AreaShape shape{slotCount, structBytes, windowBytes};
  Result<AreaLayout> layout = layoutFor(shape);
  if (!layout.ok()) return layout.error();
  size_t total = layout.value().totalBytes();
  Result<Descriptor> file = makeMemoryFile("bgworker main area", total);
  if (!file.ok()) return file.error();
  Result<void*> base = mapShared(file.value().get(), layout.value().fixedBytes(), nullptr);
  if (!base.ok()) return base.error();
  MainArea area(std::move(file.value()), base.value(), shape, layout.value());
  new (base.value())
      MainAreaHeader{kMainAreaMagic, kMainAreaVersion, slotCount, total, structBytes, windowBytes};
  Status formatted = formatSections(base.value(), layout.value());
  if (!formatted.ok()) return formatted.error();
  return area;
}

Result<MainArea> MainArea::map(int descriptor) {
  Result<AreaShape> shape = checkedShape(descriptor);
  if (!shape.ok()) return shape.error();
  Result<AreaLayout> layout = layoutFor(shape.value());
  if (!layout.ok()) return layout.error();
  Result<void*> base = mapShared(descriptor, layout.value().fixedBytes(), nullptr);
  if (!base.ok()) return base.error();
  return MainArea(Descriptor(descriptor), base.value(), shape.value(), layout.value());
}

MainArea::MainArea(Descriptor descriptor, void* base, const AreaShape& shape,
                   const AreaLayout& layout)
    : descriptor_(std::move(descriptor)), base_(base), shape_(shape), layout_(layout) {}

MainArea::MainArea(MainArea&& other) noexcept
    : descriptor_(std::move(other.descriptor_)),
      base_(std::exchange(other.base_, nullptr)),
      shape_(other.shape_),
      layout_(other.layout_) {}

Status MainArea::replace(Descriptor descriptor) {
  PM_ASSERT(isOpen(), "only an open area is replaced");
  Result<AreaShape> shape = checkedShape(descriptor.get());
  if (!shape.ok()) return shape.error();
  if (!(shape.value() == shape_)) return SystemError{"mmap", EPROTO};
  // MAP_FIXED replaces the old mapping in one step: at no moment could another thread's mmap
  // take the address.
  Result<void*> base = mapShared(descriptor.get(), bytes(), base_);
  if (!base.ok()) return base.error();
  // Onto the old number, so that who was told it maps segments of the new file.
  int placed = 0;
  do {
    placed = dup3(descriptor.get(), descriptor_.get(), O_CLOEXEC);
  } while (placed < 0 && (errno == EINTR || errno == EBUSY));
  PM_ASSERT(placed >= 0, "a number in use can be given to another open file");
  return {};
}

size_t MainArea::processTableOffset() const { return slotsEnd(shape_.slotCount); }

size_t MainArea::activityTableOffset() const { return processesEnd(shape_.slotCount); }

ActivityTable MainArea::activities() const {
  PM_ASSERT(isOpen(), "a closed area has no activities");
  return {static_cast<char*>(base_) + activityTableOffset(), shape_.slotCount};
}

void MainArea::close() {
  if (base_ == nullptr) return;
  munmap(std::exchange(base_, nullptr), bytes());
  descriptor_.reset();
}

SharedSlot& MainArea::at(uint32_t slot) const {
  PM_ASSERT(isOpen(), "a closed area has no slots");
  PM_ASSERT(slot < shape_.slotCount, "a slot index is below our own copy of slotCount");
  auto* first = reinterpret_cast<SharedSlot*>(static_cast<char*>(base_) + sizeof(MainAreaHeader));
  return first[slot];
}

void MainArea::publish(uint32_t slot, uint64_t generation, int32_t pid) {
  SharedSlot& shared = at(slot);
  if (shared.generation.load(std::memory_order_relaxed) != generation) {
    shared.inUse.store(0, std::memory_order_release);
    shared.generation.store(generation, std::memory_order_release);
  }
  shared.pid.store(pid, std::memory_order_release);
  shared.inUse.store(1, std::memory_order_release);
}

void MainArea::release(uint32_t slot) {
  SharedSlot& shared = at(slot);
  shared.inUse.store(0, std::memory_order_release);
  shared.pid.store(0, std::memory_order_release);
}

SlotView MainArea::read(uint32_t slot) const {
  const SharedSlot& shared = at(slot);
  SlotView view{};
  // Every acquire pairs with the release of the same field in publish() or release().
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    view.generation = shared.generation.load(std::memory_order_acquire);
    view.inUse = shared.inUse.load(std::memory_order_acquire) != 0;
    view.pid = shared.pid.load(std::memory_order_acquire);
    if (shared.generation.load(std::memory_order_acquire) == view.generation) break;
  }
  return view;
}

void MainArea::attach(uint32_t slot) {
  at(slot).attachment.store(kArmed, std::memory_order_release);
}

void MainArea::detach(uint32_t slot) {
  // Release: whatever the worker wrote to shared memory is visible to who finds it detached.
  at(slot).attachment.store(kDisarmed, std::memory_order_release);
}

bool MainArea::takeDeadMan(uint32_t slot) {
  // Pairs with the release in attach() and detach().
  return at(slot).attachment.exchange(kDisarmed, std::memory_order_acquire) != kDisarmed;
}

}  // namespace bgworker
