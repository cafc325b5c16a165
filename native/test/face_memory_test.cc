// face_memory_test.cc: structures, segments and hash tables by way of the C tables.

#include <cerrno>
#include <cstring>

#include "test/face_stage.h"

using namespace bgworker;
using face_stage::Actor;
using face_stage::api;
using face_stage::Stage;

namespace {

/** As C sees { count: 'u64', last: 'f64', flag: 'i32', note: { bytes: 64 } }. */
struct Hits {
  uint64_t count;
  double last;
  int32_t flag;
  uint8_t note[64];
};
static_assert(sizeof(Hits) == 88 && offsetof(Hits, note) == 20, "as lib/shared/layout.ts says");

/** An initialiser that counts its calls and gives back what it is told. */
struct Initialiser {
  int calls = 0;
  int answer = 0;
  static int call(bgworker_context*, void* address, size_t bytes, void* arg) {
    auto* self = static_cast<Initialiser*>(arg);
    ++self->calls;
    std::memset(address, 7, bytes);
    return self->answer;
  }
};

bool isMapped(const void* address) {
  const auto page = reinterpret_cast<uintptr_t>(address) & ~uintptr_t{4095};
  return msync(reinterpret_cast<void*>(page), 1, MS_ASYNC) == 0;
}

/** The order in which callbacks ran. */
struct Trace {
  std::string order;
  bool wasMapped = true;
};
struct Mark {
  Trace* trace;
  char letter;
  static void call(bgworker_context*, const bgworker_segment* segment, void* arg) {
    auto* mark = static_cast<Mark*>(arg);
    mark->trace->order.push_back(mark->letter);
    mark->trace->wasMapped = mark->trace->wasMapped && isMapped(segment->address);
  }
};

}  // namespace

TEST("a structure is made once, found again, and refused with another size") {
  Stage stage(8, 4096);
  Stage::Own one(stage, 0), two(stage, 1);
  void* first = nullptr;
  void* second = nullptr;
  Initialiser initialiser;
  CHECK_EQUAL(api.shmem->find_struct(one.actor, "hits", &first, nullptr), 0);
  CHECK_EQUAL(api.shmem->init_struct(one.actor, "hits", sizeof(Hits), Initialiser::call,
                                     &initialiser, &first),
              0);
  CHECK_EQUAL(reinterpret_cast<uintptr_t>(first) % 64, 0U);
  CHECK_EQUAL(static_cast<Hits*>(first)->note[63], 7);
  CHECK_EQUAL(api.shmem->init_struct(two.actor, "hits", sizeof(Hits), Initialiser::call,
                                     &initialiser, &second),
              1);
  CHECK(first == second);
  CHECK_EQUAL(initialiser.calls, 1);
  size_t bytes = 0;
  CHECK_EQUAL(api.shmem->find_struct(two.actor, "hits", &second, &bytes), 1);
  CHECK_EQUAL(bytes, sizeof(Hits));

  const std::string longest(63, 'n'), tooLong(64, 'n');
  auto make = [&](const char* name, size_t size) {
    return api.shmem->init_struct(one.actor, name, size, nullptr, nullptr, &second);
  };
  face_stage::checkRows({
      CALLED(make("hits", sizeof(Hits) + 1), BGWORKER_ERR_ENTRY_SIZE_WRONG),
      CALLED(make("", 8), BGWORKER_ERR_NAME_EMPTY),
      CALLED(make(longest.c_str(), 8), 0),
      CALLED(make(tooLong.c_str(), 8), BGWORKER_ERR_NAME_TOO_LONG),
      CALLED(make("none", 0), BGWORKER_ERR_SIZE_ZERO),
      CALLED(make("large", 1 << 20), BGWORKER_ERR_OUT_OF_SPACE),
      CALLED(api.shmem->find_struct(one.actor, "", &second, &bytes), BGWORKER_ERR_NAME_EMPTY),
      CALLED(api.shmem->find_struct(one.actor, tooLong.c_str(), &second, &bytes),
             BGWORKER_ERR_NAME_TOO_LONG),
      CALLED(api.shmem->find_struct(one.actor, "none", &second, &bytes), 0),
  });
}

