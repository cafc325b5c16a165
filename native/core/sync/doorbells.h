// doorbells.h: one eventfd for each slot, by which a sleeping process is woken.
//
// Made before the fork and inherited, so that a number means the same file in every attached
// process. They are not blocking and close on exec; an exec'ed worker is handed its own copies and
// adopts them. Only ThisProcess rings and drains; an event loop may watch the own slot's for input.

#pragma once

#include <cstdint>
#include <vector>

#include "core/base/descriptor.h"

namespace bgworker {

class Doorbells {
 public:
  static Result<Doorbells> create(uint32_t slotCount);
  /** One for each slot, in order; they must be eventfds that do not block. */
  static Doorbells adopt(std::vector<Descriptor> bells) { return Doorbells(std::move(bells)); }

  uint32_t slotCount() const { return static_cast<uint32_t>(bells_.size()); }
  int descriptor(uint32_t slot) const;
  /** Safe in a signal handler; errno is kept. */
  void ring(uint32_t slot) const;
  /** Takes all rings back. */
  void drain(uint32_t slot) const;

 private:
  explicit Doorbells(std::vector<Descriptor> bells) : bells_(std::move(bells)) {}
  std::vector<Descriptor> bells_;
};

}  // namespace bgworker
