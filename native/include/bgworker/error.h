/* error.h: all that a verb can refuse, as a closed set. api->error_text() has the sentences.
 *
 * A later version may append to it.
 */
#ifndef BGWORKER_ERROR_H
#define BGWORKER_ERROR_H

enum bgworker_error {
  /* Every verb; see bgworker.h. */
  BGWORKER_ERR_NOT_ATTACHED = -1,
  BGWORKER_ERR_WRONG_THREAD = -2,
  BGWORKER_ERR_INVALID_ARGUMENT = -3,
  BGWORKER_ERR_BAD_PLACE = -4,

  BGWORKER_ERR_BAD_HANDLE = -5,    /* a queue's or a table's that was detached, or never was one */
  BGWORKER_ERR_OUT_OF_MEMORY = -6, /* of this process */
  BGWORKER_ERR_SYSTEM = -7,        /* a system call failed: errno says how */

  /* Waits. */
  BGWORKER_ERR_SHUTDOWN = -8,        /* SIGTERM has come, and the call would have to wait */
  BGWORKER_ERR_POSTMASTER_DIED = -9, /* likewise: return soon */
  BGWORKER_ERR_TOO_MANY_WAITS = -10, /* this process stands at too many barriers */

  /* Names and memory. */
  BGWORKER_ERR_NAME_EMPTY = -11,
  BGWORKER_ERR_NAME_TOO_LONG = -12, /* over 63 bytes, with the prefix of its kind */
  BGWORKER_ERR_SIZE_ZERO = -13,
  BGWORKER_ERR_SIZE_TOO_LARGE = -14,
  BGWORKER_ERR_ENTRY_SIZE_WRONG = -15, /* the structure exists with another size */
  BGWORKER_ERR_OUT_OF_SPACE = -16,     /* of the main area: a preload module must reserve it */
  BGWORKER_ERR_INITIALISED_ABOVE = -17,
  BGWORKER_ERR_INITIALISATION_STUCK = -18,
  BGWORKER_ERR_INITIALISER_FAILED = -19, /* yours: it did not return 0 */
  BGWORKER_ERR_FOREIGN = -20,
  BGWORKER_ERR_CORRUPT = -21,    /* shared memory contradicts itself: return 2, a crash */
  BGWORKER_ERR_LOCK_STUCK = -22, /* likewise */
  BGWORKER_ERR_TOO_MANY_SEGMENTS = -23,
  BGWORKER_ERR_WINDOW_FULL = -24,
  BGWORKER_ERR_SEGMENT_GONE = -25,   /* nobody holds it any more */
  BGWORKER_ERR_ALREADY_MAPPED = -26, /* in this process: see find_mapping() */
  BGWORKER_ERR_NOT_MAPPED = -27,     /* in this process */
  BGWORKER_ERR_ALREADY_PINNED = -28,
  BGWORKER_ERR_NOT_PINNED = -29,
  BGWORKER_ERR_UNKNOWN_SEGMENT = -30,
  BGWORKER_ERR_KIND_WRONG = -31, /* the name is that of a segment, an area, a hash table */
  BGWORKER_ERR_SEGMENT_SIZE_WRONG = -32,
  BGWORKER_ERR_TOO_MANY_NAMES = -33,
  BGWORKER_ERR_NO_SUCH_CALLBACK = -34,

  /* Latches, locks, barriers. */
  BGWORKER_ERR_LATCH_OWNED = -35,   /* already, by whomever */
  BGWORKER_ERR_LATCH_FOREIGN = -36, /* this process does not own it */
  BGWORKER_ERR_TOO_MANY_LOCKS = -37,
  BGWORKER_ERR_LOCK_NOT_HELD = -38,
  BGWORKER_ERR_LOCK_HELD = -39, /* by this process, which would wait for itself */
  BGWORKER_ERR_BARRIER_STATIC = -40,
  BGWORKER_ERR_BARRIER_ATTACHED = -41, /* already */
  BGWORKER_ERR_BARRIER_NOT_ATTACHED = -42,

  /* Queues. */
  BGWORKER_ERR_QUEUE_SIZE = -43,    /* too small or too large for one */
  BGWORKER_ERR_NO_QUEUE = -44,      /* none was made here, or of another size */
  BGWORKER_ERR_END_TAKEN = -45,     /* each end is taken once, for ever */
  BGWORKER_ERR_WRONG_END = -46,     /* to send with the receiver's handle, or the reverse */
  BGWORKER_ERR_TOO_LARGE = -47,     /* the message: nothing was sent */
  BGWORKER_ERR_NOT_IDENTICAL = -48, /* a part of another message is under way */

  /* Hash tables. */
  BGWORKER_ERR_HEAP_FULL = -49,
  BGWORKER_ERR_KEY_LENGTH = -50,
  BGWORKER_ERR_VALUE_LENGTH = -51,
  BGWORKER_ERR_PARAMETERS_WRONG = -52,
  BGWORKER_ERR_ENTRY_HELD = -53,      /* called inside a callback that holds an entry */
  BGWORKER_ERR_BUFFER_TOO_SMALL = -54 /* nothing was copied; the size is told */
};

#endif
