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

Status set(int socket, int level, int option, int value) {
  if (setsockopt(socket, level, option, &value, sizeof value) < 0) return lastError("setsockopt");
  return {};
}

Result<bool> isTcp(int socket) {
  int protocol = 0;
  socklen_t size = sizeof protocol;
  if (getsockopt(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0) {
    return lastError("getsockopt");
  }
  return protocol == IPPROTO_TCP;
}

}  // namespace

Status tuneConnection(int connection, bool noDelay, const std::optional<KeepAlive>& keepAlive) {
  Result<bool> tcp = isTcp(connection);
  if (!tcp.ok()) return tcp.error();
  if (!tcp.value()) return {};
  Status status = set(connection, IPPROTO_TCP, TCP_NODELAY, noDelay ? 1 : 0);
  if (status.ok())
    status = set(connection, SOL_SOCKET, SO_KEEPALIVE, keepAlive.has_value() ? 1 : 0);
  if (!keepAlive.has_value()) return status;
  const struct {
    int option;
    const std::optional<int>& value;
  } settings[] = {{TCP_KEEPIDLE, keepAlive->idle},
                  {TCP_KEEPINTVL, keepAlive->interval},
                  {TCP_KEEPCNT, keepAlive->count}};
  for (const auto& setting : settings) {
    if (!status.ok()) return status;
    if (setting.value.has_value())
      status = set(connection, IPPROTO_TCP, setting.option, *setting.value);
  }
  return status;
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
