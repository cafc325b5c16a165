// refusal.h: the ways in which shared memory says no, as a closed set.
//
// Each refusal travels as a SystemError, so that Result and Status serve here as everywhere: its
// `number` is the errno that comes nearest, and its `call` is the sentence for people, which
// stands in refusal.cc and nowhere else. refusalOf() leads back to the member, for whoever must
// tell one from another; it answers `none` for the failure of a real system call.

#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace bgworker {

enum class Refusal {
  none,
  nameEmpty,
  nameTooLong,
  nameHasNul,
  sizeZero,
  sizeTooLarge,
  entrySizeWrong,
  outOfSpace,
  initialisedAbove,
  initialisationStuck,
  foreign,
  corrupt,
  lockStuck,
  tooManySegments,
  windowFull,
  segmentGone,
  alreadyAttached,
  notAttached,
  alreadyPinned,
  notPinned,
  unknownSegment,
  kindWrong,
  segmentSizeWrong,
  tooManyNames,
  heapFull,
  badPointer,
  keyLength,
  valueLength,
  parametersWrong,
};

SystemError refuse(Refusal refusal);
Refusal refusalOf(const SystemError& error);

inline constexpr size_t kSharedNameBytes = 64;  // with its NUL

/** Names of directory and registry: 1 to 63 bytes, none of them NUL. */
Status checkSharedName(std::string_view name);
/** Copies a checked name into its field; the rest of the field becomes zero. */
void storeSharedName(char (&field)[kSharedNameBytes], std::string_view name);
/** What stands in a field, at most 63 bytes of it, whatever was scribbled over its NUL. */
std::string_view sharedName(const char (&field)[kSharedNameBytes]);
/** The same of a field that may be changing: copied first, and looked at then. */
std::string copySharedName(const char (&field)[kSharedNameBytes]);

}  // namespace bgworker
