#include "core/net/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>

namespace bgworker {
namespace {

/** How many clients that left again one call passes over: the loop has others to serve. */
constexpr int kPassedOver = 100;

Result<Descriptor> openSocket(int family) {
  Descriptor opened(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!opened.valid()) return lastError("socket");
  return opened;
}

Status setFlag(int socket, int level, int option) {
  int on = 1;
  if (setsockopt(socket, level, option, &on, sizeof on) < 0) return lastError("setsockopt");
  return {};
}

struct NumericAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

/** By getaddrinfo(), which knows scopes, told to ask nobody. */
Result<NumericAddress> parseHost(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0 || found == nullptr) {
    return SystemError{"getaddrinfo", EINVAL};
  }
  NumericAddress address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  freeaddrinfo(found);
  if (address.storage.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6&>(address.storage).sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in&>(address.storage).sin_port = htons(port);
  }
  return address;
}

struct LocalAddress {
  sockaddr_un name{};
  socklen_t size = 0;
};

Result<LocalAddress> localAddress(const std::string& path) {
  if (path.size() > kSocketPathBytes) return SystemError{"bind", ENAMETOOLONG};
  LocalAddress address;
  address.name.sun_family = AF_UNIX;
  std::memcpy(address.name.sun_path, path.data(), path.size());
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

Result<int> intOption(int socket, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  if (getsockopt(socket, SOL_SOCKET, option, &value, &size) < 0) return lastError("getsockopt");
  return value;
}

Status addFlag(int descriptor, int get, int set, int flag) {
  int flags = fcntl(descriptor, get);
  if (flags < 0 || fcntl(descriptor, set, flags | flag) < 0) return lastError("fcntl");
  return {};
}

/** A trouble of that one client or of the way to it, and not of ours (accept(2), "Error handling").
 */
bool isClientsTrouble(int error) {
  switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case EPERM:
    case EHOSTDOWN:
    case ENONET:
    case ENETDOWN:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EOPNOTSUPP:
      return true;
    default:
      return false;
  }
}

}  // namespace

Result<Descriptor> listenInet(const std::string& host, uint16_t port, int backlog) {
  Result<NumericAddress> address = parseHost(host, port);
  if (!address.ok()) return address.error();
  const sockaddr_storage& storage = address.value().storage;
  Result<Descriptor> opened = openSocket(storage.ss_family);
  if (!opened.ok()) return opened;
  int socket = opened.value().get();
  // Connections of a predecessor that are still in TIME_WAIT do not keep us out.
  Status set = setFlag(socket, SOL_SOCKET, SO_REUSEADDR);
  // "::" is not "0.0.0.0" as well: whoever wants both says so and gets two listeners.
  if (set.ok() && storage.ss_family == AF_INET6) set = setFlag(socket, IPPROTO_IPV6, IPV6_V6ONLY);
  if (!set.ok()) return set.error();
  if (bind(socket, reinterpret_cast<const sockaddr*>(&storage), address.value().size) < 0) {
    return lastError("bind");
  }
  if (listen(socket, backlog) < 0) return lastError("listen");
  return opened;
}

Result<Descriptor> listenLocal(const std::string& path, std::optional<mode_t> mode, int backlog) {
  Result<LocalAddress> address = localAddress(path);
  if (!address.ok()) return address.error();
  Result<Descriptor> opened = openSocket(AF_UNIX);
  if (!opened.ok()) return opened;
  int socket = opened.value().get();
  const LocalAddress& local = address.value();
  if (bind(socket, reinterpret_cast<const sockaddr*>(&local.name), local.size) < 0) {
    return lastError("bind");
  }
  // Before listen(): until then nobody can connect, so the mode holds from the first client on.
  if (mode.has_value() && chmod(path.c_str(), *mode) < 0) {
    SystemError error = lastError("chmod");
    unlink(path.c_str());
    return error;
  }
  if (listen(socket, backlog) < 0) {
    SystemError error = lastError("listen");
    unlink(path.c_str());
    return error;
  }
  return opened;
}

Result<Descriptor> adoptListener(int descriptor) {
  struct {
    int option;
    bool (*fits)(int value);
  } rules[] = {
      {SO_ACCEPTCONN, [](int listens) { return listens == 1; }},
      {SO_TYPE, [](int type) { return type == SOCK_STREAM; }},
      {SO_DOMAIN, [](int one) { return one == AF_INET || one == AF_INET6 || one == AF_UNIX; }},
  };
  for (const auto& rule : rules) {
    Result<int> value = intOption(descriptor, rule.option);
    if (!value.ok()) return value.error();
    if (!rule.fits(value.value())) return SystemError{"getsockopt", EINVAL};
  }
  Status flagged = addFlag(descriptor, F_GETFD, F_SETFD, FD_CLOEXEC);
  if (flagged.ok()) flagged = addFlag(descriptor, F_GETFL, F_SETFL, O_NONBLOCK);
  if (!flagged.ok()) return flagged.error();
  return duplicateFrom(descriptor, 0);
}

Result<ListenerName> nameOf(int listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) < 0) {
    return lastError("getsockname");
  }
  if (address.ss_family == AF_UNIX) {
    const auto& local = reinterpret_cast<const sockaddr_un&>(address);
    size_t bytes = size - offsetof(sockaddr_un, sun_path);
    // The final NUL may be missing from a path of full length; an abstract name begins with one.
    return ListenerName{Peer::Kind::local,
                        std::string(local.sun_path, strnlen(local.sun_path, bytes)), 0};
  }
  // An own address is described like a peer's, and no option of the socket is asked for.
  Result<Peer> self = describePeer(listener, address);
  if (!self.ok()) return self.error();
  return ListenerName{Peer::Kind::inet, self.value().host, self.value().port};
}

Result<std::optional<Accepted>> acceptConnection(int listener) {
  for (int i = 0; i < kPassedOver; ++i) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    Descriptor connection(accept4(listener, reinterpret_cast<sockaddr*>(&address), &size,
                                  SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection.valid()) {
      if (errno == EAGAIN) break;
      if (isClientsTrouble(errno)) continue;
      return lastError("accept4");
    }
    Result<Peer> peer = describePeer(connection.get(), address);
    if (!peer.ok()) continue;
    return std::optional<Accepted>(Accepted{std::move(connection), peer.value()});
  }
  return std::optional<Accepted>();
}

Result<SocketFileUse> probeSocketFile(const std::string& path) {
  Result<LocalAddress> address = localAddress(path);
  if (!address.ok()) return address.error();
  Result<Descriptor> opened = openSocket(AF_UNIX);
  if (!opened.ok()) return opened.error();
  const LocalAddress& local = address.value();
  if (connect(opened.value().get(), reinterpret_cast<const sockaddr*>(&local.name), local.size) ==
      0) {
    return SocketFileUse::somebody;
  }
  switch (errno) {
    case ECONNREFUSED:
      return SocketFileUse::nobody;
    case EAGAIN:      // so many wait there already that there is no room for us
    case EPROTOTYPE:  // another kind of socket, with somebody behind it
      return SocketFileUse::somebody;
    default:
      return lastError("connect");
  }
}

}  // namespace bgworker
