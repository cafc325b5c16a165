// packet.h: one message on its way out.
//
// A packet borrows its body and descriptors from the caller, so sending at once copies nothing.
// One that has to wait for room in the socket calls keep() first, and then owns all it needs.

#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/descriptor.h"
#include "core/base/result.h"
#include "core/ipc/message.h"

namespace bgworker {

struct OutgoingMessage {
  MessageKind kind;
  uint32_t childId = 0;
  uint16_t flags = 0;
  std::span<const uint8_t> body = {};
  std::span<const int> descriptors = {};
};

enum class SendOutcome { sent, wouldBlock, peerGone };
enum class Blocking { yes, no };

class Packet {
 public:
  /** Puts a long body into a memory file. EMSGSIZE or EINVAL if the message cannot be sent. */
  static Result<Packet> make(const OutgoingMessage& message);

  Result<SendOutcome> send(int socket, Blocking blocking) const;
  /** Copies what is borrowed. */
  Status keep();

 private:
  MessageHeader header_{};
  std::span<const uint8_t> inlineBody_;
  std::vector<int> numbers_;  // what is sent: the body's file first, then the message's own
  Descriptor bodyFile_;
  std::vector<uint8_t> keptBody_;
  std::vector<Descriptor> keptDescriptors_;
};

/** Makes and sends; blocks while the socket is full. */
Result<SendOutcome> sendMessage(int socket, const OutgoingMessage& message);

}  // namespace bgworker
