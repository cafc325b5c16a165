/* mq.h: message queues (shm_mq): one sender, one receiver, whole messages, in order.
 *
 *     api->mq->create(context, memory, bytes);                       // one of them, or a third
 *     api->mq->attach_sender(context, memory, bytes, &handle);       // one
 *     api->mq->attach_receiver(context, memory, bytes, &handle);     // the other, C or TypeScript
 *
 * A message may be longer than the ring, through which it then streams, up to 0x3fffffff bytes; one
 * of no bytes is one, too. Each end is taken once and for ever, and detaching is for ever. When an
 * end detaches, the receiver still gets every whole message that was sent before. An end is
 * detached by detach(), with its segment, or at the end of the worker.
 *
 * Both ends set each other's process latch: so api->wait() ends when something has come or gone. A
 * peer that dies before it attaches is not noticed: give such a wait a time limit.
 */
#ifndef BGWORKER_MQ_H
#define BGWORKER_MQ_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct bgworker_context;

#define BGWORKER_MQ_ALIGNMENT 64     /* of its memory */
#define BGWORKER_MQ_MINIMUM_SIZE 200 /* of its memory; all but 192 bytes is the ring */
#define BGWORKER_MQ_MAX_MESSAGE 0x3fffffff

enum bgworker_mq_result {
  BGWORKER_MQ_SUCCESS = 0,
  BGWORKER_MQ_WOULD_BLOCK = 1, /* the time limit is over; see send() */
  BGWORKER_MQ_DETACHED = 2     /* the other end is gone, for ever */
};

/* An end that this process has. */
struct bgworker_mq_handle {
  uint64_t id; /* 0: none */
};

/* Of a message that is gathered from parts. */
struct bgworker_mq_part {
  const void* data;
  size_t bytes;
};

struct bgworker_mq_api {
  /* Makes a queue in `bytes` of memory, rounded down to 8, whatever was there before. 0.
   * Error: QUEUE_SIZE. */
  int (*create)(struct bgworker_context* context, void* memory, size_t bytes);

  /* This process becomes that end, of a queue that was made with the same `bytes`, and has yet to
   * attach to it. 0. Errors: NO_QUEUE, QUEUE_SIZE, END_TAKEN. */
  int (*set_sender)(struct bgworker_context* context, void* memory, size_t bytes);
  int (*set_receiver)(struct bgworker_context* context, void* memory, size_t bytes);
  /* 0, and the slot of that end; -1 if nobody is. Errors: NO_QUEUE, QUEUE_SIZE. */
  int (*get_sender)(struct bgworker_context* context, void* memory, size_t bytes, int64_t* slot);
  int (*get_receiver)(struct bgworker_context* context, void* memory, size_t bytes, int64_t* slot);
  /* Also becomes that end, if it is not yet. 0, and the handle. Errors: as set_sender(). */
  int (*attach_sender)(struct bgworker_context* context, void* memory, size_t bytes,
                       struct bgworker_mq_handle* handle);
  int (*attach_receiver)(struct bgworker_context* context, void* memory, size_t bytes,
                         struct bgworker_mq_handle* handle);

  /* Success or detached: the other end has come, or is gone without having come; or would block.
   * The errors of waits: SHUTDOWN, POSTMASTER_DIED. Of all that follow: BAD_HANDLE. */
  int (*wait_for_attach)(struct bgworker_context* context, struct bgworker_mq_handle handle,
                         int64_t timeout_ms);

  /* An enum bgworker_mq_result. 0 for the time limit is PostgreSQL's nowait. With `force_flush` 0,
   * the message is published, and its receiver woken, only once more than a quarter of the ring is
   * pending, or at flush() or detach().
   * A message of which a part is under way, after WOULD_BLOCK or the error of a wait, must be sent
   * again next, with the same arguments: NOT_IDENTICAL.
   * Errors: SHUTDOWN, POSTMASTER_DIED, TOO_LARGE, WRONG_END, CORRUPT. */
  int (*send)(struct bgworker_context* context, struct bgworker_mq_handle handle, const void* data,
              size_t bytes, int64_t timeout_ms, int force_flush);
  /* One message, gathered from up to 64 parts. */
  int (*sendv)(struct bgworker_context* context, struct bgworker_mq_handle handle,
               const struct bgworker_mq_part* parts, size_t count, int64_t timeout_ms,
               int force_flush);
  /* Publishes what is pending. 0. Error: WRONG_END. */
  int (*flush)(struct bgworker_context* context, struct bgworker_mq_handle handle);

  /* An enum bgworker_mq_result, and with success the message: it stays where it is, in the ring or
   * in a buffer of the handle's, until the next receive(), detach(), or the segment's. Do not trust
   * its bytes to stand still if you do not trust the sender.
   * Errors: SHUTDOWN, POSTMASTER_DIED, WRONG_END, OUT_OF_MEMORY (it stays in the queue), CORRUPT.
   */
  int (*receive)(struct bgworker_context* context, struct bgworker_mq_handle handle,
                 const void** data, size_t* bytes, int64_t timeout_ms);

  /* Publishes what is pending, and tells the other end. The handle is none from then on. 0. */
  int (*detach)(struct bgworker_context* context, struct bgworker_mq_handle handle);
};

#ifdef __cplusplus
}
#endif
#endif
