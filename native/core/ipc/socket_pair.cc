#include "core/ipc/socket_pair.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bgworker {

Result<DescriptorPair> makeSocketPair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
    return lastError("socketpair");
  }
  return DescriptorPair(Descriptor(ends[0]), Descriptor(ends[1]));
}

Result<DescriptorPair> makePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return lastError("pipe2");
  return DescriptorPair(Descriptor(ends[0]), Descriptor(ends[1]));
}

}  // namespace bgworker
