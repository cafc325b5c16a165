#include "core/face/native_worker.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "core/base/assert.h"
#include "core/face/context.h"
#include "core/face/latch.h"
#include "core/face/requests.h"
#include "core/face/tables.h"
#include "core/face/waits.h"

namespace bgworker {
namespace face {
namespace {

const char* nameOf(bgworker_context* context) { return context->worker.name.c_str(); }

const void* argOf(bgworker_context* context, size_t* bytes) {
  if (bytes != nullptr) *bytes = context->worker.arg.size();
  return context->worker.arg.data();
}

void logLine(bgworker_context*, const char* line) {
  // One write: lines of several processes on one pipe then stay whole, up to PIPE_BUF.
  std::string text = "LOG:  ";
  text.append(line).push_back('\n');
  // There is nobody to tell that the log is gone.
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, text.data(), text.size());
}

// Both look first: a worker that never waits, for it always has work, would not hear of it.
int isShutdownRequested(bgworker_context* context) {
  if (context->isOnItsThread()) letSignalsInSometimes();
  return shutdownRequested() ? 1 : 0;
}

int isReloadRequested(bgworker_context* context) {
  if (context->isOnItsThread()) letSignalsInSometimes();
  return takeReloadRequest() ? 1 : 0;
}

/** Without shared memory nobody has anything else to wake it by. */
unsigned waitForSignals(int deathDescriptor, int64_t timeoutMs) {
  if (takeUntoldSignal()) return BGWORKER_SIGNALLED;
  pollfd death{deathDescriptor, POLLIN, 0};
  timespec limit{static_cast<time_t>(timeoutMs / 1000),
                 static_cast<long>(timeoutMs % 1000) * 1000000};
  // Signals get through in here, so one that came a moment ago ends this wait at once.
  int ready = ppoll(&death, 1, timeoutMs < 0 ? nullptr : &limit, nothingBlocked());
  if (ready > 0) return BGWORKER_POSTMASTER_DEATH;
  if (ready == 0) return BGWORKER_TIMEOUT;
  PM_ASSERT(errno == EINTR, "ppoll on one open descriptor can only be interrupted");
  return BGWORKER_SIGNALLED;
}

unsigned waitForEvents(bgworker_context* context, int64_t timeoutMs) {
  if (!context->holdings.has_value() || !context->isOnItsThread()) {
    return waitForSignals(context->worker.deathDescriptor, timeoutMs);
  }
  Holdings& held = *context->holdings;
  std::atomic<uint32_t>& latch = held.memory.self.latch();
  const unsigned events = waitForLatch(held, latch, timeoutMs);
  // Before the worker looks at its work. Who does not know of latches would else never sleep again.
  if ((events & BGWORKER_LATCH_SET) != 0) resetLatch(latch);
  return events;
}

int slotOf(bgworker_context* context) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  return static_cast<int>(held->memory.self.slot());
}

const bgworker_api kApi = {
    sizeof(bgworker_api),
    BGWORKER_API_VERSION,
    nameOf,
    argOf,
    logLine,
    isShutdownRequested,
    isReloadRequested,
    waitForEvents,
    errorText,
    slotOf,
    &kShmemApi,
    &kDsmApi,
    &kLatchApi,
    &kSpinlockApi,
    &kLwlockApi,
    &kCvApi,
    &kBarrierApi,
    &kMqApi,
    &kHashApi,
};

/** Whose function has been called and has not returned. */
bgworker_context* running = nullptr;

void endHoldings(bgworker_context& context) {
  if (context.holdings.has_value()) context.holdings->endAll();
}

#ifdef __GLIBC__
/**
 * The function has called exit(). What comes after this handler was never made for it: the
 * destructors of a forked node wait for threads that it does not have.
 */
void onExit(int code, void*) {
  if (running == nullptr) return;
  // From a thread of its own nothing can be given back; with shared memory that is a crash.
  if (!running->isOnItsThread()) _exit(code);
  endHoldings(*running);
  if (running->worker.leave != nullptr) running->worker.leave(code);
  _exit(code);
}

void watchForExit() {
  static const bool isWatched = on_exit(onExit, nullptr) == 0;
  (void)isWatched;
}
#else
void watchForExit() {}
#endif

}  // namespace

const bgworker_api& api() { return kApi; }

}  // namespace face

int callNativeWorker(const NativeWorker& worker) {
  face::takeRequests();
  face::watchForExit();
  bgworker_context context(worker);
  if (worker.memory != nullptr) context.holdings.emplace(*worker.memory, &context);
  face::running = &context;
  const int code = worker.function(&face::kApi, &context);
  face::endHoldings(context);
  face::running = nullptr;
  return code;
}

}  // namespace bgworker
