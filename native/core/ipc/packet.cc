#include "core/ipc/packet.h"

#include <poll.h>
#include <sys/socket.h>

#include <cstring>

#include "core/shm/memory_file.h"

namespace bgworker {
namespace {

/** Waits until the socket has room; or a millisecond, where no event tells when to go on. */
void waitForRoom(int socket, int timeoutMs) {
  pollfd room{socket, POLLOUT, 0};
  // Whatever poll() says, the next sendmsg() decides.
  (void)poll(&room, timeoutMs < 0 ? 1 : 0, timeoutMs);
}

}  // namespace

Result<Packet> Packet::make(const OutgoingMessage& message) {
  if (message.body.size() > kMaxBodyBytes) return SystemError{"sendmsg", EMSGSIZE};
  if (message.descriptors.size() > kMaxDescriptors) return SystemError{"sendmsg", EINVAL};
  Packet packet;
  packet.header_ = {kMessageMagic,
                    message.kind,
                    message.flags,
                    message.childId,
                    static_cast<uint32_t>(message.body.size()),
                    static_cast<uint32_t>(message.descriptors.size()),
                    0};
  if (message.body.size() > kInlineBodyBytes) {
    Result<Descriptor> file = makeMessageFile(message.body);
    if (!file.ok()) return file.error();
    packet.bodyFile_ = std::move(file.value());
    packet.header_.flags |= kFlagBodyInFile;
    packet.numbers_.push_back(packet.bodyFile_.get());
  } else {
    packet.inlineBody_ = message.body;
  }
  packet.numbers_.insert(packet.numbers_.end(), message.descriptors.begin(),
                         message.descriptors.end());
  return packet;
}

Result<SendOutcome> Packet::send(int socket, Blocking blocking) const {
  iovec parts[2] = {{const_cast<MessageHeader*>(&header_), sizeof header_},
                    {const_cast<uint8_t*>(inlineBody_.data()), inlineBody_.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = inlineBody_.empty() ? 1 : 2;
  alignas(cmsghdr) char control[kControlBytes] = {};
  if (!numbers_.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(numbers_.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(numbers_.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), numbers_.data(), numbers_.size() * sizeof(int));
  }
  for (;;) {
    if (sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return SendOutcome::sent;
    if (errno == EINTR) continue;
    if (errno == EPIPE || errno == ECONNRESET) return SendOutcome::peerGone;
    bool full = errno == EAGAIN || errno == ENOBUFS;
    // ETOOMANYREFS: too many descriptors are on their way between processes of this user. It
    // passes as they are received, but no event says so, hence the millisecond.
    bool crowded = errno == ETOOMANYREFS && blocking == Blocking::yes;
    if (!full && !crowded) return lastError("sendmsg");
    if (blocking == Blocking::no) return SendOutcome::wouldBlock;
    waitForRoom(socket, crowded || errno == ENOBUFS ? 1 : -1);
  }
}

Status Packet::keep() {
  keptBody_.assign(inlineBody_.begin(), inlineBody_.end());
  inlineBody_ = keptBody_;
  for (size_t i = bodyFile_.valid() ? 1 : 0; i < numbers_.size(); ++i) {
    Result<Descriptor> copy = duplicateFrom(numbers_[i], 0);
    if (!copy.ok()) return copy.error();
    numbers_[i] = copy.value().get();
    keptDescriptors_.push_back(std::move(copy.value()));
  }
  return {};
}

Result<SendOutcome> sendMessage(int socket, const OutgoingMessage& message) {
  Result<Packet> packet = Packet::make(message);
  if (!packet.ok()) return packet.error();
  return packet.value().send(socket, Blocking::yes);
}

}  // namespace bgworker
