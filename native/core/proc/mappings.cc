#include "core/proc/mappings.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "core/base/descriptor.h"

namespace bgworker {
namespace {

/** Reads "first-last ", in hexadecimal, at the beginning of a line of the maps file. */
bool parseRange(const char* line, uintptr_t& first, uintptr_t& last) {
  uintptr_t numbers[2] = {0, 0};
  for (int i = 0; i < 2; ++i) {
    for (; *line != (i == 0 ? '-' : ' '); ++line) {
      bool digit = *line >= '0' && *line <= '9';
      if (!digit && !(*line >= 'a' && *line <= 'f')) return false;
      numbers[i] = numbers[i] * 16 + static_cast<uintptr_t>(digit ? *line - '0' : *line - 'a' + 10);
    }
    ++line;
  }
  first = numbers[0];
  last = numbers[1];
  return first < last;
}

Status markLine(const char* line) {
  uintptr_t first, last;
  if (!parseRange(line, first, last)) return SystemError{"read", EPROTO};
  if (madvise(reinterpret_cast<void*>(first), last - first, MADV_DOFORK) == 0) return {};
  // EINVAL: the kernel's own pages (vvar) and those of devices, whose mark nobody can change.
  // ENOMEM: the page that holds vsyscall, above all that a process can map.
  if (errno == EINVAL || errno == ENOMEM) return {};
  return lastError("madvise");
}

}  // namespace

Status markMappingsForkable() {
  Descriptor maps(open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
  if (!maps.valid()) return lastError("open");
  // On the stack: reading must not make new mappings. A line is longer than this only if its
  // path is, and the range stands at its beginning.
  char text[16 * 1024];
  size_t kept = 0;
  for (;;) {
    ssize_t got = read(maps.get(), text + kept, sizeof text - 1 - kept);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return lastError("read");
    if (got == 0) return {};
    size_t filled = kept + static_cast<size_t>(got);
    text[filled] = '\0';
    char* line = text;
    for (char* end; (end = std::strchr(line, '\n')) != nullptr; line = end + 1) {
      Status marked = markLine(line);
      if (!marked.ok()) return marked;
    }
    kept = static_cast<size_t>(text + filled - line);
    std::memmove(text, line, kept);
  }
}

}  // namespace bgworker
