// sync_bench.cc: what the primitives cost between two processes. Not a test: it prints numbers.
//
//     cmake --build build-native/plain --target sync_bench && build-native/plain/sync_bench
//
// Each line: name, value, unit. With --json: one object, by name, for the benchmark of the whole.
// The limit is what the kernel takes for the same thing without us.

#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "core/base/assert.h"
#include "core/ipc/queue.h"
#include "core/sync/latch.h"
#include "core/sync/lwlock.h"

using namespace bgworker;

namespace {

constexpr uint32_t kRounds = 20000;
constexpr size_t kQueueBytes = 64 * 1024;

struct Area {
  alignas(64) unsigned char table[2 * sizeof(SharedProcess)];
  alignas(64) std::atomic<uint32_t> ball;
  alignas(64) PaddedLwlock lock;
  alignas(64) unsigned char queue[2][kQueueBytes];
  alignas(64) unsigned char large[sizeof(SharedQueue) + 1024 * 1024];
};

Area* area;
const Doorbells* bells;

void pinTo(size_t core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  (void)sched_setaffinity(0, sizeof set, &set);
}

/** Runs both sides, one in a child, each on a core of its own (else the scheduler's taste is what
 *  is measured: 5 us on one core, 40 on two), and gives the nanoseconds of the parent's. */
template <typename Left, typename Right>
double inTwo(Left left, Right right) {
  pid_t child = fork();
  PM_ASSERT(child >= 0, "a bench can fork");
  pinTo(child == 0 ? 1 : 0);
  if (child == 0) {
    right();
    _exit(0);
  }
  int64_t before = monotonicNs();
  left();
  double ns = static_cast<double>(monotonicNs() - before);
  waitpid(child, nullptr, 0);
  return ns;
}

template <typename Body>
double alone(uint32_t rounds, Body body) {
  int64_t before = monotonicNs();
  for (uint32_t i = 0; i < rounds; ++i) body();
  return static_cast<double>(monotonicNs() - before) / rounds;
}

bool asJson = false;

void print(const char* name, const char* unit, double value) {
  static bool isFirst = true;
  if (asJson) {
    std::printf("%s\"%s\": %.9g", isFirst ? "{" : ", ", name, value);
  } else {
    std::printf("%-44s %10.2f %s\n", name, value, unit);
  }
  isFirst = false;
}

/** The median of five. */
template <typename Measure>
double median(Measure measure) {
  std::vector<double> all;
  for (int i = 0; i < 5; ++i) all.push_back(measure());
  std::sort(all.begin(), all.end());
  return all[2];
}

double bareEventfd() {
  int a = eventfd(0, 0), b = eventfd(0, 0);
  uint64_t value = 1;
  auto give = [&](int bell) { (void)!write(bell, &value, sizeof value); };
  auto take = [&](int bell) {
    uint64_t got;
    (void)!read(bell, &got, sizeof got);
  };
  double ns = inTwo(
      [&] {
        for (uint32_t i = 0; i < kRounds; ++i) give(a), take(b);
      },
      [&] {
        for (uint32_t i = 0; i < kRounds; ++i) take(a), give(b);
      });
  close(a);
  close(b);
  return ns / kRounds / 1000;
}

void playLatch(uint32_t slot, const WaitOptions& options) {
  ThisProcess self({area->table, 2}, *bells, slot);
  std::atomic<uint32_t>& other = self.table().at(1 - slot).latch;
  // The other one may not be there yet: its latch is set all the same, and it finds it.
  for (uint32_t i = 0; i < kRounds; ++i) {
    if (slot == 0) setLatch(self, other);
    (void)waitLatch(self, self.latch(), options);
    resetLatch(self.latch());
    if (slot == 1) setLatch(self, other);
  }
  self.leave();
}

double latch(const WaitOptions& options) {
  std::memset(area->table, 0, sizeof area->table);
  return inTwo([&] { playLatch(0, options); }, [&] { playLatch(1, options); }) / kRounds / 1000;
}

void playQueue(uint32_t slot, uint32_t spins) {
  ThisProcess self({area->table, 2}, *bells, slot);
  QueueOptions options{.wait = {.spins = spins}};
  {
    QueueSender out(self, Queue::open(area->queue[slot], kQueueBytes).value());
    QueueReceiver in(self, Queue::open(area->queue[1 - slot], kQueueBytes).value());
    uint8_t message[16] = {};
    std::span<const uint8_t> got;
    for (uint32_t i = 0; i < kRounds; ++i) {
      if (slot == 0) (void)out.send(message, options);
      (void)in.receive(&got, options);
      if (slot == 1) (void)out.send(message, options);
    }
  }
  self.leave();
}

double queueRoundTrip(uint32_t spins) {
  std::memset(area->table, 0, sizeof area->table);
  for (auto& queue : area->queue) (void)Queue::create(queue, kQueueBytes);
  return inTwo([&] { playQueue(0, spins); }, [&] { playQueue(1, spins); }) / kRounds / 1000;
}

/** Messages per microsecond, one way. */
double stream(void* memory, size_t queueBytes, size_t bytes, uint32_t count, bool forceFlush,
              uint32_t spins) {
  std::memset(area->table, 0, sizeof area->table);
  (void)Queue::create(memory, queueBytes);
  QueueOptions options{.forceFlush = forceFlush, .wait = {.spins = spins}};
  double ns = inTwo(
      [&] {
        ThisProcess self({area->table, 2}, *bells, 0);
        {
          QueueReceiver in(self, Queue::open(memory, queueBytes).value());
          std::span<const uint8_t> got;
          std::vector<uint8_t> copy(bytes);
          while (in.receive(&got, options) == QueueResult::success) {
            std::memcpy(copy.data(), got.data(), got.size());
          }
        }
        self.leave();
      },
      [&] {
        ThisProcess self({area->table, 2}, *bells, 1);
        {
          QueueSender out(self, Queue::open(memory, queueBytes).value());
          std::vector<uint8_t> message(bytes, 1);
          for (uint32_t i = 0; i < count; ++i) (void)out.send(message, options);
        }
        self.leave();
      });
  return count / ns * 1000;
}

}  // namespace

