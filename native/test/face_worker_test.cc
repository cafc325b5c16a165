// face_worker_test.cc: a whole worker in C, from its call to its end, and what signals and deaths
// do to its waits.

#include <csignal>
#include <cstdlib>

#include "core/proc/signals.h"
#include "test/face_stage.h"

using namespace bgworker;
using face_stage::api;
using face_stage::Stage;

namespace {

/** What the worker's function finds: it cannot capture anything. */
struct Errand {
  Descriptor said;
  bgworker_segment segment;
  void* queue;
  int way;
};
Errand errand;

constexpr size_t kQueueBytes = 256;

void say(char letter) { processes::writeByte(errand.said.get(), letter); }

struct Shared {
  bgworker_lwlock lock;
  bgworker_cv cv;
  bgworker_barrier barrier;
  bgworker_latch latch;
  alignas(64) char queue[kQueueBytes];
};

Shared& shared(bgworker_context* context) {
  void* address = nullptr;
  auto make = [](bgworker_context* inner, void* memory, size_t, void*) {
    auto* all = static_cast<Shared*>(memory);
    if (api.barrier->init(inner, &all->barrier, 2) != 0) return 1;
    return api.mq->create(inner, all->queue, kQueueBytes);
  };
  if (api.shmem->init_struct(context, "shared", sizeof(Shared), make, nullptr, &address) < 0) {
    _exit(90);
  }
  return *static_cast<Shared*>(address);
}

/** A worker in a process of its own, with shared memory and a postmaster to lose. */
struct RunningWorker {
  RunningWorker(Stage& stage, bgworker_main_function function) {
    DescriptorPair pipe = processes::pipePair();
    pid = processes::inChild([&] {
      death.second.reset();
      errand.said = std::move(pipe.second);
      Attached attached(stage.area, stage.bells, 0, death.first.get());
      return callNativeWorker(
          {function, "worker", {}, death.first.get(), &attached.memory, nullptr});
    });
    said = std::move(pipe.first);
  }
  char hear() { return static_cast<char>(processes::readByte(said.get())); }
  int exitCode() {
    const int status = processes::waitFor(pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  using Attached = face_stage::Attached;
  pid_t pid;
  DescriptorPair death = processes::pipePair();
  Descriptor said;
};

/** One call that waits, by number, until something ends it; what it gave. */
int waitIn(bgworker_context* context, int way) {
  Shared& all = shared(context);
  bgworker_mq_handle end{};
  const void* data = nullptr;
  size_t bytes = 0;
  const char message[kQueueBytes] = {};
  switch (way) {
    case 0:
      (void)api.mq->attach_receiver(context, all.queue, kQueueBytes, &end);
      say('r');
      return api.mq->receive(context, end, &data, &bytes, -1);
    case 1:
      (void)api.mq->attach_sender(context, all.queue, kQueueBytes, &end);
      say('r');
      return api.mq->send(context, end, message, sizeof message, -1, 1);
    case 2:
      (void)api.mq->attach_sender(context, all.queue, kQueueBytes, &end);
      say('r');
      return api.mq->wait_for_attach(context, end, -1);
    case 3:
      (void)api.cv->prepare_to_sleep(context, &all.cv);
      say('r');
      return api.cv->sleep(context, &all.cv);
    case 4:
      say('r');
      return api.barrier->arrive_and_wait(context, &all.barrier);
    default:
      return -1000;
  }
}
constexpr int kWays = 5;

int waitUntilEnded(const bgworker_api*, bgworker_context* context) {
  return -waitIn(context, errand.way);
}

}  // namespace

TEST("a shutdown request ends the waits for queues, condition variables and barriers") {
  for (int way = 0; way < kWays; ++way) {
    Stage stage;
    errand.way = way;
    RunningWorker worker(stage, waitUntilEnded);
    CHECK_EQUAL(worker.hear(), 'r');
    // These end none of them.
    kill(worker.pid, SIGHUP);
    kill(worker.pid, SIGUSR1);
    kill(worker.pid, SIGTERM);
    CHECK_EQUAL(worker.exitCode(), -BGWORKER_ERR_SHUTDOWN);
  }
}

TEST("the postmaster's death ends them, too") {
  for (int way = 0; way < kWays; ++way) {
    Stage stage;
    errand.way = way;
    RunningWorker worker(stage, waitUntilEnded);
    CHECK_EQUAL(worker.hear(), 'r');
    worker.death.second.reset();
    CHECK_EQUAL(worker.exitCode(), -BGWORKER_ERR_POSTMASTER_DIED);
  }
}

TEST("once a shutdown is requested nobody sleeps, and what need not sleep is done") {
  Stage stage;
  RunningWorker worker(stage, [](const bgworker_api*, bgworker_context* context) {
    Shared& all = shared(context);
    kill(getpid(), SIGTERM);  // blocked, until somebody looks
    if (!api.shutdown_requested(context)) return 2;
    for (int way : {0, 1, 3, 4}) {
      if (waitIn(context, way) != BGWORKER_ERR_SHUTDOWN) return 10 + way;
    }
    bgworker_segment segment{};
    bgworker_mq_handle in{}, out{};
    const void* data = nullptr;
    size_t bytes = 0;
    const std::vector<face_stage::Row> rows = {
        CALLED(api.cv->timed_sleep(context, &all.cv, 0), 1),
        CALLED(api.cv->timed_sleep(context, &all.cv, 1000), BGWORKER_ERR_SHUTDOWN),
        CALLED(api.cv->signal(context, &all.cv), 0),
        CALLED(api.cv->sleep(context, &all.cv), 0),
        CALLED(api.dsm->create(context, kQueueBytes, &segment), 0),
        CALLED(api.mq->create(context, segment.address, kQueueBytes), 0),
        CALLED(api.mq->attach_sender(context, segment.address, kQueueBytes, &out), 0),
        CALLED(api.mq->attach_receiver(context, segment.address, kQueueBytes, &in), 0),
        CALLED(api.mq->send(context, out, "last", 4, -1, 1), 0),
        CALLED(api.mq->receive(context, in, &data, &bytes, -1), 0),
        CALLED(api.mq->receive(context, in, &data, &bytes, 0), BGWORKER_MQ_WOULD_BLOCK),
        CALLED(api.mq->receive(context, in, &data, &bytes, 1), BGWORKER_ERR_SHUTDOWN),
    };
    for (size_t i = 0; i < rows.size(); ++i) {
      if (rows[i].got != rows[i].wanted) return 50 + static_cast<int>(i);
    }
    return 0;
  });
  for (int i = 0; i < 4; ++i) CHECK_EQUAL(worker.hear(), 'r');
  CHECK_EQUAL(worker.exitCode(), 0);
}

TEST("a signal that another call has let in ends the next wait, so that nobody sleeps over it") {
  Stage stage;
  for (const bool attached : {true, false}) {
    errand.way = attached ? 1 : 0;
    const auto function = [](const bgworker_api*, bgworker_context* context) {
      kill(getpid(), SIGHUP);
      // Looks for SIGTERM, and lets the other in.
      if (api.shutdown_requested(context)) return 2;
      if (api.wait(context, -1) != BGWORKER_SIGNALLED) return 3;
      if (!api.reload_requested(context) || api.reload_requested(context)) return 4;
      if (api.wait(context, 0) != BGWORKER_TIMEOUT) return 5;
      if (errand.way == 0) return 0;
      // In the middle of a wait that it does not end.
      kill(getpid(), SIGHUP);
      bgworker_mq_handle end{};
      const void* data = nullptr;
      size_t bytes = 0;
      void* queue = shared(context).queue;
      if (api.mq->attach_receiver(context, queue, kQueueBytes, &end) != 0) return 6;
      if (api.mq->receive(context, end, &data, &bytes, 1) != BGWORKER_MQ_WOULD_BLOCK) return 7;
      if (api.wait(context, -1) != BGWORKER_SIGNALLED) return 8;
      return api.reload_requested(context) ? 0 : 9;
    };
    if (attached) {
      RunningWorker worker(stage, function);
      CHECK_EQUAL(worker.exitCode(), 0);
    } else {
      DescriptorPair death = processes::pipePair();
      pid_t child = processes::inChild([&] {
        return callNativeWorker({function, "apart", {}, death.first.get()});
      });
      CHECK_EQUAL(WEXITSTATUS(processes::waitFor(child)), 0);
    }
  }
}

TEST("a latch that is always set does not keep SIGTERM out") {
  Stage stage;
  RunningWorker worker(stage, [](const bgworker_api*, bgworker_context* context) {
    say('r');
    bool told = false;
    while (!told) {
      (void)api.latch->set(context, nullptr);
      told = (api.wait(context, -1) & BGWORKER_SIGNALLED) != 0;
    }
    return api.shutdown_requested(context) ? 0 : 1;
  });
  CHECK_EQUAL(worker.hear(), 'r');
  kill(worker.pid, SIGTERM);
  CHECK_EQUAL(worker.exitCode(), 0);
}

TEST("who always has work and only asks hears of SIGTERM and SIGHUP, too") {
  Stage stage;
  for (const int signal : {SIGTERM, SIGHUP}) {
    errand.way = signal;
    RunningWorker worker(stage, [](const bgworker_api*, bgworker_context* context) {
      say('r');
      const auto asked = errand.way == SIGTERM ? api.shutdown_requested : api.reload_requested;
      while (!asked(context)) continue;
      return 0;
    });
    CHECK_EQUAL(worker.hear(), 'r');
    kill(worker.pid, signal);
    CHECK_EQUAL(worker.exitCode(), 0);
  }
}

TEST("the latch, a signal and the postmaster's death each end wait(), and say so") {
  Stage stage;
  Stage::Own other(stage, 1);
  RunningWorker worker(stage, [](const bgworker_api*, bgworker_context* context) {
    for (const unsigned expected :
         {BGWORKER_LATCH_SET, BGWORKER_SIGNALLED, BGWORKER_POSTMASTER_DEATH}) {
      say('r');
      const unsigned got = api.wait(context, -1);
      if (got != expected) return static_cast<int>(10 + got);
    }
    return 0;
  });
  CHECK_EQUAL(worker.hear(), 'r');
  CHECK_EQUAL(api.latch->set_slot(other.actor, 0), 0);
  CHECK_EQUAL(worker.hear(), 'r');
  kill(worker.pid, SIGHUP);
  CHECK_EQUAL(worker.hear(), 'r');
  worker.death.second.reset();
  CHECK_EQUAL(worker.exitCode(), 0);
}

namespace {

/** Takes something of everything, and leaves it all to the end. */
int takeAll(const bgworker_api*, bgworker_context* context) {
  Shared& all = shared(context);
  bgworker_mq_handle end{};
  uint32_t phase = 0;
  bgworker_segment other{};
  bgworker_hash_handle table{};
  auto callback = [](bgworker_context* inner, const bgworker_segment*, void*) {
    // It is not told by a lock: those are released first. It may take one again.
    if (api.lwlock->conditional_acquire(inner, &shared(inner).lock, 1) == 1) say('c');
  };
  if (api.lwlock->acquire(context, &all.lock, BGWORKER_LW_EXCLUSIVE) != 1) return 20;
  if (api.latch->own(context, &all.latch) != 0) return 21;
  if (api.cv->prepare_to_sleep(context, &all.cv) != 0) return 22;
  if (api.mq->attach_sender(context, all.queue, kQueueBytes, &end) != 0) return 23;
  if (api.dsm->create(context, 4096, &other) != 0) return 24;
  if (api.dsm->on_detach(context, other.handle, callback, nullptr) != 0) return 25;
  auto* barrier = static_cast<bgworker_barrier*>(other.address);
  if (api.barrier->attach(context, barrier, &phase) != 0) return 26;
  if (api.hash->open(context, "table", 1 << 20, 8, 8, &table) != 0) return 27;
  say('r');
  switch (errand.way) {
    case 0:
      return 5;
    case 1:
      exit(5);
    case 2: {
      // In a callback that holds an entry.
      auto leave = [](void*, size_t, int, void*) { exit(5); };
      (void)api.hash->visit_or_insert(context, table, "key", 3, 8, leave, nullptr);
      return 28;
    }
    case 3: {
      // In an initialiser, for which others wait.
      auto leave = [](bgworker_context*, void*, size_t, void*) -> int { exit(5); };
      (void)api.dsm->named(
          context, "named", 64,
          [](bgworker_context* inner, void*, size_t, void* next) {
            void* address = nullptr;
            return api.shmem->init_struct(inner, "inner", 64,
                                          reinterpret_cast<bgworker_initialiser>(next), nullptr,
                                          &address);
          },
          reinterpret_cast<void*>(static_cast<bgworker_initialiser>(leave)), &other);
      return 29;
    }
    default:
      return 30;
  }
}

}  // namespace

TEST("by return or by exit(), wherever: nothing that the worker held is left") {
  for (int way = 0; way < 4; ++way) {
    Stage stage;
    Stage::Own two(stage, 1);
    bgworker_context* c = two.actor;
    Shared& all = shared(c);
    errand.way = way;
    RunningWorker worker(stage, takeAll);
    bgworker_mq_handle end{};
    bgworker_hash_handle table{};
    bgworker_segment segment{};
    void* address = nullptr;
    const void* data = nullptr;
    size_t bytes = 0;
    CHECK_EQUAL(worker.hear(), 'r');
    CHECK_EQUAL(worker.hear(), 'c');
    CHECK_EQUAL(worker.exitCode(), 5);
    const auto leave = [](void*, size_t, int, void*) {};
    face_stage::checkRows({
        CALLED(api.lwlock->conditional_acquire(c, &all.lock, BGWORKER_LW_EXCLUSIVE), 1),
        CALLED(api.latch->own(c, &all.latch), 0),
        CALLED(api.mq->attach_receiver(c, all.queue, kQueueBytes, &end), 0),
        CALLED(api.mq->receive(c, end, &data, &bytes, -1), BGWORKER_MQ_DETACHED),
        CALLED(api.hash->open(c, "table", 1 << 20, 8, 8, &table), 0),
        CALLED(api.hash->visit_or_insert(c, table, "key", 3, 8, leave, nullptr), way == 2 ? 0 : 1),
        CALLED(api.dsm->named(c, "named", 64, nullptr, nullptr, &segment), 0),
        CALLED(api.shmem->init_struct(c, "inner", 64, nullptr, nullptr, &address), 0),
    });
    // The table's and the one above: the worker's own went with it.
    CHECK_EQUAL(two.attached.segments.list().size(), 2U);
  }
}

TEST("exit() on a thread of the worker's own leaves with the code, and without the clean-up") {
  Stage stage;
  Stage::Own two(stage, 1);
  RunningWorker worker(stage, [](const bgworker_api*, bgworker_context* context) -> int {
    (void)api.lwlock->acquire(context, &shared(context).lock, BGWORKER_LW_EXCLUSIVE);
    std::thread([] { exit(7); }).join();
    return 1;
  });
  CHECK_EQUAL(worker.exitCode(), 7);
  CHECK_EQUAL(
      api.lwlock->conditional_acquire(two.actor, &shared(two.actor).lock, BGWORKER_LW_EXCLUSIVE),
      0);
}
