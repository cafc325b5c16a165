// mq.cc: message queues (include/bgworker/mq.h).

#include <cstring>

#include "core/face/context.h"
#include "core/face/tables.h"
#include "core/face/waits.h"

namespace bgworker::face {

HeldEnd::~HeldEnd() {
  // The end itself detaches when it goes, a moment later.
  if (segment != 0) (void)holdings.memory.segments.cancelOnDetach(segment, onSegmentDetach, this);
}

void HeldEnd::onSegmentDetach(const SegmentView&, void* end) {
  auto* held = static_cast<HeldEnd*>(end);
  held->holdings.ends.drop(held->handle);
}

namespace {

static_assert(BGWORKER_MQ_MINIMUM_SIZE == kMinimumQueueBytes &&
                  BGWORKER_MQ_ALIGNMENT == alignof(SharedQueue) &&
                  BGWORKER_MQ_MAX_MESSAGE == kMaxMessageBytes,
              "the limits are what the header says");

constexpr size_t kMostParts = 64;

int errorOfQueue(const SystemError& error) {
  return error.number == EPROTO ? BGWORKER_ERR_NO_QUEUE : BGWORKER_ERR_QUEUE_SIZE;
}

int enterAtMemory(bgworker_context* context, void* memory, size_t bytes, Holdings** held) {
  if (int refused = enter(context, held)) return refused;
  if (memory == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  const bool isPlace = (*held)->placeOf(memory, bytes, alignof(SharedQueue)) != nullptr;
  return isPlace ? 0 : BGWORKER_ERR_BAD_PLACE;
}

int create(bgworker_context* context, void* memory, size_t bytes) {
  Holdings* held = nullptr;
  if (int refused = enterAtMemory(context, memory, bytes, &held)) return refused;
  // What this process knows of it would be wrong.
  if (held->ends.search([memory](const HeldEnd& end) { return end.memory == memory; }) != 0) {
    return BGWORKER_ERR_END_TAKEN;
  }
  Result<Queue> queue = Queue::create(memory, bytes);
  return queue.ok() ? 0 : errorOfQueue(queue.error());
}

template <typename End>
bool take(const Queue& queue, const ThisProcess& self) {
  if constexpr (std::is_same_v<End, QueueSender>) return queue.takeSender(self);
  return queue.takeReceiver(self);
}

/** The end of that kind that this process has there; 0 if it has none. */
template <typename End>
uint64_t searchEnd(const Holdings& held, const void* memory) {
  return held.ends.search([memory](const HeldEnd& end) {
    return end.memory == memory && std::holds_alternative<End>(end.end);
  });
}

template <typename End>
int takeEnd(bgworker_context* context, void* memory, size_t bytes, Holdings** held,
            uint64_t* handle) {
  if (int refused = enterAtMemory(context, memory, bytes, held)) return refused;
  Result<Queue> queue = Queue::open(memory, bytes);
  if (!queue.ok()) return errorOfQueue(queue.error());
  AttachedMemory& attached = (*held)->memory;
  if (!take<End>(queue.value(), attached.self)) return BGWORKER_ERR_END_TAKEN;
  auto end =
      std::make_unique<HeldEnd>(**held, std::in_place_type<End>, attached.self, queue.value());
  HeldEnd& kept = *end;
  kept.handle = *handle = (*held)->ends.add(std::move(end));
  kept.segment = attached.segments.findAround(memory, bytes).handle;
  if (kept.segment != 0) {
    // It is mapped, or it would be no place.
    (void)attached.segments.onDetach(kept.segment, HeldEnd::onSegmentDetach, &kept).ok();
  }
  return 0;
}

template <typename End>
int set(bgworker_context* context, void* memory, size_t bytes) {
  Holdings* held = nullptr;
  uint64_t handle = 0;
  return takeEnd<End>(context, memory, bytes, &held, &handle);
}

template <typename End>
int attach(bgworker_context* context, void* memory, size_t bytes, bgworker_mq_handle* handle) {
  Holdings* held = nullptr;
  if (int refused = enterAtMemory(context, memory, bytes, &held)) return refused;
  if (handle == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  uint64_t found = searchEnd<End>(*held, memory);
  if (found == 0) {
    if (int refused = takeEnd<End>(context, memory, bytes, &held, &found)) return refused;
  }
  HeldEnd& end = *held->ends.find(found);
  if (end.attached) return BGWORKER_ERR_END_TAKEN;
  end.attached = true;
  handle->id = found;
  return 0;
}

template <uint32_t (Queue::*slotPlusOne)() const>
int get(bgworker_context* context, void* memory, size_t bytes, int64_t* slot) {
  Holdings* held = nullptr;
  if (int refused = enterAtMemory(context, memory, bytes, &held)) return refused;
  if (slot == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  Result<Queue> queue = Queue::open(memory, bytes);
  if (!queue.ok()) return errorOfQueue(queue.error());
  *slot = static_cast<int64_t>((queue.value().*slotPlusOne)()) - 1;
  return 0;
}

int enterAtEnd(bgworker_context* context, bgworker_mq_handle handle, HeldEnd** end) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  *end = held->ends.find(handle.id);
  return *end != nullptr && (*end)->attached ? 0 : BGWORKER_ERR_BAD_HANDLE;
}

/** Calls `act(options)` until it ends by itself; see waitOutSignals(). */
template <typename Act>
int runQueue(int64_t timeoutMs, bool forceFlush, Act act) {
  const int64_t deadlineNs = deadlineOf(timeoutMs);
  for (;;) {
    const bool leaving = timeoutMs != 0 && shutdownRequested();
    const QueueOptions options{.nowait = timeoutMs == 0,
                               .forceFlush = forceFlush,
                               .wait = untilDeadline(leaving ? 0 : deadlineNs)};
    switch (act(options)) {
      case QueueResult::success:
        return BGWORKER_MQ_SUCCESS;
      case QueueResult::wouldBlock:
        return BGWORKER_MQ_WOULD_BLOCK;
      case QueueResult::detached:
        return BGWORKER_MQ_DETACHED;
      case QueueResult::interrupted:
        noteSignal();
        continue;
      case QueueResult::timedOut:
        return leaving ? static_cast<int>(BGWORKER_ERR_SHUTDOWN) : BGWORKER_MQ_WOULD_BLOCK;
      case QueueResult::postmasterDied:
        return BGWORKER_ERR_POSTMASTER_DIED;
      case QueueResult::tooLarge:
        return BGWORKER_ERR_TOO_LARGE;
      case QueueResult::noMemory:
        return BGWORKER_ERR_OUT_OF_MEMORY;
      case QueueResult::corrupted:
        return BGWORKER_ERR_CORRUPT;
    }
  }
}

int waitForAttach(bgworker_context* context, bgworker_mq_handle handle, int64_t timeoutMs) {
  HeldEnd* end = nullptr;
  if (int refused = enterAtEnd(context, handle, &end)) return refused;
  return std::visit(
      [&](QueueEnd& either) {
        return runQueue(timeoutMs, true,
                        [&](const QueueOptions& options) { return either.waitForAttach(options); });
      },
      end->end);
}

/** Are these the parts of the message under way? By their places, not by their bytes. */
bool isIdentical(const std::vector<bgworker_mq_part>& underWay, const bgworker_mq_part* parts,
                 size_t count) {
  if (underWay.size() != count) return false;
  for (size_t i = 0; i < count; ++i) {
    if (underWay[i].data != parts[i].data || underWay[i].bytes != parts[i].bytes) return false;
  }
  return true;
}

int sendv(bgworker_context* context, bgworker_mq_handle handle, const bgworker_mq_part* parts,
          size_t count, int64_t timeoutMs, int forceFlush) {
  HeldEnd* end = nullptr;
  if (int refused = enterAtEnd(context, handle, &end)) return refused;
  auto* sender = std::get_if<QueueSender>(&end->end);
  if (sender == nullptr) return BGWORKER_ERR_WRONG_END;
  if (count > kMostParts || (parts == nullptr && count > 0)) return BGWORKER_ERR_INVALID_ARGUMENT;
  std::span<const uint8_t> spans[kMostParts];
  size_t total = 0;
  for (size_t i = 0; i < count; ++i) {
    const auto& [data, bytes] = parts[i];
    if (data == nullptr && bytes > 0) return BGWORKER_ERR_INVALID_ARGUMENT;
    // Their sum could wrap.
    if (bytes > kMaxMessageBytes - total) return BGWORKER_ERR_TOO_LARGE;
    total += bytes;
    spans[i] = {static_cast<const uint8_t*>(data), bytes};
  }
  if (sender->isUnderWay() && !isIdentical(end->underWay, parts, count)) {
    return BGWORKER_ERR_NOT_IDENTICAL;
  }
  const int result = runQueue(timeoutMs, forceFlush != 0, [&](const QueueOptions& options) {
    return sender->send(std::span<const std::span<const uint8_t>>(spans, count), options);
  });
  if (sender->isUnderWay()) end->underWay.assign(parts, parts + count);
  return result;
}

int send(bgworker_context* context, bgworker_mq_handle handle, const void* data, size_t bytes,
         int64_t timeoutMs, int forceFlush) {
  const bgworker_mq_part part{data, bytes};
  return sendv(context, handle, &part, 1, timeoutMs, forceFlush);
}

int flush(bgworker_context* context, bgworker_mq_handle handle) {
  HeldEnd* end = nullptr;
  if (int refused = enterAtEnd(context, handle, &end)) return refused;
  auto* sender = std::get_if<QueueSender>(&end->end);
  if (sender == nullptr) return BGWORKER_ERR_WRONG_END;
  sender->flush();
  return 0;
}

int receive(bgworker_context* context, bgworker_mq_handle handle, const void** data, size_t* bytes,
            int64_t timeoutMs) {
  HeldEnd* end = nullptr;
  if (int refused = enterAtEnd(context, handle, &end)) return refused;
  auto* receiver = std::get_if<QueueReceiver>(&end->end);
  if (receiver == nullptr) return BGWORKER_ERR_WRONG_END;
  if (data == nullptr || bytes == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  std::span<const uint8_t> message;
  const int result = runQueue(timeoutMs, true, [&](const QueueOptions& options) {
    return receiver->receive(&message, options);
  });
  if (result != BGWORKER_MQ_SUCCESS) return result;
  *data = message.data();
  *bytes = message.size();
  return result;
}

int detach(bgworker_context* context, bgworker_mq_handle handle) {
  HeldEnd* end = nullptr;
  if (int refused = enterAtEnd(context, handle, &end)) return refused;
  end->holdings.ends.drop(handle.id);
  return 0;
}

}  // namespace

const bgworker_mq_api kMqApi = {
    create,
    set<QueueSender>,
    set<QueueReceiver>,
    get<&Queue::sender>,
    get<&Queue::receiver>,
    attach<QueueSender>,
    attach<QueueReceiver>,
    waitForAttach,
    send,
    sendv,
    flush,
    receive,
    detach,
};

}  // namespace bgworker::face
