#include "core/proc/launcher_loop.h"

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <ctime>

#include "core/base/system_calls.h"
#include "core/ipc/exec_request.h"
#include "core/proc/exec_program.h"
#include "core/proc/forked_child.h"
#include "core/proc/process.h"

namespace bgworker {
namespace {

constexpr int kEventsPerTurn = 64;
/** How long children may take to end by themselves once the postmaster is gone. */
constexpr int64_t kFarewellMs = 500;

std::span<const uint8_t> bytesOf(const auto& body) {
  return {reinterpret_cast<const uint8_t*>(&body), sizeof body};
}

uint64_t microseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1000000 + static_cast<uint64_t>(time.tv_usec);
}

int64_t nowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

}  // namespace

ForkedChild LauncherLoop::run() {
  ForkedChild child;
  for (;;) {
    epoll_event events[kEventsPerTurn];
    int count = epoll_wait(epoll_.get(), events, kEventsPerTurn, -1);
    bool requested = false;
    for (int i = 0; i < count; ++i) {
      pid_t pid = static_cast<pid_t>(events[i].data.u64);
      if (pid == 0) {
        requested = true;
      } else {
        reap(pid);
      }
    }
    // One request a turn, so that a flood of requests does not keep exits from being reported.
    if (requested && serveRequest(child) == Turn::child) return child;
  }
}

LauncherLoop::Turn LauncherLoop::serveRequest(ForkedChild& child) {
  Result<ReceiveOutcome> outcome = inbox_.receive(control_.get(), Blocking::no);
  if (!outcome.ok()) leave(1, "malformed message from the postmaster");
  switch (outcome.value()) {
    case ReceiveOutcome::wouldBlock:
      return Turn::launcher;
    case ReceiveOutcome::peerGone:
      leave(0, nullptr);
    case ReceiveOutcome::descriptorsLost:
      if (inbox_.header().kind == MessageKind::area) leave(1, "too many open files");
      reportFailure("recvmsg", EMFILE);
      return Turn::launcher;
    case ReceiveOutcome::message:
      break;
  }
  switch (inbox_.header().kind) {
    case MessageKind::fork:
      return serveFork(child);
    case MessageKind::exec:
      serveExec();
      return Turn::launcher;
    case MessageKind::area:
      serveArea();
      return Turn::launcher;
    case MessageKind::note:  // only the launcher's JavaScript reads notes, and it is done
    case MessageKind::forked:
    case MessageKind::failed:
    case MessageKind::exited:
    case MessageKind::descriptors:
      break;
  }
  leave(1, "unexpected message from the postmaster");
}

LauncherLoop::Turn LauncherLoop::serveFork(ForkedChild& child) {
  pid_t pid = fork();  // the C library's, so that handlers of pthread_atfork run
  if (pid < 0) {
    reportFailure("fork", errno);
  } else if (pid > 0) {
    adopt(pid, 0);
  } else {
    bool attach = (inbox_.header().flags & kFlagAttach) != 0;
    enterForkedChild({ownPid_, firstPrivate_, inbox_.descriptors(), area_, firstDoorbell_, attach});
    if (hooks_.enterChild != nullptr) hooks_.enterChild(hooks_.context);
    child.childId = inbox_.header().childId;
    Result<std::vector<uint8_t>> payload = inbox_.copyBody();
    PM_ASSERT(payload.ok(), "a sealed file of a checked size can be read");
    child.payload = std::move(payload.value());
    for (Descriptor& descriptor : inbox_.descriptors()) {
      child.descriptors.push_back(descriptor.release());
    }
    // Its file lies in the private range or below it; either way nobody needs it any more.
    inbox_.clear();
    return Turn::child;
  }
  inbox_.clear();
  return Turn::launcher;
}

void LauncherLoop::serveExec() {
  Result<std::vector<uint8_t>> body = inbox_.copyBody();
  if (!body.ok()) {
    reportFailure(body.error().call, body.error().number);
    return;
  }
  std::optional<ExecRequest> request = decodeExecRequest(body.value());
  if (!request.has_value() || request->targets.size() != inbox_.descriptors().size()) {
    leave(1, "malformed EXEC from the postmaster");
  }
  StartedProgram program = startProgram(*request, inbox_.descriptors());
  inbox_.clear();
  if (program.pid == 0) {
    reportFailure(program.failure.call, program.failure.errorNumber);
  } else {
    adopt(program.pid, request->deathSignal);
  }
}

