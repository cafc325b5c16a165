// names.h: what lies in the main area under a name, found or made.
//
// lib/shared/names.ts lays the same things under the same names: in the directory, which knows one
// kind of name only, a struct has its own name and other things have a prefix, so that a struct and
// the lock that guards it can be called the same.

#pragma once

#include <cstddef>
#include <string>

#include "core/face/holdings.h"

namespace bgworker::face {

inline constexpr const char* kLwlockPrefix = "lwlock:";
inline constexpr const char* kConditionVariablePrefix = "cv:";
inline constexpr const char* kBarrierPrefix = "barrier:";

/** Initialises zeroes that nobody else sees yet. 0, or the error that the caller gets. */
using Initialise = int (*)(void* address, size_t bytes, void* arg);

/** 1: found; 0: made; or the error. */
int claimStruct(Holdings& holdings, const char* name, size_t bytes, Initialise initialise,
                void* arg, void** address);

/** The same for a thing of another kind, whose zeroes are as it begins unless `initialise` says
 *  otherwise. A null name is the caller's mistake. */
int claimThing(Holdings& holdings, const char* prefix, const char* name, size_t bytes,
               Initialise initialise, void* arg, void** address);

}  // namespace bgworker::face