TEST("a structure whose initialiser fails is zero again, and the next one's to make") {
  Stage stage;
  Stage::Own one(stage, 0);
  void* address = nullptr;
  Initialiser failing{.answer = 3};
  CHECK_EQUAL(api.shmem->init_struct(one.actor, "hits", 8, Initialiser::call, &failing, &address),
              BGWORKER_ERR_INITIALISER_FAILED);
  CHECK_EQUAL(api.shmem->find_struct(one.actor, "hits", &address, nullptr), 0);
  CHECK_EQUAL(api.shmem->init_struct(one.actor, "hits", 8, nullptr, nullptr, &address), 0);
  CHECK_EQUAL(*static_cast<uint64_t*>(address), 0U);
  // Who asks in its initialiser for what it is initialising would wait for itself.
  auto again = [](bgworker_context* context, void*, size_t bytes, void*) {
    void* same = nullptr;
    return api.shmem->init_struct(context, "self", bytes, nullptr, nullptr, &same) ==
                   BGWORKER_ERR_INITIALISED_ABOVE
               ? 0
               : 1;
  };
  CHECK_EQUAL(api.shmem->init_struct(one.actor, "self", 8, again, nullptr, &address), 0);
}

TEST("a segment: made, attached, found, detached, gone") {
  Stage stage;
  Stage::Own one(stage, 0), two(stage, 1);
  bgworker_segment made{}, attached{}, found{};
  CHECK_EQUAL(api.dsm->create(one.actor, 5000, &made), 0);
  CHECK(made.handle != 0);
  CHECK_EQUAL(made.bytes, 5000U);
  static_cast<uint8_t*>(made.address)[4999] = 42;
  CHECK_EQUAL(api.dsm->attach(two.actor, made.handle, &attached), 0);
  CHECK(attached.address != made.address);
  CHECK_EQUAL(static_cast<uint8_t*>(attached.address)[4999], 42);
  CHECK_EQUAL(api.dsm->find_mapping(two.actor, made.handle, &found), 0);
  CHECK(found.address == attached.address);
  face_stage::checkRows({
      CALLED(api.dsm->attach(two.actor, made.handle, &found), BGWORKER_ERR_ALREADY_MAPPED),
      CALLED(api.dsm->attach(two.actor, made.handle + 1, &found), BGWORKER_ERR_SEGMENT_GONE),
      CALLED(api.dsm->attach(two.actor, 0, &found), BGWORKER_ERR_SEGMENT_GONE),
      CALLED(api.dsm->create(one.actor, 0, &found), BGWORKER_ERR_SIZE_ZERO),
      CALLED(api.dsm->create(one.actor, size_t{1} << 50, &found), BGWORKER_ERR_WINDOW_FULL),
      CALLED(api.dsm->detach(one.actor, made.handle), 0),
      CALLED(api.dsm->detach(one.actor, made.handle), BGWORKER_ERR_NOT_MAPPED),
      CALLED(api.dsm->find_mapping(one.actor, made.handle, &found), BGWORKER_ERR_NOT_MAPPED),
  });
  CHECK(!isMapped(made.address));
  CHECK_EQUAL(api.dsm->detach(two.actor, made.handle), 0);
  CHECK_EQUAL(api.dsm->attach(one.actor, made.handle, &found), BGWORKER_ERR_SEGMENT_GONE);
}

TEST("pins: of mappings until the end, of segments until they are unpinned") {
  Stage stage;
  bgworker_segment kept{}, dropped{}, again{};
  {
    Stage::Own one(stage, 0);
    CHECK_EQUAL(api.dsm->create(one.actor, 64, &kept), 0);
    CHECK_EQUAL(api.dsm->create(one.actor, 64, &dropped), 0);
    face_stage::checkRows({
        CALLED(api.dsm->pin_mapping(one.actor, kept.handle), 0),
        CALLED(api.dsm->pin_mapping(one.actor, dropped.handle), 0),
        CALLED(api.dsm->unpin_mapping(one.actor, dropped.handle), 0),
        CALLED(api.dsm->release_unpinned(one.actor), 0),
        CALLED(api.dsm->find_mapping(one.actor, dropped.handle, &again), BGWORKER_ERR_NOT_MAPPED),
        CALLED(api.dsm->find_mapping(one.actor, kept.handle, &again), 0),
        CALLED(api.dsm->pin_segment(one.actor, dropped.handle), BGWORKER_ERR_NOT_MAPPED),
        CALLED(api.dsm->unpin_segment(one.actor, kept.handle), BGWORKER_ERR_NOT_PINNED),
        CALLED(api.dsm->pin_segment(one.actor, kept.handle), 0),
        CALLED(api.dsm->pin_segment(one.actor, kept.handle), BGWORKER_ERR_ALREADY_PINNED),
        CALLED(api.dsm->unpin_segment(one.actor, 0), BGWORKER_ERR_UNKNOWN_SEGMENT),
    });
  }
  Stage::Own two(stage, 0);
  face_stage::checkRows({
      CALLED(api.dsm->attach(two.actor, dropped.handle, &again), BGWORKER_ERR_SEGMENT_GONE),
      CALLED(api.dsm->attach(two.actor, kept.handle, &again), 0),
      CALLED(api.dsm->detach(two.actor, kept.handle), 0),
      // Without being attached.
      CALLED(api.dsm->unpin_segment(two.actor, kept.handle), 0),
      CALLED(api.dsm->attach(two.actor, kept.handle, &again), BGWORKER_ERR_SEGMENT_GONE),
      CALLED(api.dsm->unpin_segment(two.actor, kept.handle), BGWORKER_ERR_UNKNOWN_SEGMENT),
  });
}

