#include "core/proc/signals.h"

#include <unistd.h>

#include <cstring>
#include <initializer_list>

namespace bgworker {
namespace {

// PostgreSQL's, for a process that leaves at once and whose memory is suspect.
constexpr int kQuitExitCode = 2;

// SIGCHLD, because child_process.execSync() waits for it, and would for ever where it is blocked.
constexpr int kDeliverable[] = {SIGQUIT, SIGCHLD};

void quitNow(int) { _exit(kQuitExitCode); }

void setDisposition(int signal, void (*handler)(int)) {
  struct sigaction action;
  std::memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  // The C library refuses its own two real-time signals, rightly; nothing else can fail.
  (void)sigaction(signal, &action, nullptr);
}

sigset_t blockable() {
  sigset_t set;
  sigfillset(&set);
  for (int raised : {SIGTRAP, SIGABRT, SIGILL, SIGFPE, SIGSEGV, SIGBUS, SIGSYS, SIGCONT}) {
    sigdelset(&set, raised);
  }
  return set;
}

}  // namespace

void blockSignals() {
  sigset_t set = blockable();
  for (int deliverable : kDeliverable) sigdelset(&set, deliverable);
  sigprocmask(SIG_SETMASK, &set, nullptr);
}

void blockSignalsAndQuit() {
  sigset_t set = blockable();
  sigprocmask(SIG_SETMASK, &set, nullptr);
}

void unblockSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigprocmask(SIG_SETMASK, &set, nullptr);
}

void installQuitHandler() {
  setDisposition(SIGQUIT, quitNow);
  sigset_t set;
  sigemptyset(&set);
  for (int deliverable : kDeliverable) sigaddset(&set, deliverable);
  sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

void ignoreBrokenPipes() { setDisposition(SIGPIPE, SIG_IGN); }

void resetSignals() {
  for (int signal = 1; signal < NSIG; ++signal) setDisposition(signal, SIG_DFL);
  // A worker ignores a reload unless it says otherwise; a program says so by installing a handler.
  setDisposition(SIGHUP, SIG_IGN);
  unblockSignals();
}

}  // namespace bgworker
