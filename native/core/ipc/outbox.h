// outbox.h: the postmaster's side of sending, which never blocks.
//
// Messages leave in the order in which they were posted. What the socket has no room for waits
// here, owning its body and its descriptors, until the socket is writable: then call flush().

#pragma once

#include <deque>

#include "core/ipc/packet.h"

namespace bgworker {

class Outbox {
 public:
  /** A vanished peer is no error here: its end of file is the notice, and it comes anyway. */
  Status post(int socket, const OutgoingMessage& message);
  Status flush(int socket);
  bool isEmpty() const { return waiting_.empty(); }
  void clear() { waiting_.clear(); }

 private:
  std::deque<Packet> waiting_;
};

}  // namespace bgworker
