// control_test.cc: what the control socket stands on: a listener that is private from its first
// moment, and files that nobody can change once they are whole.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "core/ipc/local_listener.h"
#include "core/shm/memory_file.h"
#include "test/harness.h"

using namespace bgworker;

namespace {

/** A directory of its own, gone with all in it when the test is over. */
struct Scratch {
  char path[32] = "/tmp/bgworker-control-XXXXXX";
  std::string file;
  Scratch() {
    CHECK(mkdtemp(path) != nullptr);
    file = std::string(path) + "/socket";
  }
  ~Scratch() {
    unlink(file.c_str());
    rmdir(path);
  }
};

int connectTo(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
}

}  // namespace

TEST("a listener's file has its mode, whatever the umask") {
  for (mode_t umaskThen : {0u, 022u, 077u}) {
    Scratch scratch;
    mode_t before = umask(umaskThen);
    Result<Descriptor> made = listenLocally(scratch.file, 0600, 8);
    umask(before);
    CHECK(made.ok());
    struct stat status {};
    CHECK_EQUAL(stat(scratch.file.c_str(), &status), 0);
    CHECK_EQUAL(status.st_mode & 07777u, 0600u);
    CHECK(S_ISSOCK(status.st_mode));
    CHECK_EQUAL(connectTo(scratch.file), 0);
    CHECK((fcntl(made.value().get(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((fcntl(made.value().get(), F_GETFD) & FD_CLOEXEC) != 0);
  }
}

TEST("a path that is taken, too long or nowhere is refused by name") {
  Scratch scratch;
  Result<Descriptor> first = listenLocally(scratch.file, 0600, 8);
  CHECK(first.ok());
  Result<Descriptor> second = listenLocally(scratch.file, 0600, 8);
  CHECK(!second.ok() && second.error().number == EADDRINUSE);
  CHECK_EQUAL(std::string(second.error().call), "bind");
  Result<Descriptor> tooLong = listenLocally(std::string(108, 'x'), 0600, 8);
  CHECK(!tooLong.ok() && tooLong.error().number == ENAMETOOLONG);
  Result<Descriptor> nowhere = listenLocally("/tmp/bgworker-is-not-there/socket", 0600, 8);
  CHECK(!nowhere.ok() && nowhere.error().number == ENOENT);
}

TEST("a path of 107 bytes is not too long, by way of /proc/self/fd if need be") {
  Scratch scratch;
  Descriptor directory(open(scratch.path, O_PATH | O_DIRECTORY | O_CLOEXEC));
  std::string path = "/proc/self/fd/" + std::to_string(directory.get()) + "/";
  path.append(107 - path.size(), 'x');
  Result<Descriptor> made = listenLocally(path, 0600, 8);
  CHECK(made.ok());
  CHECK_EQUAL(connectTo(path), 0);
  CHECK_EQUAL(unlink(path.c_str()), 0);
}

TEST("a file that is sealed can be read, and neither written, grown, cut nor mapped to write") {
  Result<Descriptor> made = makeUnsealedFile("test");
  CHECK(made.ok());
  int file = made.value().get();
  CHECK_EQUAL(write(file, "abc", 3), 3L);
  // Not sealed yet: it says so to who would trust it.
  Result<size_t> early = sealedSize(file, Sealing::content);
  CHECK(!early.ok() && early.error().number == EPERM);
  CHECK(sealContent(file).ok());
  CHECK_EQUAL(sealedSize(file, Sealing::content).value(), 3UL);
  CHECK(write(file, "d", 1) < 0 && errno == EPERM);
  CHECK(pwrite(file, "d", 1, 0) < 0 && errno == EPERM);
  CHECK(ftruncate(file, 1) < 0 && errno == EPERM);
  CHECK(mmap(nullptr, 3, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED);
  uint8_t content[3];
  CHECK(readWhole(file, content).ok());
  CHECK_EQUAL(std::memcmp(content, "abc", 3), 0);
  // Once is enough; the second time there is nothing left to seal, and nobody may.
  CHECK(!sealContent(file).ok());
}
