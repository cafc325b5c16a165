// mappings.h: this process's memory, as far as fork() is concerned.

#pragma once

#include "core/base/result.h"

namespace bgworker {

/**
 * Marks every mapping of this process as one that fork() copies (MADV_DOFORK). Mappings made
 * later may be marked otherwise again, by whoever makes them.
 */
Status markMappingsForkable();

}  // namespace bgworker
