// inbox.h: receiving one message, and believing nothing of it.
//
// The inbox owns the packet's buffer and descriptors until the next receive(). Descriptors of a
// message that is refused are closed, those of one whose control data was cut as well.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/descriptor.h"
#include "core/base/result.h"
#include "core/ipc/message.h"
#include "core/ipc/packet.h"

namespace bgworker {

enum class ReceiveOutcome {
  message,
  wouldBlock,
  peerGone,
  /** A sound message, but this process had no number free for its descriptors (EMFILE). */
  descriptorsLost,
};

class Inbox {
 public:
  explicit Inbox(Direction direction);

  /** EPROTO: the peer sent what no peer of ours sends; give the channel up. */
  Result<ReceiveOutcome> receive(int socket, Blocking blocking);

  const MessageHeader& header() const { return header_; }
  /** Reads a body that lies in a file at this moment only, so that a child can do it. */
  Result<std::vector<uint8_t>> copyBody() const;
  /** The body where it lies; for kinds whose body is never in a file. */
  std::span<const uint8_t> inlineBody() const;
  std::vector<Descriptor>& descriptors() { return descriptors_; }
  /** Closes what the last message brought. */
  void clear();

 private:
  Result<ReceiveOutcome> accept(size_t bytes, int flags);

  Direction direction_;
  MessageHeader header_{};
  std::unique_ptr<uint8_t[]> buffer_;
  Descriptor bodyFile_;
  std::vector<Descriptor> descriptors_;
};

}  // namespace bgworker
