#include "core/ipc/local_listener.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>

namespace bgworker {

Result<Descriptor> listenLocally(const std::string& path, mode_t mode, int backlog) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // The kernel would take a path without its NUL, and others then could not say it.
  if (path.size() >= sizeof address.sun_path) return SystemError{"bind", ENAMETOOLONG};
  std::memcpy(address.sun_path, path.data(), path.size());

  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return lastError("socket");
  // Before bind(), which makes the file with the mode of the socket, less the umask.
  if (fchmod(socket.get(), mode) < 0) return lastError("fchmod");
  if (bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) {
    return lastError("bind");
  }
  if (listen(socket.get(), backlog) < 0) return lastError("listen");
  return socket;
}

}  // namespace bgworker
