#include "core/proc/native_worker.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/base/assert.h"
#include "core/proc/signals.h"

/** The context that C sees as an opaque struct. */
struct bgworker_context {
  const bgworker::NativeWorker* worker;
};

namespace bgworker {
namespace {

volatile std::sig_atomic_t shutdownRequested = 0;
volatile std::sig_atomic_t reloadRequested = 0;

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
  if (!isHandedOn(signal)) shutdownRequested = 1;
}

void requestReload(int signal) {
  if (!isHandedOn(signal)) reloadRequested = 1;
}

struct Disposition {
  int signal;
  void (*handler)(int);
};

// PostgreSQL's, for a worker without a database connection.
const Disposition kDispositions[] = {
    {SIGTERM, requestShutdown}, {SIGHUP, requestReload}, {SIGINT, SIG_IGN},
    {SIGALRM, SIG_IGN},         {SIGUSR1, SIG_IGN},      {SIGUSR2, SIG_IGN},
};

const char* nameOf(bgworker_context* context) { return context->worker->name.c_str(); }

const void* argOf(bgworker_context* context, size_t* bytes) {
  if (bytes != nullptr) *bytes = context->worker->arg.size();
  return context->worker->arg.data();
}

void logLine(bgworker_context*, const char* line) {
  // One write: lines of several processes on one pipe then stay whole, up to PIPE_BUF.
  std::string text = "LOG:  ";
  text.append(line).push_back('\n');
  // There is nobody to tell that the log is gone.
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, text.data(), text.size());
}

int isShutdownRequested(bgworker_context*) { return shutdownRequested != 0; }

int takeReloadRequest(bgworker_context*) {
  // SIGHUP is blocked here: nothing can come between the look and the clearing.
  int requested = reloadRequested;
  reloadRequested = 0;
  return requested;
}

unsigned waitForEvents(bgworker_context* context, int64_t timeoutMs) {
  pollfd death{context->worker->deathDescriptor, POLLIN, 0};
  timespec limit{static_cast<time_t>(timeoutMs / 1000),
                 static_cast<long>(timeoutMs % 1000) * 1000000};
  sigset_t none;
  sigemptyset(&none);
  // Signals get through in here only, so one that came a moment ago ends this wait at once.
  int ready = ppoll(&death, 1, timeoutMs < 0 ? nullptr : &limit, &none);
  if (ready > 0) return BGWORKER_POSTMASTER_DEATH;
  if (ready == 0) return BGWORKER_TIMEOUT;
  PM_ASSERT(errno == EINTR, "ppoll on one open descriptor can only be interrupted");
  return BGWORKER_SIGNALLED;
}

const bgworker_api kApi = {
    sizeof(bgworker_api), BGWORKER_API_VERSION, nameOf,        argOf, logLine,
    isShutdownRequested,  takeReloadRequest,    waitForEvents,
};

}  // namespace

int callNativeWorker(const NativeWorker& worker) {
  blockSignals();
  shutdownRequested = 0;
  reloadRequested = 0;
  for (const Disposition& disposition : kDispositions) {
    struct sigaction action;
    std::memset(&action, 0, sizeof action);
    action.sa_handler = disposition.handler;
    sigaction(disposition.signal, &action, nullptr);
  }
  bgworker_context context{&worker};
  return worker.function(&kApi, &context);
}

}  // namespace bgworker
