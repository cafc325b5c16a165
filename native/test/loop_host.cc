#include "test/loop_host.h"

#include <csignal>
#include <cstdio>

#include "core/ipc/packet.h"
#include "core/proc/launcher.h"
#include "core/proc/signals.h"
#include "test/loop_scenarios.h"

using namespace bgworker;

namespace loop_host {

LoopHost::LoopHost(MainArea* area) : inbox_(Direction::toPostmaster) {
  Result<DescriptorPair> pair = makeSocketPair();
  CHECK(pair.ok());
  std::fflush(stdout);
  pid_ = processes::inChild([&]() -> int {
    pair.value().first.reset();
    LauncherHooks hooks;
    hooks.context = area;
    Result<ForkedChild> child = runLauncher(pair.value().second.release(), {area}, hooks);
    if (!child.ok()) return 90;
    return runScenario(child.value(), area);
  });
  control_ = std::move(pair.value().first);
}

LoopHost::~LoopHost() {
  control_.reset();
  if (pid_ > 0) (void)reapChild(pid_).ok();
}

int LoopHost::wait() { return processes::waitFor(std::exchange(pid_, 0)); }

void LoopHost::fork(uint32_t childId, const std::vector<uint8_t>& payload,
                    std::initializer_list<int> descriptors, bool attach) {
  std::vector<int> numbers(descriptors);
  uint16_t flags = attach ? kFlagAttach : uint16_t{0};
  CHECK(sendMessage(control_.get(), {MessageKind::fork, childId, flags, payload, numbers}).ok());
}

void LoopHost::exec(uint32_t childId, const ExecRequest& request,
                    std::initializer_list<int> descriptors) {
  ByteWriter writer;
  encode(request, writer);
  std::vector<int> numbers(descriptors);
  CHECK(sendMessage(control_.get(), {MessageKind::exec, childId, 0, writer.bytes(), numbers}).ok());
}

void LoopHost::replaceArea(int descriptor) {
  CHECK(sendMessage(control_.get(), {MessageKind::area, 0, 0, {}, {&descriptor, 1}}).ok());
}

Report LoopHost::next() {
  pollfd ready{control_.get(), POLLIN, 0};
  CHECK_EQUAL(poll(&ready, 1, processes::kPatienceMs), 1);
  Result<ReceiveOutcome> outcome = inbox_.receive(control_.get(), Blocking::no);
  CHECK(outcome.ok() && outcome.value() == ReceiveOutcome::message);
  Report report{inbox_.header().kind, inbox_.header().childId, 0, 0, 0, "", 0, Descriptor()};
  const uint8_t* body = inbox_.inlineBody().data();
  switch (report.kind) {
    case MessageKind::forked:
      std::memcpy(&report.pid, body, sizeof report.pid);
      report.pidfd = std::move(inbox_.descriptors().front());
      break;
    case MessageKind::failed: {
      FailedBody failure;
      std::memcpy(&failure, body, sizeof failure);
      report.call = failure.call;
      report.errorNumber = failure.errorNumber;
      break;
    }
    case MessageKind::exited: {
      ExitedBody exit;
      std::memcpy(&exit, body, sizeof exit);
      report.pid = exit.pid;
      report.waitStatus = exit.waitStatus;
      report.userUs = exit.userUs;
      break;
    }
    default:
      CHECK(!"a kind that a launcher reports");
  }
  return report;
}

Report LoopHost::expect(MessageKind kind) {
  Report report = next();
  CHECK_EQUAL(static_cast<int>(report.kind), static_cast<int>(kind));
  return report;
}

int LoopHost::waitStatusOf(uint32_t childId) {
  Report report = next();
  if (report.kind == MessageKind::forked) report = next();
  CHECK_EQUAL(report.childId, childId);
  CHECK_EQUAL(static_cast<int>(report.kind), static_cast<int>(MessageKind::exited));
  return report.waitStatus;
}

}  // namespace loop_host