void LauncherLoop::serveArea() {
  if (area_ == nullptr) leave(1, "AREA without a main area to replace");
  Status replaced = area_->replace(std::move(inbox_.descriptors().front()));
  if (!replaced.ok()) leave(1, "AREA that is no main area of this size");
}

/** A new child: from now on its end is waited for. */
void LauncherLoop::adopt(pid_t pid, int deathSignal) {
  Descriptor pidfd(pidfdOpen(pid));
  Status adopted = pidfd.valid() ? moveToPrivateRange(pidfd) : Status(lastError("pidfd_open"));
  if (adopted.ok()) adopted = watch(pidfd.get(), pid);
  if (!adopted.ok()) {
    // A child whose end nobody would see must not live on.
    kill(pid, SIGKILL);
    (void)reapChild(pid).ok();
    reportFailure(adopted.error().call, adopted.error().number);
    return;
  }
  uint32_t childId = inbox_.header().childId;
  ForkedBody body{pid};
  int number = pidfd.get();
  report({MessageKind::forked, childId, 0, bytesOf(body), {&number, 1}});
  children_.emplace(pid, Child{childId, std::move(pidfd), deathSignal});
}

void LauncherLoop::reap(pid_t pid) {
  auto found = children_.find(pid);
  PM_ASSERT(found != children_.end(), "an event carries the pid of a child that was not reaped");
  // While the zombie is not reaped nobody else can get its number, so this is its group or none
  // (ESRCH), whatever else it may be that we may not signal (EPERM).
  (void)kill(-pid, SIGKILL);
  int status = 0;
  rusage usage{};
  pid_t reaped;
  do {
    reaped = wait4(pid, &status, 0, &usage);
  } while (reaped < 0 && errno == EINTR);
  PM_ASSERT(reaped == pid, "nobody but this loop waits for its children");
  ExitedBody body{pid, status, microseconds(usage.ru_utime), microseconds(usage.ru_stime),
                  static_cast<uint64_t>(usage.ru_maxrss)};
  uint32_t childId = found->second.childId;
  unwatch(found->second.pidfd.get());
  children_.erase(found);
  report({MessageKind::exited, childId, 0, bytesOf(body), {}});
}

void LauncherLoop::reportFailure(const char* call, int errorNumber) {
  FailedBody body = failedBody(call, errorNumber);
  report({MessageKind::failed, inbox_.header().childId, 0, bytesOf(body), {}});
}

void LauncherLoop::report(const OutgoingMessage& message) {
  if (leaving_) return;
  Result<SendOutcome> outcome = sendMessage(control_.get(), message);
  // A peer that is gone shows itself in the next turn. Any other failure would leave the
  // postmaster with a wrong picture for ever, so the launcher gives up, which is one crash cycle.
  if (!outcome.ok()) leave(1, "cannot report to the postmaster");
}

/** The postmaster is gone, or cannot be believed: ends what is left of the children, and exits. */
void LauncherLoop::leave(int code, const char* reason) {
  leaving_ = true;
  if (reason != nullptr) {
    std::fprintf(stderr, "LOG:  background worker launcher %d ends: %s\n",
                 static_cast<int>(ownPid_), reason);
  }
  // The postmaster, if it lives, sees the end of file now, and no event wakes us for the socket.
  unwatch(control_.get());
  control_.reset();
  // Forked workers notice by themselves. A program gets the signal that its request named, but
  // SIGKILL only when its time is up: unlike the kernel, this process can be patient.
  for (const auto& [pid, child] : children_) {
    int farewell = child.deathSignal == SIGKILL ? SIGTERM : child.deathSignal;
    if (farewell != 0) (void)kill(-pid, farewell);
  }
  int64_t deadline = nowMs() + kFarewellMs;
  while (!children_.empty()) {
    int64_t leftMs = deadline - nowMs();
    if (leftMs <= 0) break;
    reapReady(static_cast<int>(leftMs));
  }
  for (const auto& [pid, child] : children_) {
    // The process too: it may not have made its group yet.
    (void)kill(-pid, SIGKILL);
    (void)kill(pid, SIGKILL);
  }
  while (!children_.empty()) reapReady(-1);
  // What a preload module has started is in this process's own group, which ends with it.
  if (getpgrp() == ownPid_) (void)kill(-ownPid_, SIGKILL);
  _exit(code);
}

void LauncherLoop::reapReady(int timeoutMs) {
  epoll_event events[kEventsPerTurn];
  int count = epoll_wait(epoll_.get(), events, kEventsPerTurn, timeoutMs);
  for (int i = 0; i < count; ++i) reap(static_cast<pid_t>(events[i].data.u64));
}

}  // namespace bgworker
