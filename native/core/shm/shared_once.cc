#include "core/shm/shared_once.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include "core/shm/refusal.h"
#include "core/shm/shared_mutex.h"

namespace bgworker {
namespace {

constexpr uint32_t kUntouched = 0, kReady = 0xffffffff;

/** Linux has no higher thread ids (PID_MAX_LIMIT): whoever had it would never come to an end. */
constexpr uint32_t kMostThreadId = 4 * 1024 * 1024;

uint32_t ownThread() { return static_cast<uint32_t>(syscall(SYS_gettid)); }

}  // namespace

Result<Turn> SharedOnce::enter() {
  const uint32_t self = ownThread();
  const int64_t endsNs = patienceEndsNs();
  for (;;) {
    uint32_t seen = kUntouched;
    if (word_.compare_exchange_strong(seen, self, std::memory_order_acquire)) return Turn::mine;
    if (seen == kReady) return Turn::ready;
    if (seen == self) return refuse(Refusal::initialisedAbove);
    if (seen > kMostThreadId) return refuse(Refusal::corrupt);
    if (!sleepOnWord(word_, seen, endsNs)) return refuse(Refusal::initialisationStuck);
  }
}

void SharedOnce::finish() { leave(kReady); }

void SharedOnce::abandon() { leave(kUntouched); }

bool SharedOnce::ready() const { return word_.load(std::memory_order_acquire) == kReady; }

void SharedOnce::leave(uint32_t next) {
  word_.store(next, std::memory_order_release);
  wakeSleepers(word_, INT_MAX);
}

}  // namespace bgworker
