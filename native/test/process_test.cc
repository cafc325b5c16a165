// process_test.cc: the small verbs, and the surroundings of a worker written in C.

#include "core/proc/process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <csignal>

#include "core/base/system_calls.h"
#include "core/face/native_worker.h"
#include "core/proc/close_others.h"
#include "core/proc/mappings.h"
#include "core/proc/signals.h"
#include "test/processes.h"

using namespace bgworker;

namespace {

/** Says what woke it, on descriptor 2 by way of the log, until it is told to stop. */
int waitingWorker(const bgworker_api* api, bgworker_context* context) {
  size_t bytes = 0;
  const void* arg = api->arg(context, &bytes);
  if (api->size != sizeof(bgworker_api) || api->version != BGWORKER_API_VERSION) return 10;
  if (std::strcmp(api->name(context), "tester") != 0) return 11;
  if (bytes != 3 || std::memcmp(arg, "arg", 3) != 0) return 12;
  if (api->wait(context, 1) != BGWORKER_TIMEOUT) return 13;
  api->log(context, "ready");
  while (!api->shutdown_requested(context)) {
    unsigned why = api->wait(context, -1);
    if (why == BGWORKER_POSTMASTER_DEATH) return 5;
    if (why != BGWORKER_SIGNALLED) return 14;
    if (api->reload_requested(context)) {
      if (api->reload_requested(context)) return 15;
      api->log(context, "reloaded");
    }
  }
  return 7;
}

std::string readLine(int descriptor) {
  std::string line;
  for (int byte; (byte = processes::readByte(descriptor)) != '\n' && byte != -1;) {
    line.push_back(static_cast<char>(byte));
  }
  return line;
}

struct RunningWorker {
  pid_t pid;
  DescriptorPair log = processes::pipePair();
  DescriptorPair death = processes::pipePair();

  RunningWorker() {
    pid = processes::inChild([this] {
      dup2(log.second.get(), STDERR_FILENO);
      log.second.reset();
      death.second.reset();
      const uint8_t arg[] = {'a', 'r', 'g'};
      return callNativeWorker({waitingWorker, "tester", arg, death.first.get()});
    });
    log.second.reset();
    CHECK_EQUAL(readLine(log.first.get()), "LOG:  ready");
  }
};

}  // namespace

TEST("a C worker wakes for SIGHUP and SIGTERM, and its code is its own") {
  RunningWorker worker;
  kill(worker.pid, SIGHUP);
  CHECK_EQUAL(readLine(worker.log.first.get()), "LOG:  reloaded");
  kill(worker.pid, SIGUSR1);  // ignored, like the others that mean nothing to it
  kill(worker.pid, SIGTERM);
  CHECK_EQUAL(WEXITSTATUS(processes::waitFor(worker.pid)), 7);
}

TEST("a C worker sees the postmaster's death") {
  RunningWorker worker;
  worker.death.second.reset();
  CHECK_EQUAL(WEXITSTATUS(processes::waitFor(worker.pid)), 5);
}

TEST("a signal to a group reaches all of it, one to a process only that") {
  // So that the member becomes ours to wait for when its parent is dead.
  CHECK_EQUAL(prctl(PR_SET_CHILD_SUBREAPER, 1UL, 0UL, 0UL, 0UL), 0);
  for (SignalTarget target : {SignalTarget::group, SignalTarget::process}) {
    DescriptorPair ready = processes::pipePair();
    pid_t leader = processes::inChild([&] {
      if (!startSession().ok() || !startSession().ok()) return 1;
      pid_t member = fork();
      processes::writeByte(ready.second.get(), 'r');
      for (;;) pause();
      return member > 0 ? 0 : 1;
    });
    ready.second.reset();
    CHECK_EQUAL(processes::readByte(ready.first.get()), 'r');
    CHECK_EQUAL(processes::readByte(ready.first.get()), 'r');
    Descriptor pidfd(pidfdOpen(leader));
    CHECK(sendSignal(pidfd.get(), SIGTERM, target).value());
    CHECK_EQUAL(WTERMSIG(processes::waitFor(leader)), SIGTERM);
    if (target == SignalTarget::process) {
      // The member is still there: the group can be signalled, though its leader is reaped.
      CHECK_EQUAL(kill(-leader, SIGKILL), 0);
    }
    CHECK_EQUAL(processes::readByte(ready.first.get()), -1);
    CHECK(waitpid(-leader, nullptr, 0) > 0);
    Result<bool> gone = sendSignal(pidfd.get(), SIGTERM, target);
    CHECK(gone.ok() && !gone.value());
  }
}

TEST("a signal that does not exist, and a descriptor that is no pidfd, are errors") {
  Descriptor pidfd(pidfdOpen(getpid()));
  Result<bool> sent = sendSignal(pidfd.get(), 1000, SignalTarget::process);
  CHECK(!sent.ok() && sent.error().number == EINVAL);
  sent = sendSignal(STDERR_FILENO, SIGTERM, SignalTarget::process);
  CHECK(!sent.ok() && sent.error().number == EBADF);
}

TEST("closeOthers keeps what it is told to, in any order, and nothing else") {
  pid_t child = processes::inChild([] {
    if (fcntl(STDERR_FILENO, F_DUPFD, 20) < 0) return 1;
    for (int number : {10, 11, 12, 15, 900}) dup2(STDERR_FILENO, number);
    if (!closeOthers(10, {900, 11, 5, 12}).ok()) return 2;
    for (int number : {11, 12, 900}) {
      if (fcntl(number, F_GETFD) < 0) return 3;
    }
    for (int number : {10, 15, 20, 899, 901}) {
      if (fcntl(number, F_GETFD) >= 0) return 4;
    }
    return fcntl(STDERR_FILENO, F_GETFD) < 0 ? 5 : 0;
  });
  CHECK_EQUAL(processes::waitFor(child), 0);
}

TEST("memory that was marked not to be copied is there in a fork, once all is marked") {
  size_t bytes = 4 * 4096;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  static_cast<char*>(memory)[4096] = 77;
  CHECK_EQUAL(madvise(memory, bytes, MADV_DONTFORK), 0);
  auto isThere = [&] {
    return processes::waitFor(processes::inChild([&] {
             return msync(memory, bytes, MS_ASYNC) == 0 && static_cast<char*>(memory)[4096] == 77
                        ? 0
                        : 1;
           })) == 0;
  };
  CHECK(!isThere());
  CHECK(markMappingsForkable().ok());
  CHECK(isThere());
  munmap(memory, bytes);
}

TEST("the time of a raw fork is a time") {
  Result<int64_t> elapsedNs = measureRawFork();
  CHECK(elapsedNs.ok());
  CHECK(elapsedNs.value() > 1000 && elapsedNs.value() < 5000000000);
}
