// keepalive_test.cc: a TCP connection finds out that its peer is dead, as soon as it was told to.

#include "core/net/keepalive.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "test/processes.h"

using namespace bgworker;

namespace {

struct Connection {
  Descriptor ours;
  Descriptor theirs;
};

Connection connectedPair() {
  Descriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t length = sizeof address;
  CHECK_EQUAL(bind(listener.get(), generic, length), 0);
  CHECK_EQUAL(listen(listener.get(), 1), 0);
  CHECK_EQUAL(getsockname(listener.get(), generic, &length), 0);
  Descriptor ours(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK_EQUAL(connect(ours.get(), generic, length), 0);
  Descriptor theirs(accept(listener.get(), nullptr, nullptr));
  CHECK(theirs.get() >= 0);
  return {std::move(ours), std::move(theirs)};
}

int optionOf(int descriptor, int level, int name) {
  int value = -1;
  socklen_t length = sizeof value;
  CHECK_EQUAL(getsockopt(descriptor, level, name, &value, &length), 0);
  return value;
}

/** From now on it acknowledges nothing, as a host without power. */
void deafen(int descriptor) {
  sock_filter drop{BPF_RET | BPF_K, 0, 0, 0};
  const sock_fprog program{1, &drop};
  CHECK_EQUAL(setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0);
}

/** How a blocking read on this side ends. */
int endOf(int descriptor) {
  pollfd ready{descriptor, POLLIN, 0};
  CHECK_EQUAL(poll(&ready, 1, processes::kPatienceMs), 1);
  char byte;
  CHECK_EQUAL(read(descriptor, &byte, 1), -1);
  return errno;
}

}  // namespace

TEST("each option is set as told, and 0 leaves the system's own") {
  Connection plain = connectedPair();
  auto idleOf = [](int descriptor) { return optionOf(descriptor, IPPROTO_TCP, TCP_KEEPIDLE); };
  const int systemIdle = idleOf(plain.ours.get());
  const int systemInterval = optionOf(plain.ours.get(), IPPROTO_TCP, TCP_KEEPINTVL);
  const int systemCount = optionOf(plain.ours.get(), IPPROTO_TCP, TCP_KEEPCNT);
  struct Case {
    Keepalive told;
    int on, idle, interval, count, timeout;
  };
  const Case cases[] = {
      {{true, 10, 5, 3, 25000}, 1, 10, 5, 3, 25000},
      {{true, 0, 0, 0, 0}, 1, systemIdle, systemInterval, systemCount, 0},
      {{true, 7, 0, 0, 0}, 1, 7, systemInterval, systemCount, 0},
      {{false, 10, 5, 3, 0}, 0, systemIdle, systemInterval, systemCount, 0},
      {{false, 0, 0, 0, 900}, 0, systemIdle, systemInterval, systemCount, 900},
  };
  for (const Case& one : cases) {
    Connection connection = connectedPair();
    const int descriptor = connection.ours.get();
    CHECK(setKeepalive(descriptor, one.told).ok());
    CHECK_EQUAL(optionOf(descriptor, SOL_SOCKET, SO_KEEPALIVE), one.on);
    CHECK_EQUAL(idleOf(descriptor), one.idle);
    CHECK_EQUAL(optionOf(descriptor, IPPROTO_TCP, TCP_KEEPINTVL), one.interval);
    CHECK_EQUAL(optionOf(descriptor, IPPROTO_TCP, TCP_KEEPCNT), one.count);
    CHECK_EQUAL(optionOf(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT), one.timeout);
  }
}

TEST("what is no TCP socket, or out of range, is refused by name") {
  DescriptorPair pipe = processes::pipePair();
  Status refused = setKeepalive(pipe.first.get(), {true, 1, 1, 1, 0});
  CHECK(!refused.ok());
  CHECK_EQUAL(std::string(refused.error().call), "setsockopt");
  CHECK_EQUAL(refused.error().number, ENOTSOCK);
  Connection connection = connectedPair();
  refused = setKeepalive(connection.ours.get(), {true, 1 << 20, 0, 0, 0});
  CHECK(!refused.ok());
  CHECK_EQUAL(refused.error().number, EINVAL);
}

TEST("a peer that died without a word: found out while idle, by probes") {
  Connection connection = connectedPair();
  CHECK(setKeepalive(connection.ours.get(), {true, 1, 1, 1, 0}).ok());
  deafen(connection.theirs.get());
  CHECK_EQUAL(endOf(connection.ours.get()), ETIMEDOUT);
}

TEST("a peer that died without a word: found out by data that it does not acknowledge") {
  Connection connection = connectedPair();
  CHECK(setKeepalive(connection.ours.get(), {false, 0, 0, 0, 300}).ok());
  deafen(connection.theirs.get());
  CHECK_EQUAL(write(connection.ours.get(), "x", 1), 1);
  CHECK_EQUAL(endOf(connection.ours.get()), ETIMEDOUT);
}
