#include "core/face/errors.h"

#include <iterator>

#include "core/shm/refusal.h"

namespace bgworker::face {
namespace {

/** What core says no to has core's sentence; the others have one here. */
struct Row {
  bgworker_error error;
  Refusal refusal;
  const char* sentence = nullptr;
};

constexpr Row kRows[] = {
    {BGWORKER_ERR_NOT_ATTACHED, Refusal::none,
     "this worker has no shared memory: register it with the flag SHMEM_ACCESS"},
    {BGWORKER_ERR_WRONG_THREAD, Refusal::none,
     "only the thread that the worker's function was called on may call this"},
    {BGWORKER_ERR_INVALID_ARGUMENT, Refusal::none,
     "an argument is a null pointer, or a number that is out of range"},
    {BGWORKER_ERR_BAD_PLACE, Refusal::none,
     "this is no aligned place in shared memory that is mapped in this process"},
    {BGWORKER_ERR_BAD_HANDLE, Refusal::none, "this handle is none, or no longer one"},
    {BGWORKER_ERR_OUT_OF_MEMORY, Refusal::none, "this process has no memory for that"},
    {BGWORKER_ERR_SYSTEM, Refusal::none, "a system call failed; errno says how"},
    {BGWORKER_ERR_SHUTDOWN, Refusal::none,
     "the worker was asked to shut down, and the call would have to wait"},
    {BGWORKER_ERR_POSTMASTER_DIED, Refusal::none, "the postmaster has died"},
    {BGWORKER_ERR_TOO_MANY_WAITS, Refusal::none,
     "this process has arrived at too many barriers whose phases go on"},
    {BGWORKER_ERR_NAME_EMPTY, Refusal::nameEmpty},
    {BGWORKER_ERR_NAME_TOO_LONG, Refusal::nameTooLong},
    {BGWORKER_ERR_SIZE_ZERO, Refusal::sizeZero},
    {BGWORKER_ERR_SIZE_TOO_LARGE, Refusal::sizeTooLarge},
    {BGWORKER_ERR_ENTRY_SIZE_WRONG, Refusal::entrySizeWrong},
    {BGWORKER_ERR_OUT_OF_SPACE, Refusal::outOfSpace},
    {BGWORKER_ERR_INITIALISED_ABOVE, Refusal::initialisedAbove},
    {BGWORKER_ERR_INITIALISATION_STUCK, Refusal::initialisationStuck},
    {BGWORKER_ERR_INITIALISER_FAILED, Refusal::none, "the initialiser did not return 0"},
    {BGWORKER_ERR_FOREIGN, Refusal::foreign},
    {BGWORKER_ERR_CORRUPT, Refusal::corrupt},
    {BGWORKER_ERR_LOCK_STUCK, Refusal::lockStuck},
    {BGWORKER_ERR_TOO_MANY_SEGMENTS, Refusal::tooManySegments},
    {BGWORKER_ERR_WINDOW_FULL, Refusal::windowFull},
    {BGWORKER_ERR_SEGMENT_GONE, Refusal::segmentGone},
    {BGWORKER_ERR_ALREADY_MAPPED, Refusal::alreadyAttached},
    {BGWORKER_ERR_NOT_MAPPED, Refusal::notAttached},
    {BGWORKER_ERR_ALREADY_PINNED, Refusal::alreadyPinned},
    {BGWORKER_ERR_NOT_PINNED, Refusal::notPinned},
    {BGWORKER_ERR_UNKNOWN_SEGMENT, Refusal::unknownSegment},
    {BGWORKER_ERR_KIND_WRONG, Refusal::kindWrong},
    {BGWORKER_ERR_SEGMENT_SIZE_WRONG, Refusal::segmentSizeWrong},
    {BGWORKER_ERR_TOO_MANY_NAMES, Refusal::tooManyNames},
    {BGWORKER_ERR_NO_SUCH_CALLBACK, Refusal::none,
     "no such callback is registered for this segment"},
    {BGWORKER_ERR_LATCH_OWNED, Refusal::none, "somebody owns this latch already"},
    {BGWORKER_ERR_LATCH_FOREIGN, Refusal::none, "this process does not own this latch"},
    {BGWORKER_ERR_TOO_MANY_LOCKS, Refusal::none, "too many LWLocks taken"},
    {BGWORKER_ERR_LOCK_NOT_HELD, Refusal::none, "this lock is not held"},
    {BGWORKER_ERR_LOCK_HELD, Refusal::none,
     "this process holds this lock already, and would wait for itself"},
    {BGWORKER_ERR_BARRIER_STATIC, Refusal::none,
     "nobody attaches to a static barrier, or detaches from it"},
    {BGWORKER_ERR_BARRIER_ATTACHED, Refusal::none,
     "this process is attached to this barrier already"},
    {BGWORKER_ERR_BARRIER_NOT_ATTACHED, Refusal::none,
     "this process is not attached to this barrier"},
    {BGWORKER_ERR_QUEUE_SIZE, Refusal::none,
     "a message queue has 200 bytes at least, and a ring of at most 1 GiB"},
    {BGWORKER_ERR_NO_QUEUE, Refusal::none, "no message queue of this size was made here"},
    {BGWORKER_ERR_END_TAKEN, Refusal::none, "this end of the message queue is taken"},
    {BGWORKER_ERR_WRONG_END, Refusal::none, "this is the other end of the message queue"},
    {BGWORKER_ERR_TOO_LARGE, Refusal::none, "cannot send a message of more than 1 GiB - 1"},
    {BGWORKER_ERR_NOT_IDENTICAL, Refusal::none,
     "a part of another message is under way: the rest of it must be sent first"},
    {BGWORKER_ERR_HEAP_FULL, Refusal::heapFull},
    {BGWORKER_ERR_KEY_LENGTH, Refusal::keyLength},
    {BGWORKER_ERR_VALUE_LENGTH, Refusal::valueLength},
    {BGWORKER_ERR_PARAMETERS_WRONG, Refusal::parametersWrong},
    {BGWORKER_ERR_ENTRY_HELD, Refusal::none,
     "a callback that holds an entry of a hash table may not call this"},
    {BGWORKER_ERR_BUFFER_TOO_SMALL, Refusal::none, "the value does not fit in the buffer"},
};

constexpr bool inOrder() {
  int expected = 0;
  for (const Row& row : kRows) {
    if (row.error != --expected) return false;
    if ((row.refusal == Refusal::none) != (row.sentence != nullptr)) return false;
  }
  return expected == BGWORKER_ERR_BUFFER_TOO_SMALL;
}
static_assert(inOrder(), "one row for each error, in the order of the enum, with one sentence");

}  // namespace

int errorOf(const SystemError& error) {
  const Refusal refusal = refusalOf(error);
  if (refusal == Refusal::none) {
    errno = error.number;
    return BGWORKER_ERR_SYSTEM;
  }
  for (const Row& row : kRows) {
    if (row.refusal == refusal) return row.error;
  }
  // A NUL cannot stand in a C string, and no verb takes a pointer into a heap: so it came from
  // shared memory.
  return BGWORKER_ERR_CORRUPT;
}

const char* errorText(int error) {
  if (error >= 0) return "no error";
  // Not -error, which overflows for one of them.
  if (error < -static_cast<int>(std::size(kRows))) return "no error that this bgworker knows";
  const Row& row = kRows[-error - 1];
  return row.sentence != nullptr ? row.sentence : refuse(row.refusal).call;
}

}  // namespace bgworker::face
