#include "core/net/peer.h"

#include <netdb.h>
#include <netinet/in.h>

namespace bgworker {
namespace {

Result<Peer> localPeer(int connection) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) {
    return lastError("getsockopt");
  }
  Peer peer{};
  peer.kind = Peer::Kind::local;
  peer.pid = credentials.pid;
  peer.uid = credentials.uid;
  peer.gid = credentials.gid;
  return peer;
}

Result<Peer> inetPeer(const sockaddr_storage& address, socklen_t size, in_port_t port) {
  Peer peer{};
  peer.kind = Peer::Kind::inet;
  peer.port = ntohs(port);
  // Numeric: it asks no name server.
  int failed = getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, peer.host,
                           sizeof peer.host, nullptr, 0, NI_NUMERICHOST);
  if (failed != 0) return SystemError{"getnameinfo", failed == EAI_SYSTEM ? errno : EINVAL};
  return peer;
}

}  // namespace

Result<Peer> describePeer(int connection, const sockaddr_storage& address) {
  switch (address.ss_family) {
    case AF_UNIX:
      return localPeer(connection);
    case AF_INET:
      return inetPeer(address, sizeof(sockaddr_in),
                      reinterpret_cast<const sockaddr_in&>(address).sin_port);
    case AF_INET6:
      return inetPeer(address, sizeof(sockaddr_in6),
                      reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
    default:
      return SystemError{"accept4", EAFNOSUPPORT};
  }
}

Result<Peer> peerOf(int connection) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getpeername(connection, reinterpret_cast<sockaddr*>(&address), &size) < 0) {
    return lastError("getpeername");
  }
  return describePeer(connection, address);
}

}  // namespace bgworker
