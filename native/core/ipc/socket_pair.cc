#include "core/ipc/socket_pair.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace bgworker {
namespace {

Result<DescriptorPair> makePair(int type) {
  int ends[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0) return lastError("socketpair");
  return DescriptorPair(Descriptor(ends[0]), Descriptor(ends[1]));
}

}  // namespace

Result<DescriptorPair> makeSocketPair() { return makePair(SOCK_SEQPACKET); }

Result<DescriptorPair> makeStreamPair() { return makePair(SOCK_STREAM); }

Result<DescriptorPair> makePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return lastError("pipe2");
  return DescriptorPair(Descriptor(ends[0]), Descriptor(ends[1]));
}

}  // namespace bgworker
