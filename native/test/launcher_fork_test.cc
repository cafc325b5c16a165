// launcher_fork_test.cc: forked children of the loop: what they start with, and what is reported.

#include <sys/resource.h>

#include <csignal>
#include <ctime>
#include <map>

#include "core/base/system_calls.h"
#include "core/ipc/packet.h"
#include "core/proc/process.h"
#include "test/loop_host.h"
#include "test/processes.h"

using namespace bgworker;
using loop_host::LoopHost;
using loop_host::Report;

namespace {

MainArea areaShowing(int pid) {
  Result<MainArea> area = MainArea::create(4);
  CHECK(area.ok());
  area.value().publish(0, 1, pid);
  return std::move(area.value());
}

/** A child that has told through a pipe that it runs, and will not leave by itself. */
struct Held {
  Report forked;
  Descriptor pipe;  // its end of file: nobody of that family is left
};

Held holdOne(LoopHost& host, uint32_t childId) {
  DescriptorPair pipe = processes::pipePair();
  host.fork(childId, {'h'}, {pipe.second.get()});
  pipe.second.reset();
  Held held{host.expect(MessageKind::forked), std::move(pipe.first)};
  CHECK_EQUAL(processes::readByte(held.pipe.get()), 'r');
  return held;
}

}  // namespace

TEST("200 children are all reported, with their own codes and signals") {
  LoopHost host;
  constexpr uint32_t kCount = 200;
  auto code = [](uint32_t id) { return static_cast<uint8_t>(id % 100); };
  for (uint32_t id = 0; id < kCount; ++id) {
    host.fork(
        id, id % 4 == 3 ? std::vector<uint8_t>{'s', SIGTERM} : std::vector<uint8_t>{'x', code(id)});
  }
  std::map<uint32_t, pid_t> running;
  uint32_t exited = 0;
  while (exited < kCount) {
    Report report = host.next();
    if (report.kind == MessageKind::forked) {
      CHECK(running.emplace(report.childId, report.pid).second);
      continue;
    }
    CHECK_EQUAL(static_cast<int>(report.kind), static_cast<int>(MessageKind::exited));
    CHECK_EQUAL(running.at(report.childId), report.pid);
    if (report.childId % 4 == 3) {
      CHECK(WIFSIGNALED(report.waitStatus));
      CHECK_EQUAL(WTERMSIG(report.waitStatus), SIGTERM);
    } else {
      CHECK(WIFEXITED(report.waitStatus));
      CHECK_EQUAL(WEXITSTATUS(report.waitStatus), code(report.childId));
    }
    ++exited;
  }
  host.closeControl();
  CHECK_EQUAL(host.wait(), 0);
}

TEST("a child has its own session, its signals blocked, SIGQUIT and SIGCHLD open") {
  LoopHost host;
  host.fork(1, {'c'});
  CHECK_EQUAL(host.waitStatusOf(1), 0);
}

TEST("a child gets a long payload and its descriptors, in order") {
  LoopHost host;
  std::vector<uint8_t> payload(5000000);
  for (size_t i = 1; i < payload.size(); ++i) payload[i] = static_cast<uint8_t>(i * 7);
  payload[0] = 'p';
  host.fork(1, payload);
  CHECK_EQUAL(host.waitStatusOf(1), 0);
  DescriptorPair one = processes::pipePair(), two = processes::pipePair();
  host.fork(2, {'w'}, {one.second.get(), two.second.get()});
  CHECK_EQUAL(host.waitStatusOf(2), 0);
  CHECK_EQUAL(processes::readByte(one.first.get()), 'a');
  CHECK_EQUAL(processes::readByte(two.first.get()), 'b');
}

TEST("descriptors of a request survive among the launcher's own, and siblings inherit none") {
  LoopHost host;
  host.fork(1, {'n'});
  int alone = host.waitStatusOf(1);
  std::vector<Held> held;
  // Enough that numbers run into the private range, were they not kept apart.
  for (uint32_t id = 10; id < 110; ++id) held.push_back(holdOne(host, id));
  host.fork(2, {'n'});
  CHECK_EQUAL(host.waitStatusOf(2), alone);
  for (const Held& child : held) kill(child.forked.pid, SIGKILL);
  for (size_t i = 0; i < held.size(); ++i) host.expect(MessageKind::exited);
}

TEST("the main area is there if asked for, and gone otherwise; AREA replaces it") {
  MainArea area = areaShowing(42), next = areaShowing(43);
  LoopHost host(&area);
  host.fork(1, {'m'}, {}, true);
  CHECK_EQUAL(WEXITSTATUS(host.waitStatusOf(1)), 42);
  host.fork(2, {'m'}, {}, false);
  CHECK_EQUAL(host.waitStatusOf(2), 0);
  host.replaceArea(next.descriptor());
  host.fork(3, {'m'}, {}, true);
  CHECK_EQUAL(WEXITSTATUS(host.waitStatusOf(3)), 43);
}

