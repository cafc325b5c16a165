// message.h: what travels between postmaster and launcher. The list is closed.
//
// One message is one packet of a SOCK_SEQPACKET socket: a header, a body, and descriptors. A body
// over kInlineBodyBytes travels in a sealed memory file, whose descriptor then comes first.
// The receiver checks all of it; what does not fit is a bug of the peer and ends the channel.

#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace bgworker {

enum class MessageKind : uint16_t {
  // In both directions: opaque bytes from JavaScript to JavaScript.
  note = 1,
  // To the launcher.
  fork = 2,
  exec = 3,
  area = 4,  // the new main area, as a descriptor
  // To the postmaster.
  forked = 5,
  failed = 6,
  exited = 7,
  // To an exec'ed worker, over the socket that brought its note: its doorbells, in order.
  descriptors = 8,
};

enum class Direction { toLauncher, toPostmaster };

inline constexpr uint32_t kMessageMagic = 0x57474221;
/** FORK: the child keeps the main area mapped. */
inline constexpr uint16_t kFlagAttach = 1U << 0;
/** The body lies in the first descriptor. */
inline constexpr uint16_t kFlagBodyInFile = 1U << 1;

inline constexpr size_t kInlineBodyBytes = 32 * 1024;
inline constexpr size_t kMaxBodyBytes = 1024UL * 1024 * 1024;
/** Descriptors of one message, not counting the one of its body. */
inline constexpr size_t kMaxDescriptors = 64;
/** What sendmsg(2) and recvmsg(2) need for all of them. */
inline constexpr size_t kControlBytes = CMSG_SPACE((kMaxDescriptors + 1) * sizeof(int));

struct MessageHeader {
  uint32_t magic;
  MessageKind kind;
  uint16_t flags;
  uint32_t childId;
  uint32_t bodyBytes;
  uint32_t descriptorCount;
  uint32_t unused;
};
static_assert(sizeof(MessageHeader) == 24 && std::is_trivially_copyable_v<MessageHeader>,
              "the layout is a contract between processes");

/** FORKED: its one descriptor is the pidfd. */
struct ForkedBody {
  int32_t pid;
};

/** FAILED, and what an exec'ed child tells the launcher before it gives up. */
struct FailedBody {
  int32_t errorNumber;
  char call[28];
};
static_assert(sizeof(FailedBody) == 32, "the layout is a contract between processes");

struct ExitedBody {
  int32_t pid;
  int32_t waitStatus;
  uint64_t userUs;
  uint64_t systemUs;
  uint64_t maxResidentKb;
};
static_assert(sizeof(ExitedBody) == 32, "the layout is a contract between processes");

/** The call's name is cut if it is too long; both fields are always complete. */
FailedBody failedBody(const char* call, int errorNumber);

/** Is this a header that a peer of ours could have sent in this direction? */
bool isWellFormed(const MessageHeader& header, Direction direction);

}  // namespace bgworker
