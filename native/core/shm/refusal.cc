#include "core/shm/refusal.h"

#include <cstring>

#include "core/shm/shared_read.h"

namespace bgworker {
namespace {

struct Row {
  Refusal refusal;
  int number;
  const char* sentence;
};

constexpr Row kRows[] = {
    {Refusal::none, 0, ""},
    {Refusal::nameEmpty, EINVAL, "the name of shared memory cannot be empty"},
    {Refusal::nameTooLong, ENAMETOOLONG, "the name of shared memory is too long: at most 63 bytes"},
    {Refusal::nameHasNul, EINVAL, "the name of shared memory contains a NUL byte"},
    {Refusal::sizeZero, EINVAL, "the size of shared memory must be nonzero"},
    {Refusal::sizeTooLarge, EINVAL, "the size of shared memory is below or above its limits"},
    {Refusal::entrySizeWrong, EINVAL, "entry size is wrong: the structure exists with another one"},
    {Refusal::outOfSpace, ENOMEM,
     "not enough shared memory for data structure: request it in the preload module's init()"},
    {Refusal::initialisedAbove, EDEADLK,
     "this entry is being initialised by the caller itself, further up the stack"},
    {Refusal::initialisationStuck, ETIMEDOUT,
     "another process has been initialising this entry for too long"},
    {Refusal::foreign, EPROTO, "this memory has another magic number, version or shape"},
    {Refusal::corrupt, EILSEQ, "shared memory is corrupt: a number in it is out of its range"},
    {Refusal::lockStuck, ETIMEDOUT, "a shared lock has been held for too long"},
    {Refusal::tooManySegments, EMFILE, "too many dynamic shared memory segments"},
    {Refusal::windowFull, ENOMEM, "not enough room in the dynamic window for this segment"},
    {Refusal::segmentGone, ENOENT, "nobody holds this segment any more"},
    {Refusal::alreadyAttached, EEXIST, "can't attach the same segment more than once"},
    {Refusal::notAttached, ENOENT, "this process is not attached to the segment"},
    {Refusal::alreadyPinned, EALREADY, "cannot pin a segment that is already pinned"},
    {Refusal::notPinned, EINVAL, "cannot unpin a segment that is not pinned"},
    {Refusal::unknownSegment, ENOENT, "cannot unpin unknown segment handle"},
    {Refusal::kindWrong, EINVAL, "the name is in use for shared memory of another kind"},
    {Refusal::segmentSizeWrong, EINVAL,
     "the requested size does not match the size of the existing segment"},
    {Refusal::tooManyNames, ENOSPC, "too many names of shared memory"},
    {Refusal::heapFull, ENOMEM, "out of memory in the shared heap, or above its size limit"},
    {Refusal::badPointer, EFAULT, "this is no allocated address of the shared heap"},
    {Refusal::keyLength, EINVAL, "the key is empty, or longer than the table's maxKeyBytes"},
    {Refusal::valueLength, EINVAL, "the value is longer than the table's maxValueBytes"},
    {Refusal::parametersWrong, EINVAL, "the hash table was created with other parameters"},
};

constexpr bool inOrder() {
  size_t index = 0;
  for (const Row& row : kRows) {
    if (static_cast<size_t>(row.refusal) != index++) return false;
  }
  return index == static_cast<size_t>(Refusal::parametersWrong) + 1;
}
static_assert(inOrder(), "one row for each refusal, in the order of the enum");

}  // namespace

SystemError refuse(Refusal refusal) {
  const Row& row = kRows[static_cast<size_t>(refusal)];
  return {row.sentence, row.number};
}

Refusal refusalOf(const SystemError& error) {
  // The sentences are compared by address: each exists once, and only refuse() hands them out.
  for (const Row& row : kRows) {
    if (row.sentence == error.call) return row.refusal;
  }
  return Refusal::none;
}

Status checkSharedName(std::string_view name) {
  if (name.empty()) return refuse(Refusal::nameEmpty);
  if (name.size() >= kSharedNameBytes) return refuse(Refusal::nameTooLong);
  if (name.find('\0') != std::string_view::npos) return refuse(Refusal::nameHasNul);
  return {};
}

void storeSharedName(char (&field)[kSharedNameBytes], std::string_view name) {
  PM_ASSERT(name.size() < kSharedNameBytes, "a name is checked before it is stored");
  std::memset(field, 0, sizeof field);
  std::memcpy(field, name.data(), name.size());
}

std::string_view sharedName(const char (&field)[kSharedNameBytes]) {
  return {field, strnlen(field, kSharedNameBytes - 1)};
}

std::string copySharedName(const char (&field)[kSharedNameBytes]) {
  char copy[kSharedNameBytes];
  for (size_t index = 0; index < kSharedNameBytes; ++index) copy[index] = readOnce(field[index]);
  return std::string(sharedName(copy));
}

}  // namespace bgworker
