#include "core/ipc/inbox.h"

#include <poll.h>
#include <sys/socket.h>

#include <cstring>

#include "core/shm/memory_file.h"

namespace bgworker {
namespace {

constexpr SystemError kMalformed{"recvmsg", EPROTO};

/** Takes every descriptor that the kernel installed, whatever else is wrong with the message. */
void collectDescriptors(msghdr& message, std::vector<Descriptor>& descriptors) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int number;
      std::memcpy(&number, CMSG_DATA(part) + i * sizeof(int), sizeof number);
      descriptors.emplace_back(number);
    }
  }
}

}  // namespace

Inbox::Inbox(Direction direction) : direction_(direction), buffer_(new uint8_t[kInlineBodyBytes]) {}

void Inbox::clear() {
  bodyFile_.reset();
  descriptors_.clear();
}

Result<ReceiveOutcome> Inbox::receive(int socket, Blocking blocking) {
  clear();
  for (;;) {
    iovec parts[2] = {{&header_, sizeof header_}, {buffer_.get(), kInlineBodyBytes}};
    alignas(cmsghdr) char control[kControlBytes];
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t bytes = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (bytes > 0) {
      collectDescriptors(message, descriptors_);
      Result<ReceiveOutcome> outcome = accept(static_cast<size_t>(bytes), message.msg_flags);
      if (!outcome.ok()) clear();
      return outcome;
    }
    if (bytes == 0) {
      // A descriptor in an empty packet is no message of ours; the end of file it looks like.
      collectDescriptors(message, descriptors_);
      clear();
      return ReceiveOutcome::peerGone;
    }
    if (errno == EINTR) continue;
    if (errno == ECONNRESET) return ReceiveOutcome::peerGone;
    if (errno != EAGAIN) return lastError("recvmsg");
    if (blocking == Blocking::no) return ReceiveOutcome::wouldBlock;
    pollfd arrival{socket, POLLIN, 0};
    (void)poll(&arrival, 1, -1);  // Whatever it says, the next recvmsg() decides.
  }
}

Result<ReceiveOutcome> Inbox::accept(size_t bytes, int flags) {
  if (bytes < sizeof header_ || (flags & MSG_TRUNC) != 0) return kMalformed;
  if (!isWellFormed(header_, direction_)) return kMalformed;
  bool inFile = (header_.flags & kFlagBodyInFile) != 0;
  if (bytes - sizeof header_ != (inFile ? 0 : header_.bodyBytes)) return kMalformed;
  size_t expected = header_.descriptorCount + (inFile ? 1 : 0);
  // The kernel cuts the control data of a message that fits only if it found no free number.
  if ((flags & MSG_CTRUNC) != 0 && descriptors_.size() < expected) {
    clear();
    return ReceiveOutcome::descriptorsLost;
  }
  if ((flags & MSG_CTRUNC) != 0 || descriptors_.size() != expected) return kMalformed;
  if (inFile) {
    bodyFile_ = std::move(descriptors_.front());
    descriptors_.erase(descriptors_.begin());
    Result<size_t> size = sealedSize(bodyFile_.get(), Sealing::content);
    if (!size.ok() || size.value() != header_.bodyBytes) return kMalformed;
  }
  return ReceiveOutcome::message;
}

Result<std::vector<uint8_t>> Inbox::copyBody() const {
  if (!bodyFile_.valid()) {
    std::span<const uint8_t> body = inlineBody();
    return std::vector<uint8_t>(body.begin(), body.end());
  }
  std::vector<uint8_t> body(header_.bodyBytes);
  Status read = readWhole(bodyFile_.get(), body);
  if (!read.ok()) return read.error();
  return body;
}

std::span<const uint8_t> Inbox::inlineBody() const {
  PM_ASSERT(!bodyFile_.valid(), "this kind of message never has its body in a file");
  return {buffer_.get(), header_.bodyBytes};
}

}  // namespace bgworker
