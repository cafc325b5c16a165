// listener.h: a descriptor that listens, and the connections that come out of it.
//
// Nothing here waits: a listener never blocks, and neither do the connections that it gives. Every
// descriptor is close-on-exec, so no child of anybody's keeps a port or a client.

#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/base/descriptor.h"
#include "core/base/result.h"
#include "core/net/peer.h"

namespace bgworker {

/** The longest path of a socket: sizeof(sockaddr_un.sun_path) less the final NUL. */
inline constexpr size_t kSocketPathBytes = 107;

/** `host` is a numeric address; port 0: whichever is free, see nameOf(). */
Result<Descriptor> listenInet(const std::string& host, uint16_t port, int backlog);
/**
 * Makes the socket file, with this mode from its first connection on; without one, as the umask
 * says. EADDRINUSE if the path is there, whatever it is; ENAMETOOLONG.
 */
Result<Descriptor> listenLocal(const std::string& path, std::optional<mode_t> mode, int backlog);
/**
 * A listener of our own out of one that somebody else has opened for us (LISTEN_FDS), which stays
 * open, close-on-exec and non-blocking from now on: who listens a second time finds it there.
 * EINVAL or ENOTSOCK if it is not a stream socket of a known family that listens.
 */
Result<Descriptor> adoptListener(int descriptor);

/** Where a listener listens: a numeric host and a port, or a path. */
struct ListenerName {
  Peer::Kind kind;
  std::string hostOrPath;
  uint16_t port;
};
Result<ListenerName> nameOf(int listener);

struct Accepted {
  Descriptor connection;
  Peer peer;
};

/**
 * The next client; nothing if none waits. One that left again before it was accepted is passed
 * over. An error (EMFILE, ENOBUFS …) leaves the client where it is.
 */
Result<std::optional<Accepted>> acceptConnection(int listener);

enum class SocketFileUse { nobody, somebody };
/** Does anybody listen at this socket file? A connect() that waits for nothing; ENOENT if gone. */
Result<SocketFileUse> probeSocketFile(const std::string& path);

}  // namespace bgworker
