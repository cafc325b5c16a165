#include "core/sync/doorbells.h"

#include <sys/eventfd.h>
#include <unistd.h>

namespace bgworker {

Result<Doorbells> Doorbells::create(uint32_t slotCount) {
  std::vector<Descriptor> bells;
  bells.reserve(slotCount);
  for (uint32_t slot = 0; slot < slotCount; ++slot) {
    Descriptor bell(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!bell.valid()) return lastError("eventfd");
    bells.push_back(std::move(bell));
  }
  return Doorbells(std::move(bells));
}

int Doorbells::descriptor(uint32_t slot) const {
  PM_ASSERT(slot < bells_.size(), "every slot has a doorbell");
  return bells_[slot].get();
}

void Doorbells::ring(uint32_t slot) const {
  int kept = errno;
  const uint64_t one = 1;
  // EAGAIN: rung 2^64 - 2 times, and so it rings. There is no other refusal to act upon.
  while (write(descriptor(slot), &one, sizeof one) < 0 && errno == EINTR) {
  }
  errno = kept;
}

void Doorbells::drain(uint32_t slot) const {
  uint64_t rings;
  while (read(descriptor(slot), &rings, sizeof rings) < 0 && errno == EINTR) {
  }
}

}  // namespace bgworker
