// face_mq_test.cc: message queues by way of the C table.

#include <cstring>
#include <random>

#include "test/face_stage.h"

using namespace bgworker;
using face_stage::Actor;
using face_stage::api;
using face_stage::Stage;

namespace {

constexpr size_t kQueueBytes = 1024;

/** The memory of a queue, in a structure, so that everybody finds it. */
void* queueIn(bgworker_context* context, const char* name = "queue", size_t bytes = kQueueBytes) {
  void* address = nullptr;
  auto create = [](bgworker_context* inner, void* memory, size_t size, void*) {
    return api.mq->create(inner, memory, size);
  };
  if (api.shmem->init_struct(context, name, bytes, create, nullptr, &address) < 0) {
    throw harness::Failure{"the queue could not be made"};
  }
  return address;
}

bgworker_mq_handle senderOf(bgworker_context* context, void* memory, size_t bytes = kQueueBytes) {
  bgworker_mq_handle handle{};
  CHECK_EQUAL(api.mq->attach_sender(context, memory, bytes, &handle), 0);
  return handle;
}

bgworker_mq_handle receiverOf(bgworker_context* context, void* memory, size_t bytes = kQueueBytes) {
  bgworker_mq_handle handle{};
  CHECK_EQUAL(api.mq->attach_receiver(context, memory, bytes, &handle), 0);
  return handle;
}

/** Sends one text, or receives one; the result, or the text's. */
int sendText(bgworker_context* context, bgworker_mq_handle handle, const std::string& text,
             int64_t timeoutMs = 0) {
  return api.mq->send(context, handle, text.data(), text.size(), timeoutMs, 1);
}
std::string receiveText(bgworker_context* context, bgworker_mq_handle handle) {
  const void* data = nullptr;
  size_t bytes = 0;
  switch (api.mq->receive(context, handle, &data, &bytes, 0)) {
    case BGWORKER_MQ_SUCCESS:
      return {static_cast<const char*>(data), bytes};
    case BGWORKER_MQ_WOULD_BLOCK:
      return "(would block)";
    case BGWORKER_MQ_DETACHED:
      return "(detached)";
    default:
      return "(error)";
  }
}

}  // namespace

TEST("a message goes from the sender to the receiver, whole, in order, also if it is empty") {
  Stage stage;
  Stage::Own one(stage, 0), two(stage, 1);
  bgworker_context *c = one.actor, *d = two.actor;
  void* memory = queueIn(c);
  const bgworker_mq_handle sender = senderOf(c, memory);
  CHECK_EQUAL(api.mq->wait_for_attach(c, sender, 0), BGWORKER_MQ_WOULD_BLOCK);
  CHECK_EQUAL(api.mq->wait_for_attach(c, sender, 1), BGWORKER_MQ_WOULD_BLOCK);
  CHECK_EQUAL(sendText(c, sender, "first"), 0);
  CHECK_EQUAL(sendText(c, sender, ""), 0);
  const bgworker_mq_part parts[] = {{"sec", 3}, {nullptr, 0}, {"ond", 3}};
  CHECK_EQUAL(api.mq->sendv(c, sender, parts, 3, 0, 1), 0);
  CHECK_EQUAL(api.mq->sendv(c, sender, nullptr, 0, 0, 1), 0);
  const bgworker_mq_handle receiver = receiverOf(d, memory);
  CHECK_EQUAL(api.mq->wait_for_attach(c, sender, -1), BGWORKER_MQ_SUCCESS);
  CHECK_EQUAL(receiveText(d, receiver), "first");
  CHECK_EQUAL(receiveText(d, receiver), "");
  CHECK_EQUAL(receiveText(d, receiver), "second");
  CHECK_EQUAL(receiveText(d, receiver), "");
  CHECK_EQUAL(receiveText(d, receiver), "(would block)");
  // Whoever comes, sends or has received sets the other's latch.
  CHECK_EQUAL(api.latch->is_set(c, nullptr), 1);
  CHECK_EQUAL(api.latch->is_set(d, nullptr), 0);
  CHECK_EQUAL(sendText(c, sender, "last"), 0);
  CHECK_EQUAL(api.latch->is_set(d, nullptr), 1);
}

