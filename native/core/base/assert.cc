#include "core/base/assert.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace bgworker {

void failAssertion(const char* condition, const char* rule, const char* file, int line) {
  char text[512];
  int length = std::snprintf(text, sizeof text, "PANIC:  %s (%s) at %s:%d, process %d\n", rule,
                             condition, file, line, static_cast<int>(getpid()));
  if (length > 0) {
    size_t bytes =
        static_cast<size_t>(length) < sizeof text ? static_cast<size_t>(length) : sizeof text - 1;
    // There is nobody left to tell if stderr is closed.
    [[maybe_unused]] ssize_t written = write(STDERR_FILENO, text, bytes);
  }
  std::abort();
}

}  // namespace bgworker