TEST("callbacks run once, the latest first, before the memory goes; cancelled ones do not") {
  Stage stage;
  Stage::Own one(stage, 0);
  Trace trace;
  Mark a{&trace, 'a'}, b{&trace, 'b'}, c{&trace, 'c'};
  bgworker_segment segment{};
  CHECK_EQUAL(api.dsm->create(one.actor, 64, &segment), 0);
  auto on = [&](Mark& mark) {
    return api.dsm->on_detach(one.actor, segment.handle, Mark::call, &mark);
  };
  auto cancel = [&](Mark& mark) {
    return api.dsm->cancel_on_detach(one.actor, segment.handle, Mark::call, &mark);
  };
  face_stage::checkRows({
      CALLED(on(a), 0),
      CALLED(on(b), 0),
      CALLED(on(c), 0),
      CALLED(on(b), 0),
      CALLED(cancel(b), 0),
      CALLED(on(a), 0),
      CALLED(api.dsm->on_detach(one.actor, segment.handle, nullptr, &a),
             BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.dsm->detach(one.actor, segment.handle), 0),
      CALLED(on(a), BGWORKER_ERR_NOT_MAPPED),
      CALLED(cancel(a), BGWORKER_ERR_NOT_MAPPED),
  });
  // The latest b was cancelled, not the first.
  CHECK_EQUAL(trace.order, "acba");
  CHECK(trace.wasMapped);
  CHECK_EQUAL(api.dsm->create(one.actor, 64, &segment), 0);
  CHECK_EQUAL(on(a), 0);
  CHECK_EQUAL(cancel(b), BGWORKER_ERR_NO_SUCH_CALLBACK);
  CHECK_EQUAL(cancel(a), 0);
  CHECK_EQUAL(cancel(a), BGWORKER_ERR_NO_SUCH_CALLBACK);
}

TEST("at the end the latest segment goes first, and callbacks may call everything") {
  Stage stage;
  Trace trace;
  struct Call {
    Trace* trace;
    bgworker_segment other;
    static void detachOther(bgworker_context* context, const bgworker_segment* segment, void* arg) {
      auto* call = static_cast<Call*>(arg);
      bgworker_segment fresh{};
      call->trace->order += api.dsm->detach(context, call->other.handle) == 0 ? '+' : '-';
      call->trace->order += api.dsm->detach(context, segment->handle) == 0 ? '+' : '-';
      call->trace->order += api.dsm->create(context, 64, &fresh) == 0 ? '+' : '-';
    }
  };
  Call call{&trace, {}};
  Mark first{&trace, '1'}, second{&trace, '2'}, third{&trace, '3'};
  {
    Stage::Own one(stage, 0);
    bgworker_segment segments[3];
    for (bgworker_segment& segment : segments) {
      CHECK_EQUAL(api.dsm->create(one.actor, 64, &segment), 0);
    }
    auto on = [&](int which, bgworker_detach_callback callback, void* arg) {
      CHECK_EQUAL(api.dsm->on_detach(one.actor, segments[which].handle, callback, arg), 0);
    };
    on(0, Mark::call, &first);
    on(1, Mark::call, &second);
    on(2, Mark::call, &third);
    call.other = segments[0];
    on(2, Call::detachOther, &call);
    one.actor.end();
    // Detaching the first runs its callback; the third's own rest runs inside its own detach.
    CHECK_EQUAL(trace.order, "1+3++2");
    CHECK_EQUAL(one.attached.segments.attachedCount(), 0U);
  }
  CHECK(trace.wasMapped);
}

WORLD_TEST("a named segment is initialised once, whoever comes first") {
  Stage stage;
  stage.run(world, 8, [](Actor& actor) {
    auto initialise = [](bgworker_context*, void* address, size_t, void*) {
      auto* words = static_cast<std::atomic<uint32_t>*>(address);
      words[1].fetch_add(1);
      return 0;
    };
    bgworker_segment segment{}, again{};
    const int found = api.dsm->named(actor, "cache", 8192, initialise, nullptr, &segment);
    CHECK(found == 0 || found == 1);
    auto* words = static_cast<std::atomic<uint32_t>*>(segment.address);
    CHECK_EQUAL(words[1].load(), 1U);
    words[0].fetch_add(1);
    CHECK_EQUAL(api.dsm->named(actor, "cache", 8192, initialise, nullptr, &again), 1);
    CHECK(again.address == segment.address);
    CHECK_EQUAL(api.dsm->release_unpinned(actor), 0);
    CHECK_EQUAL(api.dsm->find_mapping(actor, segment.handle, &again), 0);
  });
  Stage::Own late(stage, 0);
  bgworker_segment segment{};
  CHECK_EQUAL(api.dsm->named(late.actor, "cache", 8192, nullptr, nullptr, &segment), 1);
  CHECK_EQUAL(static_cast<std::atomic<uint32_t>*>(segment.address)[0].load(), 8U);
}