TEST("what is not flushed waits for a quarter of the ring, for flush() or for the end") {
  Stage stage;
  Stage::Own one(stage, 0), two(stage, 1);
  bgworker_context *c = one.actor, *d = two.actor;
  void* memory = queueIn(c);
  const bgworker_mq_handle sender = senderOf(c, memory), receiver = receiverOf(d, memory);
  auto sendQuietly = [&] { return api.mq->send(c, sender, "quiet", 5, 0, 0); };
  CHECK_EQUAL(sendQuietly(), 0);
  CHECK_EQUAL(receiveText(d, receiver), "(would block)");
  CHECK_EQUAL(api.mq->flush(c, sender), 0);
  CHECK_EQUAL(receiveText(d, receiver), "quiet");
  // The ring has 832 bytes, a message takes 16. With the fourteenth it is more than a quarter: what
  // was complete then is published.
  for (int i = 0; i < 13; ++i) CHECK_EQUAL(sendQuietly(), 0);
  CHECK_EQUAL(receiveText(d, receiver), "(would block)");
  CHECK_EQUAL(sendQuietly(), 0);
  for (int i = 0; i < 13; ++i) CHECK_EQUAL(receiveText(d, receiver), "quiet");
  CHECK_EQUAL(receiveText(d, receiver), "(would block)");
  CHECK_EQUAL(api.mq->flush(c, sender), 0);
  CHECK_EQUAL(receiveText(d, receiver), "quiet");
  CHECK_EQUAL(sendQuietly(), 0);
  CHECK_EQUAL(api.mq->detach(c, sender), 0);
  CHECK_EQUAL(receiveText(d, receiver), "quiet");
  CHECK_EQUAL(receiveText(d, receiver), "(detached)");
  CHECK_EQUAL(receiveText(d, receiver), "(detached)");
}

TEST("ends: set, got, taken once, and refused where there is no queue") {
  Stage stage;
  Stage::Own one(stage, 0), two(stage, 1);
  bgworker_context *c = one.actor, *d = two.actor;
  void* memory = queueIn(c);
  auto* bytes = static_cast<char*>(memory);
  bgworker_mq_handle handle{};
  int64_t slot = 7, receiverSlot = 7;
  char local[kQueueBytes];
  void* empty = nullptr;
  CHECK_EQUAL(api.shmem->init_struct(c, "empty", kQueueBytes, nullptr, nullptr, &empty), 0);
  face_stage::checkRows({
      CALLED(api.mq->create(c, bytes + 8, 512), BGWORKER_ERR_BAD_PLACE),
      CALLED(api.mq->create(c, memory, kQueueBytes + 64), BGWORKER_ERR_BAD_PLACE),
      CALLED(api.mq->create(c, memory, 199), BGWORKER_ERR_QUEUE_SIZE),
      CALLED(api.mq->create(c, local, kQueueBytes), BGWORKER_ERR_BAD_PLACE),
      CALLED(api.mq->attach_sender(c, empty, kQueueBytes, &handle), BGWORKER_ERR_NO_QUEUE),
      CALLED(api.mq->attach_sender(c, memory, 512, &handle), BGWORKER_ERR_NO_QUEUE),
      CALLED(api.mq->attach_sender(c, memory, 100, &handle), BGWORKER_ERR_QUEUE_SIZE),
      CALLED(api.mq->attach_sender(c, memory, kQueueBytes, nullptr), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.mq->get_sender(c, empty, kQueueBytes, &slot), BGWORKER_ERR_NO_QUEUE),
      CALLED(api.mq->get_sender(c, memory, kQueueBytes, nullptr), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.mq->get_sender(c, memory, kQueueBytes, &slot), 0),
      CALLED(static_cast<int>(slot), -1),
      CALLED(api.mq->set_sender(c, memory, kQueueBytes), 0),
      CALLED(api.mq->set_sender(c, memory, kQueueBytes), BGWORKER_ERR_END_TAKEN),
      CALLED(api.mq->set_sender(d, memory, kQueueBytes), BGWORKER_ERR_END_TAKEN),
      CALLED(api.mq->attach_sender(d, memory, kQueueBytes, &handle), BGWORKER_ERR_END_TAKEN),
      CALLED(api.mq->set_receiver(d, memory, kQueueBytes), 0),
      CALLED(api.mq->get_sender(d, memory, kQueueBytes, &slot), 0),
      CALLED(static_cast<int>(slot), 0),
      CALLED(api.mq->get_receiver(c, memory, kQueueBytes, &receiverSlot), 0),
      CALLED(static_cast<int>(receiverSlot), 1),
      CALLED(api.mq->create(c, memory, kQueueBytes), BGWORKER_ERR_END_TAKEN),
      CALLED(api.mq->attach_receiver(c, memory, kQueueBytes, &handle), BGWORKER_ERR_END_TAKEN),
      CALLED(api.mq->attach_receiver(d, memory, kQueueBytes, &handle), 0),
      CALLED(api.mq->attach_receiver(d, memory, kQueueBytes, &handle), BGWORKER_ERR_END_TAKEN),
      CALLED(api.mq->attach_sender(c, memory, kQueueBytes, &handle), 0),
      CALLED(api.mq->detach(c, handle), 0),
      CALLED(api.mq->detach(c, handle), BGWORKER_ERR_BAD_HANDLE),
      CALLED(sendText(c, handle, "late"), BGWORKER_ERR_BAD_HANDLE),
      CALLED(api.mq->attach_sender(c, memory, kQueueBytes, &handle), BGWORKER_ERR_END_TAKEN),
  });
}