TEST("SIGQUIT ends a child with code 2, however early it comes") {
  LoopHost host;
  for (uint32_t id = 0; id < 50; ++id) {
    DescriptorPair pipe = processes::pipePair();
    host.fork(id, {'h'}, {pipe.second.get()});
    Report forked = host.expect(MessageKind::forked);
    // Now and then the child has not come to its first step yet.
    Result<bool> sent = sendSignal(forked.pidfd.get(), SIGQUIT, SignalTarget::group);
    CHECK(sent.ok() && sent.value());
    Report exited = host.expect(MessageKind::exited);
    CHECK(WIFEXITED(exited.waitStatus));
    CHECK_EQUAL(WEXITSTATUS(exited.waitStatus), 2);
  }
}

TEST("SIGTERM stays pending in a child that has not unblocked it") {
  LoopHost host;
  Held held = holdOne(host, 1);
  CHECK(sendSignal(held.forked.pidfd.get(), SIGTERM, SignalTarget::process).value());
  CHECK(sendSignal(held.forked.pidfd.get(), SIGKILL, SignalTarget::process).value());
  Report exited = host.expect(MessageKind::exited);
  CHECK_EQUAL(WTERMSIG(exited.waitStatus), SIGKILL);
  Result<bool> gone = sendSignal(held.forked.pidfd.get(), SIGTERM, SignalTarget::group);
  CHECK(gone.ok() && !gone.value());
  gone = sendSignal(held.forked.pidfd.get(), SIGTERM, SignalTarget::process);
  CHECK(gone.ok() && !gone.value());
}

TEST("what a child leaves behind in its group is killed before its end is reported") {
  LoopHost host;
  DescriptorPair pipe = processes::pipePair();
  host.fork(1, {'l'}, {pipe.second.get()});
  pipe.second.reset();
  CHECK_EQUAL(host.waitStatusOf(1), 0);
  // The one left behind may or may not have come to write; then it is killed, which is the end.
  int first = processes::readByte(pipe.first.get());
  if (first != -1) CHECK_EQUAL(processes::readByte(pipe.first.get()), -1);
}

TEST("1,000 forks leave no descriptor in the launcher") {
  LoopHost host;
  auto round = [&](uint32_t count) {
    DescriptorPair pipe = processes::pipePair();
    for (uint32_t id = 0; id < count; ++id) {
      host.fork(id, {'x', 0}, {pipe.second.get()});
      CHECK_EQUAL(host.waitStatusOf(id), 0);
    }
  };
  round(1);
  int before = processes::countDescriptors(host.pid());
  round(1000);
  CHECK_EQUAL(processes::countDescriptors(host.pid()), before);
}

TEST("when the postmaster is gone, children that ignore it are dead within a second") {
  LoopHost host;
  Held one = holdOne(host, 1), two = holdOne(host, 2);
  timespec before, after;
  clock_gettime(CLOCK_MONOTONIC, &before);
  host.closeControl();
  CHECK_EQUAL(processes::readByte(one.pipe.get()), -1);
  CHECK_EQUAL(processes::readByte(two.pipe.get()), -1);
  CHECK_EQUAL(host.wait(), 0);
  clock_gettime(CLOCK_MONOTONIC, &after);
  double tookMs = static_cast<double>(after.tv_sec - before.tv_sec) * 1e3 +
                  static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e6;
  CHECK(tookMs < 1000);
  CHECK(tookMs > 400);  // they had their time to leave by themselves
}

TEST("a launcher without children leaves at once") {
  LoopHost host;
  host.fork(1, {'x', 0});
  CHECK_EQUAL(host.waitStatusOf(1), 0);
  host.closeControl();
  CHECK_EQUAL(host.wait(), 0);
}

TEST("when the launcher is killed, its children die with it") {
  LoopHost host;
  Held one = holdOne(host, 1), two = holdOne(host, 2);
  kill(host.pid(), SIGKILL);
  CHECK_EQUAL(processes::readByte(one.pipe.get()), -1);
  CHECK_EQUAL(processes::readByte(two.pipe.get()), -1);
  CHECK_EQUAL(WTERMSIG(host.wait()), SIGKILL);
}

TEST("a malformed message ends the launcher and its children, not with code 0") {
  LoopHost host;
  Held held = holdOne(host, 1);
  CHECK_EQUAL(write(host.control(), "nonsense", 8), 8);
  CHECK_EQUAL(processes::readByte(held.pipe.get()), -1);
  CHECK_EQUAL(WEXITSTATUS(host.wait()), 1);
}

TEST("a child whose end the launcher could not watch is not let live, but reported as failed") {
  LoopHost host;
  host.fork(1, {'x', 0});
  CHECK_EQUAL(host.waitStatusOf(1), 0);
  // Below the private range: the child's pidfd finds no number there.
  rlimit few{8, 8};
  CHECK_EQUAL(prlimit(host.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  DescriptorPair pipe = processes::pipePair();
  host.fork(2, {'h'}, {pipe.second.get()});
  pipe.second.reset();
  Report failed = host.expect(MessageKind::failed);
  CHECK_EQUAL(failed.childId, 2U);
  CHECK(failed.errorNumber == EMFILE || failed.errorNumber == EINVAL);
  while (processes::readByte(pipe.first.get()) != -1) continue;
}