TEST("a named segment is refused for a wrong name, size or kind, and after a failure made anew") {
  Stage stage;
  Stage::Own one(stage, 0);
  bgworker_segment segment{};
  bgworker_hash_handle hash{};
  const std::string tooLong(64, 'n');
  auto named = [&](const char* name, size_t bytes) {
    return api.dsm->named(one.actor, name, bytes, nullptr, nullptr, &segment);
  };
  Initialiser failing{.answer = -1}, good;
  face_stage::checkRows({
      CALLED(named("", 64), BGWORKER_ERR_NAME_EMPTY),
      CALLED(named(tooLong.c_str(), 64), BGWORKER_ERR_NAME_TOO_LONG),
      CALLED(named("one", 0), BGWORKER_ERR_SIZE_ZERO),
      CALLED(named("one", 64), 0),
      CALLED(named("one", 65), BGWORKER_ERR_SEGMENT_SIZE_WRONG),
      CALLED(api.hash->open(one.actor, "one", 1 << 20, 8, 8, &hash), BGWORKER_ERR_KIND_WRONG),
      CALLED(api.hash->open(one.actor, "table", 1 << 20, 8, 8, &hash), 0),
      CALLED(named("table", 1 << 20), BGWORKER_ERR_KIND_WRONG),
      CALLED(api.dsm->named(one.actor, "bad", 64, Initialiser::call, &failing, &segment),
             BGWORKER_ERR_INITIALISER_FAILED),
      CALLED(api.dsm->named(one.actor, "bad", 64, Initialiser::call, &good, &segment), 0),
      CALLED(named("bad", 64), 1),
  });
  CHECK_EQUAL(good.calls, 1);
}

TEST("a place is one only inside a structure or a mapped segment, whole and aligned") {
  Stage stage;
  Stage::Own one(stage, 0);
  void* address = nullptr;
  CHECK_EQUAL(api.shmem->init_struct(one.actor, "locks", 64, nullptr, nullptr, &address), 0);
  bgworker_segment segment{}, gone{};
  CHECK_EQUAL(api.dsm->create(one.actor, 100, &segment), 0);
  CHECK_EQUAL(api.dsm->create(one.actor, 4096, &gone), 0);
  bgworker_lwlock local{};
  auto at = [&](const void* base, ptrdiff_t offset) {
    auto* place = const_cast<char*>(static_cast<const char*>(base)) + offset;
    return api.lwlock->init(one.actor, reinterpret_cast<bgworker_lwlock*>(place));
  };
  const void* fixed = stage.area.address();
  const auto bytes = static_cast<ptrdiff_t>(stage.area.bytes());
  face_stage::checkRows({
      CALLED(at(address, 0), 0),
      CALLED(at(address, 40), 0),
      CALLED(at(address, 44), BGWORKER_ERR_BAD_PLACE),
      CALLED(at(address, 2), BGWORKER_ERR_BAD_PLACE),
      CALLED(at(segment.address, 76), 0),
      CALLED(at(segment.address, 80), BGWORKER_ERR_BAD_PLACE),
      CALLED(at(segment.address, -4), BGWORKER_ERR_BAD_PLACE),
      CALLED(at(segment.address, 4096), BGWORKER_ERR_BAD_PLACE),
      CALLED(at(gone.address, 0), 0),
      CALLED(api.dsm->detach(one.actor, gone.handle), 0),
      CALLED(at(gone.address, 0), BGWORKER_ERR_BAD_PLACE),
      CALLED(at(&local, 0), BGWORKER_ERR_BAD_PLACE),
      // The area's own parts: its header, the processes, the directory; and past its end.
      CALLED(at(fixed, 0), BGWORKER_ERR_BAD_PLACE),
      CALLED(at(fixed, static_cast<ptrdiff_t>(stage.area.processTableOffset())),
             BGWORKER_ERR_BAD_PLACE),
      CALLED(at(fixed, static_cast<ptrdiff_t>(stage.area.layout().directory.offset)),
             BGWORKER_ERR_BAD_PLACE),
      CALLED(at(fixed, bytes), BGWORKER_ERR_BAD_PLACE),
  });
}
