#include "core/face/requests.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "core/proc/signals.h"
#include "core/sync/this_process.h"

namespace bgworker::face {
namespace {

volatile std::sig_atomic_t shutdown = 0;
volatile std::sig_atomic_t reload = 0;
std::atomic<bool> untold{false};  // the tests have threads for processes

/**
 * In an exec'ed node the kernel may choose one of node's own threads for a signal to the process.
 * It is handed on to the main thread, whose wait it is to end, and which holds it back until then.
 */
bool isHandedOn(int signal) {
  const pid_t pid = getpid();
  if (static_cast<pid_t>(syscall(SYS_gettid)) == pid) return false;
  int interrupted = errno;
  (void)syscall(SYS_tgkill, pid, pid, signal);
  errno = interrupted;
  return true;
}

void requestShutdown(int signal) {
  if (!isHandedOn(signal)) shutdown = 1;
}

void requestReload(int signal) {
  if (!isHandedOn(signal)) reload = 1;
}

struct Disposition {
  int signal;
  void (*handler)(int);
};

constexpr int64_t kLooksApartNs = 1000000;
std::atomic<int64_t> lastLookNs{0};

// PostgreSQL's, for a worker without a database connection.
const Disposition kDispositions[] = {
    {SIGTERM, requestShutdown}, {SIGHUP, requestReload}, {SIGINT, SIG_IGN},
    {SIGALRM, SIG_IGN},         {SIGUSR1, SIG_IGN},      {SIGUSR2, SIG_IGN},
};

}  // namespace

void takeRequests() {
  blockSignals();
  shutdown = 0;
  reload = 0;
  untold = false;
  lastLookNs = 0;
  for (const Disposition& disposition : kDispositions) {
    struct sigaction action;
    std::memset(&action, 0, sizeof action);
    action.sa_handler = disposition.handler;
    sigaction(disposition.signal, &action, nullptr);
  }
}

void letSignalsIn() {
  sigset_t pending;
  if (sigpending(&pending) != 0 || sigisemptyset(&pending) != 0) return;
  const timespec now{};
  if (ppoll(nullptr, 0, &now, nothingBlocked()) < 0) untold = true;
}

void letSignalsInSometimes() {
  const int64_t now = monotonicNs();
  if (now - lastLookNs.load(std::memory_order_relaxed) < kLooksApartNs) return;
  lastLookNs.store(now, std::memory_order_relaxed);
  letSignalsIn();
}

void noteSignal() { untold = true; }

bool takeUntoldSignal() { return untold.exchange(false); }

bool shutdownRequested() { return shutdown != 0; }

bool takeReloadRequest() {
  // SIGHUP is blocked here: nothing can come between the look and the clearing.
  const bool requested = reload != 0;
  reload = 0;
  return requested;
}

const sigset_t* nothingBlocked() {
  static const sigset_t none = [] {
    sigset_t set;
    sigemptyset(&set);
    return set;
  }();
  return &none;
}

}  // namespace bgworker::face
