#include "core/proc/close_others.h"

#include <algorithm>

#include "core/base/system_calls.h"

namespace bgworker {

Status closeOthers(int first, std::vector<int> kept) {
  std::sort(kept.begin(), kept.end());
  unsigned next = static_cast<unsigned>(first);
  for (int number : kept) {
    if (number < first) continue;
    unsigned keep = static_cast<unsigned>(number);
    if (keep > next && closeRange(next, keep - 1) < 0) return lastError("close_range");
    next = keep + 1;
  }
  if (closeRange(next, ~0U) < 0) return lastError("close_range");
  return {};
}

}  // namespace bgworker