TEST("what is wrong with a message, or with the end that it is given to") {
  Stage stage;
  Stage::Own one(stage, 0), two(stage, 1);
  bgworker_context *c = one.actor, *d = two.actor;
  void* memory = queueIn(c);
  const bgworker_mq_handle sender = senderOf(c, memory), receiver = receiverOf(d, memory);
  const void* data = nullptr;
  size_t bytes = 0;
  const std::vector<bgworker_mq_part> many(65, {"x", 1});
  const bgworker_mq_part wraps[] = {{"x", SIZE_MAX}, {"x", 2}};
  face_stage::checkRows({
      CALLED(api.mq->send(c, sender, "x", size_t{1} << 30, 0, 1), BGWORKER_ERR_TOO_LARGE),
      CALLED(api.mq->sendv(c, sender, wraps, 2, 0, 1), BGWORKER_ERR_TOO_LARGE),
      CALLED(api.mq->send(c, sender, nullptr, 1, 0, 1), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.mq->sendv(c, sender, nullptr, 1, 0, 1), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.mq->sendv(c, sender, many.data(), 65, 0, 1), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.mq->sendv(c, sender, many.data(), 64, 0, 1), 0),
      CALLED(api.mq->receive(c, sender, &data, &bytes, 0), BGWORKER_ERR_WRONG_END),
      CALLED(api.mq->receive(d, receiver, nullptr, &bytes, 0), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.mq->receive(d, receiver, &data, nullptr, 0), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(sendText(d, receiver, "x"), BGWORKER_ERR_WRONG_END),
      CALLED(api.mq->flush(d, receiver), BGWORKER_ERR_WRONG_END),
      // A handle of another process's is none of ours, unless it happens to be.
      CALLED(sendText(d, {sender.id + 1}, "x"), BGWORKER_ERR_BAD_HANDLE),
      CALLED(sendText(d, {0}, "x"), BGWORKER_ERR_BAD_HANDLE),
  });
  CHECK_EQUAL(receiveText(d, receiver), std::string(64, 'x'));
  // Scribbled on: more was read than was written.
  static_cast<SharedQueue*>(memory)->read.store(4096);
  CHECK_EQUAL(sendText(c, sender, "x"), BGWORKER_ERR_CORRUPT);
  CHECK_EQUAL(receiveText(d, receiver), "(error)");
}

TEST("a message under way goes on with the same arguments only") {
  Stage stage;
  Stage::Own one(stage, 0), two(stage, 1);
  bgworker_context *c = one.actor, *d = two.actor;
  void* memory = queueIn(c);
  const bgworker_mq_handle sender = senderOf(c, memory), receiver = receiverOf(d, memory);
  std::string large(3000, 'l');
  const std::string other(3000, 'o');
  CHECK_EQUAL(sendText(c, sender, large), BGWORKER_MQ_WOULD_BLOCK);
  CHECK_EQUAL(sendText(c, sender, other), BGWORKER_ERR_NOT_IDENTICAL);
  const bgworker_mq_part parts[] = {{large.data(), 1000}, {large.data() + 1000, 2000}};
  CHECK_EQUAL(api.mq->sendv(c, sender, parts, 2, 0, 1), BGWORKER_ERR_NOT_IDENTICAL);
  CHECK_EQUAL(api.mq->send(c, sender, large.data(), 2999, 0, 1), BGWORKER_ERR_NOT_IDENTICAL);
  std::string got = "(would block)";
  int sent = BGWORKER_MQ_WOULD_BLOCK;
  for (int i = 0; i < 20 && got == "(would block)"; ++i) {
    got = receiveText(d, receiver);
    if (sent == BGWORKER_MQ_WOULD_BLOCK) sent = sendText(c, sender, large);
  }
  CHECK_EQUAL(sent, BGWORKER_MQ_SUCCESS);
  CHECK(got == large);
  // It is over: another one is welcome.
  CHECK_EQUAL(sendText(c, sender, "other"), 0);
  CHECK_EQUAL(receiveText(d, receiver), "other");
}

TEST("an end that goes with its segment, or with its worker, is told to the other") {
  Stage stage;
  Stage::Own one(stage, 0);
  bgworker_context* c = one.actor;
  bgworker_mq_handle sender{};
  {
    Stage::Own two(stage, 1);
    bgworker_segment segment{}, same{};
    CHECK_EQUAL(api.dsm->create(c, 4096, &segment), 0);
    CHECK_EQUAL(api.mq->create(c, segment.address, 4096), 0);
    sender = senderOf(c, segment.address, 4096);
    CHECK_EQUAL(api.dsm->attach(two.actor, segment.handle, &same), 0);
    receiverOf(two.actor, same.address, 4096);
    CHECK_EQUAL(sendText(c, sender, "x"), 0);
    // By its segment.
    CHECK_EQUAL(api.dsm->detach(two.actor, segment.handle), 0);
    CHECK_EQUAL(sendText(c, sender, "x", -1), BGWORKER_MQ_DETACHED);
    CHECK_EQUAL(api.dsm->detach(c, segment.handle), 0);
    CHECK_EQUAL(sendText(c, sender, "x"), BGWORKER_ERR_BAD_HANDLE);
    // By the end of the worker, in the main area, where nothing is unmapped.
    void* memory = queueIn(c);
    sender = senderOf(c, memory);
    receiverOf(two.actor, memory);
  }
  CHECK_EQUAL(sendText(c, sender, "x", -1), BGWORKER_MQ_DETACHED);
  CHECK_EQUAL(api.mq->wait_for_attach(c, sender, -1), BGWORKER_MQ_DETACHED);
  // Set, and gone without having attached.
  void* second = queueIn(c, "second");
  {
    Stage::Own two(stage, 1);
    CHECK_EQUAL(api.mq->set_sender(two.actor, second, kQueueBytes), 0);
  }
  CHECK_EQUAL(receiveText(c, receiverOf(c, second)), "(detached)");
}

TEST("in a segment, callbacks and queues go in the reverse of their order") {
  Stage stage;
  Stage::Own one(stage, 0), two(stage, 1);
  bgworker_context *c = one.actor, *d = two.actor;
  bgworker_segment segment{}, same{};
  CHECK_EQUAL(api.dsm->create(c, 8192, &segment), 0);
  CHECK_EQUAL(api.mq->create(c, segment.address, 4096), 0);
  CHECK_EQUAL(api.dsm->attach(d, segment.handle, &same), 0);
  const bgworker_mq_handle receiver = receiverOf(d, same.address, 4096);
  // Registered before the queue, this one runs when it is detached; after it, while it is there.
  struct Farewell {
    bgworker_mq_handle sender{};
    std::string results{};
    static void say(bgworker_context* context, const bgworker_segment*, void* arg) {
      auto* self = static_cast<Farewell*>(arg);
      self->results += std::to_string(sendText(context, self->sender, "farewell")) + " ";
    }
  };
  Farewell farewell;
  CHECK_EQUAL(api.dsm->on_detach(c, segment.handle, Farewell::say, &farewell), 0);
  farewell.sender = senderOf(c, segment.address, 4096);
  CHECK_EQUAL(api.dsm->on_detach(c, segment.handle, Farewell::say, &farewell), 0);
  CHECK_EQUAL(api.dsm->detach(c, segment.handle), 0);
  CHECK_EQUAL(farewell.results, "0 " + std::to_string(BGWORKER_ERR_BAD_HANDLE) + " ");
  CHECK_EQUAL(receiveText(d, receiver), "farewell");
  CHECK_EQUAL(receiveText(d, receiver), "(detached)");
}

TEST("both ends at once by two: one gets it, the other is refused") {
  for (int round = 0; round < 50; ++round) {
    Stage stage(2, 4096);
    std::atomic<int> taken{0}, refused{0};
    stage.run(World::threads, 2, [&](Actor& actor) {
      bgworker_mq_handle handle{};
      void* memory = queueIn(actor);
      const int result = api.mq->attach_sender(actor, memory, kQueueBytes, &handle);
      (result == 0 ? taken : refused).fetch_add(1);
      CHECK(result == 0 || result == BGWORKER_ERR_END_TAKEN);
    });
    CHECK_EQUAL(taken.load(), 1);
    CHECK_EQUAL(refused.load(), 1);
  }
}

WORLD_TEST("random messages through a small ring, byte for byte, and the end of it") {
  const uint32_t count = worlds::scaled(4000);
  constexpr size_t kSmall = 320;
  Stage stage;
  stage.run(world, 2, [&](Actor& actor) {
    // Both draw the same messages.
    std::mt19937_64 random(4711);
    void* memory = queueIn(actor, "small", kSmall);
    const auto handle =
        actor.index == 0 ? senderOf(actor, memory, kSmall) : receiverOf(actor, memory, kSmall);
    std::vector<uint8_t> message;
    for (uint32_t i = 0; i < count; ++i) {
      message.resize(random() % (i % 10 == 0 ? 5000 : 100));
      for (uint8_t& byte : message) byte = static_cast<uint8_t>(random());
      const int flush = random() % 2 == 0 ? 1 : 0;
      if (actor.index == 0) {
        CHECK_EQUAL(api.mq->send(actor, handle, message.data(), message.size(),
                                 processes::kPatienceMs, flush),
                    0);
        continue;
      }
      const void* data = nullptr;
      size_t bytes = 0;
      CHECK_EQUAL(api.mq->receive(actor, handle, &data, &bytes, processes::kPatienceMs), 0);
      CHECK_EQUAL(bytes, message.size());
      CHECK(bytes == 0 || std::memcmp(data, message.data(), bytes) == 0);
    }
    if (actor.index == 0) return;
    const void* data = nullptr;
    size_t bytes = 0;
    CHECK_EQUAL(api.mq->receive(actor, handle, &data, &bytes, processes::kPatienceMs),
                BGWORKER_MQ_DETACHED);
  });
}
