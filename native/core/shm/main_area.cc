#include "core/shm/main_area.h"

#include <sys/mman.h>

#include <new>
#include <utility>

#include "core/base/assert.h"
#include "core/shm/memory_file.h"

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

/** Reads the header through the descriptor: nothing is mapped before it is known to be ours. */
Result<uint32_t> checkedSlotCount(int descriptor) {
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
  if (MainArea::bytesFor(header.slotCount) != size.value()) return foreign;
  return header.slotCount;
}

}  // namespace

size_t MainArea::bytesFor(uint32_t slotCount) {
  return sizeof(MainAreaHeader) + static_cast<size_t>(slotCount) * sizeof(SharedSlot);
}

Result<MainArea> MainArea::create(uint32_t slotCount) {
  PM_ASSERT(slotCount >= 1 && slotCount <= kMaxSlotCount, "a main area has 1 to 262143 slots");
  size_t bytes = bytesFor(slotCount);
  Result<Descriptor> file = makeMemoryFile("bgworker main area", bytes);
  if (!file.ok()) return file.error();
  Result<void*> base = mapShared(file.value().get(), bytes, nullptr);
  if (!base.ok()) return base.error();
  // The slots are zero pages already, which is what each of their fields starts with.
  new (base.value()) MainAreaHeader{kMainAreaMagic, kMainAreaVersion, slotCount, bytes};
  return MainArea(std::move(file.value()), base.value(), bytes, slotCount);
}

Result<MainArea> MainArea::map(int descriptor) {
  Result<uint32_t> slotCount = checkedSlotCount(descriptor);
  if (!slotCount.ok()) return slotCount.error();
  size_t bytes = bytesFor(slotCount.value());
  Result<void*> base = mapShared(descriptor, bytes, nullptr);
  if (!base.ok()) return base.error();
  return MainArea(Descriptor(descriptor), base.value(), bytes, slotCount.value());
}

MainArea::MainArea(Descriptor descriptor, void* base, size_t bytes, uint32_t slotCount)
    : descriptor_(std::move(descriptor)), base_(base), bytes_(bytes), slotCount_(slotCount) {}

MainArea::MainArea(MainArea&& other) noexcept
    : descriptor_(std::move(other.descriptor_)),
      base_(std::exchange(other.base_, nullptr)),
      bytes_(other.bytes_),
      slotCount_(other.slotCount_) {}

Status MainArea::replace(Descriptor descriptor) {
  PM_ASSERT(isOpen(), "only an open area is replaced");
  Result<uint32_t> slotCount = checkedSlotCount(descriptor.get());
  if (!slotCount.ok()) return slotCount.error();
  if (slotCount.value() != slotCount_) return SystemError{"mmap", EPROTO};
  // MAP_FIXED replaces the old mapping in one step: at no moment could another thread's mmap
  // take the address.
  Result<void*> base = mapShared(descriptor.get(), bytes_, base_);
  if (!base.ok()) return base.error();
  descriptor_ = std::move(descriptor);
  return {};
}

void MainArea::close() {
  if (base_ == nullptr) return;
  munmap(std::exchange(base_, nullptr), bytes_);
  descriptor_.reset();
}

SharedSlot& MainArea::at(uint32_t slot) const {
  PM_ASSERT(isOpen(), "a closed area has no slots");
  PM_ASSERT(slot < slotCount_, "a slot index is below our own copy of slotCount");
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
