// close_others.h: closing everything from one number up, except a few.

#pragma once

#include <vector>

#include "core/base/result.h"

namespace bgworker {

/** Sorts `kept`, then closes every descriptor from `first` up that is not in it. */
Status closeOthers(int first, std::vector<int> kept);

}  // namespace bgworker
