#include "core/net/keepalive.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace bgworker {
namespace {

Status setOption(int descriptor, int level, int name, int value) {
  if (setsockopt(descriptor, level, name, &value, sizeof value) == 0) return {};
  return lastError("setsockopt");
}

}  // namespace

Status setKeepalive(int descriptor, const Keepalive& keepalive) {
  struct Option {
    int level;
    int name;
    int value;
  };
  const Option options[] = {
      {SOL_SOCKET, SO_KEEPALIVE, keepalive.enabled ? 1 : 0},
      {IPPROTO_TCP, TCP_KEEPIDLE, keepalive.enabled ? keepalive.idleSeconds : 0},
      {IPPROTO_TCP, TCP_KEEPINTVL, keepalive.enabled ? keepalive.intervalSeconds : 0},
      {IPPROTO_TCP, TCP_KEEPCNT, keepalive.enabled ? keepalive.count : 0},
      {IPPROTO_TCP, TCP_USER_TIMEOUT, keepalive.userTimeoutMs},
  };
  for (const auto& [level, name, value] : options) {
    // The system's own is what is there already.
    if (value == 0 && level == IPPROTO_TCP) continue;
    Status set = setOption(descriptor, level, name, value);
    if (!set.ok()) return set;
  }
  return {};
}

}  // namespace bgworker
