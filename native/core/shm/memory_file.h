// memory_file.h: anonymous files in memory (memfd), sealed.
//
// They appear in no directory, so nothing is left in /dev/shm whatever dies when. A sealed size is
// what makes it safe to map or read a file that another process made: it can be neither truncated
// under us (SIGBUS) nor grown. Whoever receives one checks the seals before he trusts the size.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/descriptor.h"
#include "core/base/result.h"

namespace bgworker {

enum class Sealing {
  size,     // shrink and grow are sealed: a shared memory segment
  content,  // writing, too: a message body
};

/** A file of `bytes` zeros, its size sealed. */
Result<Descriptor> makeMemoryFile(const char* name, size_t bytes);

/** An empty file, to be written and then sealed. */
Result<Descriptor> makeUnsealedFile(const char* name);

/** Nothing of the file can be changed any more. EBUSY while somebody has it mapped to write. */
Status sealContent(int descriptor);

/** A file with this content, nothing of which can be changed any more. */
Result<Descriptor> makeMessageFile(std::span<const uint8_t> content);

/** The size of a file that is sealed at least like this; EPERM if it is not. */
Result<size_t> sealedSize(int descriptor, Sealing sealing);

/** Fills `target` from the beginning of the file; EIO if the file is shorter. */
Status readWhole(int descriptor, std::span<uint8_t> target);

}  // namespace bgworker
