/* exchange.c: a background worker in C that talks to one in TypeScript, through shared memory.
 *
 * It receives texts on one queue, says them aloud (in capitals) on the other, and counts them in a
 * structure that both share. workers.ts is the other side; start.ts builds this and runs both:
 *
 *     cc -shared -fPIC -I node_modules/bgworker/native/include -o exchange.so exchange.c
 */
#include <bgworker.h>
#include <ctype.h>
#include <stdio.h>

#define QUEUE_BYTES 4096
#define SEGMENT_BYTES (2 * QUEUE_BYTES) /* the queue to here, then the one back */
#define LONGEST_TEXT 1000

/* shmem.struct('exchange', { count: 'u64' }) */
struct exchange {
  uint64_t count; /* of texts, by both, each with an atomic addition */
};

/* Kept, for the functions that bgworker calls with the context alone. */
static const struct bgworker_api* api;

/* Whoever of the two comes first makes the queues, while the other waits. */
static int make_queues(struct bgworker_context* context, void* memory, size_t bytes, void* arg) {
  char* second = (char*)memory + QUEUE_BYTES;
  (void)bytes;
  (void)arg;
  if (api->mq->create(context, memory, QUEUE_BYTES) < 0) return 1;
  return api->mq->create(context, second, QUEUE_BYTES) < 0;
}

static int give_up(struct bgworker_context* context, const char* what, int error) {
  char line[256];
  if (error == BGWORKER_ERR_SHUTDOWN) return 0; /* as it was asked to: done */
  snprintf(line, sizeof line, "%s: %s: %s", api->name(context), what, api->error_text(error));
  api->log(context, line);
  return 1;
}

__attribute__((visibility("default"))) int exchange_main(const struct bgworker_api* table,
                                                         struct bgworker_context* context) {
  struct bgworker_segment segment;
  struct bgworker_mq_handle in, out;
  struct exchange* shared;
  void* address;
  int result;

  api = table;
  if (api->version < BGWORKER_API_VERSION) return 2; /* it lacks what this file was built with */

  result = api->shmem->init_struct(context, "exchange", sizeof *shared, NULL, NULL, &address);
  if (result < 0) return give_up(context, "structure", result);
  shared = address;
  result = api->dsm->named(context, "exchange", SEGMENT_BYTES, make_queues, NULL, &segment);
  if (result < 0) return give_up(context, "segment", result);
  result = api->mq->attach_receiver(context, segment.address, QUEUE_BYTES, &in);
  if (result < 0) return give_up(context, "receiver", result);
  result = api->mq->attach_sender(context, (char*)segment.address + QUEUE_BYTES, QUEUE_BYTES, &out);
  if (result < 0) return give_up(context, "sender", result);

  while (!api->shutdown_requested(context)) {
    const void* data;
    const char* text;
    char answer[LONGEST_TEXT];
    size_t bytes, i;

    /* Ended by a message, by the sender's end, by SIGTERM, and by the postmaster's death. */
    result = api->mq->receive(context, in, &data, &bytes, -1);
    if (result == BGWORKER_MQ_DETACHED) return 0; /* there is nobody to talk to: done */
    if (result < 0) return give_up(context, "receive", result);

    text = data;
    if (bytes > sizeof answer) bytes = sizeof answer;
    for (i = 0; i < bytes; ++i) answer[i] = (char)toupper((unsigned char)text[i]);
    __atomic_fetch_add(&shared->count, 1, __ATOMIC_SEQ_CST);

    result = api->mq->send(context, out, answer, bytes, -1, 1);
    if (result == BGWORKER_MQ_DETACHED) return 0;
    if (result < 0) return give_up(context, "send", result);
  }
  return 0;
}
