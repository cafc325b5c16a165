#include "core/net/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

namespace bgworker {
namespace {

/** Of one drain(): a client that floods is read no faster than the loop turns. */
constexpr int kReadsPerDrain = 16;
constexpr size_t kDrainBytes = 4096;

Result<bool> isTcp(int socket) {
  int protocol = 0;
  socklen_t size = sizeof protocol;
  if (getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0) {
    return lastError("getsockopt");
  }
  return protocol == IPPROTO_TCP;
}

}  // namespace

Status tuneConnection(int connection, bool noDelay, const Keepalive& keepalive) {
  Result<bool> tcp = isTcp(connection);
  if (!tcp.ok()) return tcp.error();
  if (!tcp.value()) return {};
  const int value = noDelay ? 1 : 0;
  if (setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &value, sizeof value) < 0) {
    return lastError("setsockopt");
  }
  return setKeepalive(connection, keepalive);
}

void sayLast(int connection, std::span<const uint8_t> words) {
  // Whatever goes wrong: there is nobody else to tell, and the connection is on its way out.
  if (!words.empty()) {
    [[maybe_unused]] ssize_t sent =
        send(connection, words.data(), words.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  (void)shutdown(connection, SHUT_WR);
}

bool drain(int connection) {
  for (int i = 0; i < kReadsPerDrain; ++i) {
    uint8_t forgotten[kDrainBytes];
    ssize_t got = recv(connection, forgotten, sizeof forgotten, MSG_DONTWAIT);
    if (got > 0) continue;
    if (got < 0 && errno == EINTR) continue;
    return got < 0 && errno == EAGAIN;
  }
  return true;
}

}  // namespace bgworker
