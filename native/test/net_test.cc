// net_test.cc: listeners, who connects to them, and the last words to who is not served.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <string>

#include "core/ipc/socket_pair.h"
#include "core/net/connection.h"
#include "core/net/listener.h"
#include "test/harness.h"

using namespace bgworker;

namespace {

/** A directory that is gone at the end of the test, with the one socket in it. */
class Directory {
 public:
  Directory() { CHECK(mkdtemp(path_) != nullptr); }
  ~Directory() {
    unlink(socket().c_str());
    rmdir(path_);
  }
  std::string socket() const { return std::string(path_) + "/s"; }

 private:
  char path_[32] = "/tmp/bgworker-net-XXXXXX";
};

Descriptor listenSomewhere() {
  Result<Descriptor> listener = listenInet("127.0.0.1", 0, 16);
  CHECK(listener.ok());
  return std::move(listener.value());
}

uint16_t portOf(int listener) {
  Result<ListenerName> name = nameOf(listener);
  CHECK(name.ok());
  CHECK(name.value().kind == Peer::Kind::inet);
  return name.value().port;
}

Descriptor connectTo(int listener) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  CHECK_EQUAL(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  Descriptor client(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(client.valid());
  CHECK_EQUAL(connect(client.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  return client;
}

Accepted acceptOne(int listener) {
  pollfd ready{listener, POLLIN, 0};
  CHECK_EQUAL(poll(&ready, 1, 10000), 1);
  Result<std::optional<Accepted>> accepted = acceptConnection(listener);
  CHECK(accepted.ok());
  CHECK(accepted.value().has_value());
  return std::move(*accepted.value());
}

bool hasFlag(int descriptor, int get, int flag) { return (fcntl(descriptor, get) & flag) != 0; }

int option(int socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  CHECK_EQUAL(getsockopt(socket, level, name, &value, &size), 0);
  return value;
}

/** All that comes until the end; blocks. A connection that is reset is not an end. */
std::string readAll(int socket) {
  std::string all;
  char bytes[1000];
  for (;;) {
    ssize_t got = read(socket, bytes, sizeof bytes);
    CHECK(got >= 0);
    if (got == 0) return all;
    all.append(bytes, static_cast<size_t>(got));
  }
}

std::span<const uint8_t> bytesOf(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

TEST("nobody waits: no connection, and no waiting") {
  Descriptor listener = listenSomewhere();
  Result<std::optional<Accepted>> accepted = acceptConnection(listener.get());
  CHECK(accepted.ok());
  CHECK(!accepted.value().has_value());
}

TEST("a TCP client is known by its address and port, and nothing of it blocks or is inherited") {
  Descriptor listener = listenSomewhere();
  Descriptor client = connectTo(listener.get());
  Accepted accepted = acceptOne(listener.get());
  sockaddr_in own{};
  socklen_t size = sizeof own;
  getsockname(client.get(), reinterpret_cast<sockaddr*>(&own), &size);
  CHECK(accepted.peer.kind == Peer::Kind::inet);
  CHECK_EQUAL(std::string(accepted.peer.host), "127.0.0.1");
  CHECK_EQUAL(accepted.peer.port, ntohs(own.sin_port));
  for (int descriptor : {listener.get(), accepted.connection.get()}) {
    CHECK(hasFlag(descriptor, F_GETFD, FD_CLOEXEC));
    CHECK(hasFlag(descriptor, F_GETFL, O_NONBLOCK));
  }
  Result<Peer> again = peerOf(accepted.connection.get());
  CHECK(again.ok());
  CHECK_EQUAL(again.value().port, accepted.peer.port);
}

TEST("a local client is known by its process and user") {
  Directory directory;
  Result<Descriptor> listener = listenLocal(directory.socket(), std::nullopt, 16);
  CHECK(listener.ok());
  Descriptor client = connectTo(listener.value().get());
  Accepted accepted = acceptOne(listener.value().get());
  CHECK(accepted.peer.kind == Peer::Kind::local);
  CHECK_EQUAL(accepted.peer.pid, getpid());
  CHECK_EQUAL(accepted.peer.uid, getuid());
  CHECK_EQUAL(accepted.peer.gid, getgid());
  Result<ListenerName> name = nameOf(listener.value().get());
  CHECK(name.ok());
  CHECK_EQUAL(name.value().hostOrPath, directory.socket());
}

TEST("clients come in the order in which they connected") {
  Descriptor listener = listenSomewhere();
  Descriptor first = connectTo(listener.get());
  Descriptor second = connectTo(listener.get());
  CHECK_EQUAL(write(first.get(), "1", 1), 1);
  CHECK_EQUAL(write(second.get(), "2", 1), 1);
  for (char wanted : {'1', '2'}) {
    Accepted accepted = acceptOne(listener.get());
    pollfd ready{accepted.connection.get(), POLLIN, 0};
    CHECK_EQUAL(poll(&ready, 1, 10000), 1);
    char got = 0;
    CHECK_EQUAL(read(accepted.connection.get(), &got, 1), 1);
    CHECK_EQUAL(got, wanted);
  }
}

TEST("a client that reset its connection before it was accepted hurts nobody") {
  Descriptor listener = listenSomewhere();
  {
    Descriptor gone = connectTo(listener.get());
    linger hard{1, 0};
    setsockopt(gone.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  }
  Descriptor client = connectTo(listener.get());
  CHECK_EQUAL(write(client.get(), "x", 1), 1);
  // Linux may hand out the reset one, which then has nobody at its other end.
  for (;;) {
    Accepted accepted = acceptOne(listener.get());
    pollfd ready{accepted.connection.get(), POLLIN, 0};
    CHECK_EQUAL(poll(&ready, 1, 10000), 1);
    char got = 0;
    if (read(accepted.connection.get(), &got, 1) != 1) continue;
    CHECK_EQUAL(got, 'x');
    return;
  }
}

TEST("no number is left: the client stays where it is until there is one") {
  Descriptor listener = listenSomewhere();
  Descriptor client = connectTo(listener.get());
  rlimit old{};
  getrlimit(RLIMIT_NOFILE, &old);
  rlimit full{static_cast<rlim_t>(client.get() + 1), old.rlim_max};
  CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &full), 0);
  Result<std::optional<Accepted>> refused = acceptConnection(listener.get());
  setrlimit(RLIMIT_NOFILE, &old);
  CHECK(!refused.ok());
  CHECK_EQUAL(refused.error().number, EMFILE);
  CHECK(acceptOne(listener.get()).connection.valid());
}

TEST("an address that is taken, or is none") {
  Descriptor listener = listenSomewhere();
  Result<Descriptor> second = listenInet("127.0.0.1", portOf(listener.get()), 16);
  CHECK(!second.ok());
  CHECK_EQUAL(second.error().number, EADDRINUSE);
  Result<Descriptor> foreign = listenInet("192.0.2.1", 0, 16);  // TEST-NET-1: nobody's
  CHECK(!foreign.ok());
  CHECK_EQUAL(foreign.error().number, EADDRNOTAVAIL);
  Result<Descriptor> name = listenInet("localhost", 0, 16);
  CHECK(!name.ok());
  CHECK_EQUAL(name.error().number, EINVAL);
}

TEST("all of IPv6 is not all of IPv4") {
  Result<Descriptor> six = listenInet("::", 0, 16);
  if (!six.ok()) {
    CHECK_EQUAL(six.error().number, EAFNOSUPPORT);  // a machine without IPv6
    return;
  }
  Result<Descriptor> four = listenInet("0.0.0.0", portOf(six.value().get()), 16);
  CHECK(four.ok());
}

TEST("a socket file has its mode before anybody can connect, and an old one is not replaced") {
  Directory directory;
  mode_t before = umask(077);
  Result<Descriptor> listener = listenLocal(directory.socket(), mode_t{0751}, 16);
  umask(before);
  CHECK(listener.ok());
  struct stat found {};
  CHECK_EQUAL(stat(directory.socket().c_str(), &found), 0);
  CHECK_EQUAL(found.st_mode & 0777, mode_t{0751});
  Result<Descriptor> second = listenLocal(directory.socket(), std::nullopt, 16);
  CHECK(!second.ok());
  CHECK_EQUAL(second.error().number, EADDRINUSE);
  Result<Descriptor> tooLong = listenLocal("/tmp/" + std::string(103, 'x'), std::nullopt, 16);
  CHECK(!tooLong.ok());
  CHECK_EQUAL(tooLong.error().number, ENAMETOOLONG);
}

TEST("does anybody listen at a socket file?") {
  Directory directory;
  Result<SocketFileUse> missing = probeSocketFile(directory.socket());
  CHECK(!missing.ok());
  CHECK_EQUAL(missing.error().number, ENOENT);
  Descriptor listener = std::move(listenLocal(directory.socket(), std::nullopt, 1).value());
  CHECK(probeSocketFile(directory.socket()).value() == SocketFileUse::somebody);
  // Its backlog is full, and nobody accepts.
  Descriptor waiting[4];
  for (Descriptor& one : waiting) {
    one.reset(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, directory.socket().c_str());
    (void)connect(one.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  CHECK(probeSocketFile(directory.socket()).value() == SocketFileUse::somebody);
  listener.reset();
  CHECK(probeSocketFile(directory.socket()).value() == SocketFileUse::nobody);
}

TEST("somebody else's listener is adopted, anything else is not") {
  Descriptor passed(socket(AF_INET, SOCK_STREAM, 0));
  Result<Descriptor> early = adoptListener(passed.get());
  CHECK(!early.ok());
  CHECK_EQUAL(early.error().number, EINVAL);
  CHECK_EQUAL(listen(passed.get(), 4), 0);
  Descriptor adopted = std::move(adoptListener(passed.get()).value());
  for (int descriptor : {passed.get(), adopted.get()}) {
    CHECK(hasFlag(descriptor, F_GETFD, FD_CLOEXEC));
    CHECK(hasFlag(descriptor, F_GETFL, O_NONBLOCK));
  }
  Descriptor client = connectTo(passed.get());
  CHECK(acceptOne(adopted.get()).connection.valid());
  adopted.reset();
  Descriptor second = connectTo(passed.get());

  DescriptorPair pipe = std::move(makePipe().value());
  CHECK_EQUAL(adoptListener(pipe.first.get()).error().number, ENOTSOCK);
  DescriptorPair pair = std::move(makeStreamPair().value());
  CHECK_EQUAL(adoptListener(pair.first.get()).error().number, EINVAL);
}

TEST("the connection's options") {
  Descriptor listener = listenSomewhere();
  Descriptor client = connectTo(listener.get());
  Accepted accepted = acceptOne(listener.get());
  int connection = accepted.connection.get();
  CHECK(tuneConnection(connection, true, Keepalive{true, 17, 3, 5, 0}).ok());
  CHECK_EQUAL(option(connection, IPPROTO_TCP, TCP_NODELAY), 1);
  CHECK_EQUAL(option(connection, SOL_SOCKET, SO_KEEPALIVE), 1);
  CHECK_EQUAL(option(connection, IPPROTO_TCP, TCP_KEEPIDLE), 17);
  CHECK_EQUAL(option(connection, IPPROTO_TCP, TCP_KEEPINTVL), 3);
  CHECK_EQUAL(option(connection, IPPROTO_TCP, TCP_KEEPCNT), 5);
  CHECK(tuneConnection(connection, false, Keepalive{}).ok());
  CHECK_EQUAL(option(connection, IPPROTO_TCP, TCP_NODELAY), 0);
  CHECK_EQUAL(option(connection, SOL_SOCKET, SO_KEEPALIVE), 0);
  DescriptorPair local = std::move(makeStreamPair().value());
  CHECK(tuneConnection(local.first.get(), true, Keepalive{true, 1, 1, 1, 0}).ok());
}

TEST("who has already sent something reads the last words, and then an end that is no reset") {
  Descriptor listener = listenSomewhere();
  Descriptor client = connectTo(listener.get());
  CHECK_EQUAL(write(client.get(), "hello\n", 6), 6);
  Accepted accepted = acceptOne(listener.get());
  pollfd ready{accepted.connection.get(), POLLIN, 0};
  CHECK_EQUAL(poll(&ready, 1, 10000), 1);
  sayLast(accepted.connection.get(), bytesOf("sorry\n"));
  CHECK(drain(accepted.connection.get()));
  CHECK_EQUAL(write(client.get(), "more\n", 5), 5);
  CHECK_EQUAL(readAll(client.get()), "sorry\n");
  client.reset();
  do {
    CHECK_EQUAL(poll(&ready, 1, 10000), 1);
  } while (drain(accepted.connection.get()));
}

TEST("last words to who is gone, or does not read, cost no wait and no signal") {
  DescriptorPair gone = std::move(makeStreamPair().value());
  gone.second.reset();
  sayLast(gone.first.get(), bytesOf("sorry"));
  CHECK(!drain(gone.first.get()));
  DescriptorPair full = std::move(makeStreamPair().value());
  std::string flood(1 << 22, 'x');
  sayLast(full.first.get(), bytesOf(flood));
  CHECK(drain(full.first.get()));
}

TEST("a flood is drained in bounded steps") {
  DescriptorPair pair = std::move(makeStreamPair().value());
  std::string flood(1 << 22, 'x');
  ssize_t sent = send(pair.second.get(), flood.data(), flood.size(), MSG_DONTWAIT);
  CHECK(sent > 100 * 1024);
  pair.second.reset();
  CHECK(drain(pair.first.get()));
  int steps = 1;
  while (drain(pair.first.get())) ++steps;
  CHECK(steps > 1);
}
