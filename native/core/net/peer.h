// peer.h: who is at the other end of a client's connection.

#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>

#include "core/base/result.h"

namespace bgworker {

/** The longest numeric address with its scope, "fe80::…%interface", and the final NUL. */
inline constexpr size_t kHostBytes = 64;

struct Peer {
  enum class Kind { inet, local } kind;
  /** inet: numeric, as text. */
  char host[kHostBytes];
  uint16_t port;
  /** local: as they were when the client connected (SO_PEERCRED). */
  pid_t pid;
  uid_t uid;
  gid_t gid;
};

/** What accept4() or getpeername() said, completed. EAFNOSUPPORT for any other family. */
Result<Peer> describePeer(int connection, const sockaddr_storage& address);
/** The same of a connection that somebody else has accepted. */
Result<Peer> peerOf(int connection);

}  // namespace bgworker
