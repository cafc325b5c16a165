// processes.h: what the tests ask of processes: forks that meet through pipes, and counts.

#pragma once

#include <dirent.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "core/base/descriptor.h"
#include "core/ipc/socket_pair.h"
#include "core/proc/process.h"
#include "test/harness.h"

namespace processes {

constexpr int kPatienceMs = 20000;

inline int countDescriptors(pid_t pid = getpid()) {
  DIR* directory = opendir(("/proc/" + std::to_string(pid) + "/fd").c_str());
  CHECK(directory != nullptr);
  int count = 0;
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

inline bgworker::DescriptorPair pipePair() {
  bgworker::Result<bgworker::DescriptorPair> pair = bgworker::makePipe();
  CHECK(pair.ok());
  return std::move(pair.value());
}

/** Waits for a byte, or for the end of file, which is -1. */
inline int readByte(int descriptor) {
  pollfd ready{descriptor, POLLIN, 0};
  CHECK_EQUAL(poll(&ready, 1, kPatienceMs), 1);
  unsigned char byte = 0;
  return read(descriptor, &byte, 1) == 1 ? byte : -1;
}

inline void writeByte(int descriptor, char byte) { CHECK_EQUAL(write(descriptor, &byte, 1), 1); }

/** Runs `body` in a child, which leaves with what it returns. */
template <typename Body>
pid_t inChild(Body body) {
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    int code = 99;
    try {
      code = body();
    } catch (const harness::Failure& failure) {
      std::fprintf(stderr, "in child: %s\n", failure.what.c_str());
    }
    _exit(code);
  }
  return pid;
}

inline int waitFor(pid_t pid) {
  bgworker::Result<int> status = bgworker::reapChild(pid);
  CHECK(status.ok());
  return status.value();
}

}  // namespace processes