int main(int count, char** arguments) {
  asJson = count > 1 && std::strcmp(arguments[1], "--json") == 0;
  void* base =
      mmap(nullptr, sizeof(Area), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  PM_ASSERT(base != MAP_FAILED, "a bench has memory");
  area = static_cast<Area*>(base);
  Result<Doorbells> made = Doorbells::create(2);
  bells = &made.value();
  sigset_t none;
  sigemptyset(&none);

  print("round trip, bare eventfd", "us", median(bareEventfd));
  print("round trip, latch, asleep on the futex", "us", median([] { return latch({}); }));
  print("round trip, latch, asleep on the doorbell", "us",
        median([&] { return latch({.signalMask = &none}); }));
  print("round trip, latch, spinning", "us", median([] { return latch({.spins = 1000000}); }));
  print("round trip, queue, asleep", "us", median([] { return queueRoundTrip(0); }));
  print("round trip, queue, spinning", "us", median([] { return queueRoundTrip(1000000); }));
  for (bool force : {true, false}) {
    for (uint32_t spins : {0U, 10000U}) {
      char name[80];
      std::snprintf(name, sizeof name, "queue, 64 bytes, %s, %s", force ? "each flushed" : "lazy",
                    spins > 0 ? "spinning" : "sleeping");
      print(name, "M/s",
            median([&] { return stream(area->queue[0], kQueueBytes, 64, 2000000, force, spins); }));
    }
  }
  print("queue, 64 KB through 1 MB", "GB/s", median([] {
          return stream(area->large, sizeof area->large, 65536, 20000, false, 0) * 65536 / 1000;
        }));
  print("queue, 64 KB through 16 KB", "GB/s", median([] {
          return stream(area->large, sizeof(SharedQueue) + 16384, 65536, 10000, false, 0) * 65536 /
                 1000;
        }));
  std::vector<uint8_t> from(65536, 1), to(65536);
  print("memcpy, 64 KB", "GB/s", 65536 / median([&] {
                                   return alone(20000, [&] {
                                     std::memcpy(to.data(), from.data(), to.size());
                                     asm volatile("" ::: "memory");
                                   });
                                 }));
  std::memset(area->table, 0, sizeof area->table);
  ThisProcess self({area->table, 2}, *bells, 0);
  SharedLwlock& lock = area->lock.lock;
  for (lwlock::Mode mode : {lwlock::Mode::exclusive, lwlock::Mode::shared}) {
    print(mode == lwlock::Mode::shared ? "lwlock pair, shared" : "lwlock pair, exclusive", "ns",
          median([&] {
            return alone(5000000, [&] {
              lwlock::acquire(self, lock, mode);
              lwlock::release(self, lock, mode);
            });
          }));
  }
  print("set + reset of the own latch", "ns", median([&] {
          return alone(5000000, [&] {
            setLatch(self, self.latch());
            resetLatch(self.latch());
          });
        }));
  print("atomic add", "ns", median([] { return alone(5000000, [] { area->ball.fetch_add(1); }); }));
  self.leave();
  if (asJson) std::printf("}\n");
}
