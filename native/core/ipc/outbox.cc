#include "core/ipc/outbox.h"

namespace bgworker {

Status Outbox::post(int socket, const OutgoingMessage& message) {
  Result<Packet> packet = Packet::make(message);
  if (!packet.ok()) return packet.error();
  if (waiting_.empty()) {
    Result<SendOutcome> outcome = packet.value().send(socket, Blocking::no);
    if (!outcome.ok()) return outcome.error();
    if (outcome.value() != SendOutcome::wouldBlock) return {};
  }
  Status kept = packet.value().keep();
  if (!kept.ok()) return kept;
  waiting_.push_back(std::move(packet.value()));
  return {};
}

Status Outbox::flush(int socket) {
  while (!waiting_.empty()) {
    Result<SendOutcome> outcome = waiting_.front().send(socket, Blocking::no);
    if (!outcome.ok()) return outcome.error();
    switch (outcome.value()) {
      case SendOutcome::wouldBlock:
        return {};
      case SendOutcome::sent:
        waiting_.pop_front();
        break;
      case SendOutcome::peerGone:
        waiting_.clear();
        break;
    }
  }
  return {};
}

}  // namespace bgworker
