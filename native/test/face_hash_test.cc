// face_hash_test.cc: hash tables by way of the C table.

#include <cstring>

#include "test/face_stage.h"

using namespace bgworker;
using face_stage::Actor;
using face_stage::api;
using face_stage::Stage;

namespace {

constexpr size_t kBytes = 4 << 20;

bgworker_hash_handle openTable(bgworker_context* context) {
  bgworker_hash_handle handle{};
  CHECK_EQUAL(api.hash->open(context, "table", kBytes, 16, 32, &handle), 0);
  return handle;
}

/** All verbs of a table, by their errors. */
std::vector<face_stage::Row> callAll(bgworker_context* context, bgworker_hash_handle table,
                                     int wanted) {
  char value[32];
  size_t bytes = sizeof value;
  uint64_t count = 0;
  auto visit = [](void*, size_t, int, void*) {};
  auto scan = [](const void*, size_t, void*, size_t, void*) { return 0; };
  return {
      CALLED(api.hash->find(context, table, "k", 1, value, &bytes), wanted),
      CALLED(api.hash->insert(context, table, "k", 1, "v", 1, 1), wanted),
      CALLED(api.hash->remove(context, table, "k", 1), wanted),
      CALLED(api.hash->visit(context, table, "k", 1, visit, nullptr), wanted),
      CALLED(api.hash->visit_or_insert(context, table, "k", 1, 8, visit, nullptr), wanted),
      CALLED(api.hash->scan(context, table, scan, nullptr), wanted),
      CALLED(api.hash->count(context, table, &count), wanted),
  };
}

}  // namespace

TEST("insert, replace, find, remove, count") {
  Stage stage;
  Stage::Own one(stage, 0);
  bgworker_context* c = one.actor;
  const bgworker_hash_handle table = openTable(c);
  char value[32] = "untouched";
  size_t bytes = sizeof value;
  uint64_t count = 0;
  CHECK_EQUAL(api.hash->find(c, table, "key", 3, value, &bytes), 0);
  CHECK_EQUAL(bytes, sizeof value);
  CHECK_EQUAL(api.hash->insert(c, table, "key", 3, "first", 6, 0), 1);
  CHECK_EQUAL(api.hash->insert(c, table, "key", 3, "other", 6, 0), 0);
  CHECK_EQUAL(api.hash->find(c, table, "key", 3, value, &bytes), 1);
  CHECK_EQUAL(std::string(value), "first");
  CHECK_EQUAL(bytes, 6U);
  CHECK_EQUAL(api.hash->insert(c, table, "key", 3, "longer than it", 15, 1), 0);
  bytes = 6;
  CHECK_EQUAL(api.hash->find(c, table, "key", 3, value, &bytes), BGWORKER_ERR_BUFFER_TOO_SMALL);
  CHECK_EQUAL(bytes, 15U);
  CHECK_EQUAL(std::string(value), "first");
  CHECK_EQUAL(api.hash->find(c, table, "key", 3, value, &bytes), 1);
  CHECK_EQUAL(std::string(value), "longer than it");
  CHECK_EQUAL(api.hash->insert(c, table, "empty", 5, nullptr, 0, 1), 1);
  bytes = 0;
  CHECK_EQUAL(api.hash->find(c, table, "empty", 5, nullptr, &bytes), 1);
  CHECK_EQUAL(api.hash->count(c, table, &count), 0);
  CHECK_EQUAL(count, 2U);
  CHECK_EQUAL(api.hash->remove(c, table, "key", 3), 1);
  CHECK_EQUAL(api.hash->remove(c, table, "key", 3), 0);
}

TEST("a table is opened once per process, and refuses what is too long") {
  Stage stage;
  Stage::Own one(stage, 0), two(stage, 1);
  bgworker_context* c = one.actor;
  const bgworker_hash_handle table = openTable(c);
  bgworker_hash_handle other{};
  char long17[17] = {}, value[40] = {};
  size_t bytes = sizeof value;
  auto open = [&](bgworker_context* who, const char* name, size_t size, uint32_t keys,
                  uint32_t values) {
    return api.hash->open(who, name, size, keys, values, &other);
  };
  face_stage::checkRows({
      CALLED(open(c, "table", kBytes, 16, 32), BGWORKER_ERR_ALREADY_MAPPED),
      CALLED(open(two.actor, "table", kBytes, 17, 32), BGWORKER_ERR_PARAMETERS_WRONG),
      CALLED(open(two.actor, "table", kBytes / 2, 16, 32), BGWORKER_ERR_SEGMENT_SIZE_WRONG),
      CALLED(open(two.actor, "table", kBytes, 16, 32), 0),
      CALLED(open(c, "small", 1000, 16, 32), BGWORKER_ERR_SIZE_TOO_LARGE),
      CALLED(open(c, "keys", kBytes, 0, 32), BGWORKER_ERR_KEY_LENGTH),
      CALLED(open(c, "keys", kBytes, 1025, 32), BGWORKER_ERR_KEY_LENGTH),
      CALLED(open(c, "values", kBytes, 16, 1 << 21), BGWORKER_ERR_VALUE_LENGTH),
      CALLED(open(c, "", kBytes, 16, 32), BGWORKER_ERR_NAME_EMPTY),
      CALLED(api.hash->find(c, table, long17, 17, value, &bytes), BGWORKER_ERR_KEY_LENGTH),
      CALLED(api.hash->find(c, table, "", 0, value, &bytes), BGWORKER_ERR_KEY_LENGTH),
      CALLED(api.hash->find(c, table, nullptr, 3, value, &bytes), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.hash->find(c, table, "k", 1, nullptr, &bytes), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.hash->find(c, table, "k", 1, value, nullptr), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.hash->insert(c, table, "k", 1, value, 33, 1), BGWORKER_ERR_VALUE_LENGTH),
      CALLED(api.hash->insert(c, table, "k", 1, value, SIZE_MAX, 1), BGWORKER_ERR_VALUE_LENGTH),
      CALLED(api.hash->insert(c, table, "k", 1, nullptr, 1, 1), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.hash->visit(c, table, "k", 1, nullptr, nullptr), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.hash->visit_or_insert(c, table, "k", 1, 8, nullptr, nullptr),
             BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.hash->scan(c, table, nullptr, nullptr), BGWORKER_ERR_INVALID_ARGUMENT),
      CALLED(api.hash->count(c, table, nullptr), BGWORKER_ERR_INVALID_ARGUMENT),
  });
  // A process's handles are its own, whatever their numbers.
  face_stage::checkRows(callAll(c, {table.id + 1}, BGWORKER_ERR_BAD_HANDLE));
  face_stage::checkRows(callAll(c, {table.id + (uint64_t{1} << 32)}, BGWORKER_ERR_BAD_HANDLE));
}

TEST("a value that is full is replaced or refused, and a full heap says so") {
  Stage stage;
  Stage::Own one(stage, 0);
  bgworker_hash_handle table{};
  CHECK_EQUAL(api.hash->open(one.actor, "small", 1 << 20, 8, 8192, &table), 0);
  std::vector<char> value(8192, 'v');
  int result = 1;
  uint64_t key = 0;
  for (; result == 1 && key < 200; ++key) {
    result = api.hash->insert(one.actor, table, &key, sizeof key, value.data(), value.size(), 0);
  }
  CHECK_EQUAL(result, BGWORKER_ERR_HEAP_FULL);
}

TEST("while a callback looks at an entry, no table can be used and no segment detached") {
  Stage stage;
  Stage::Own one(stage, 0);
  bgworker_context* c = one.actor;
  struct Inside {
    bgworker_context* context;
    bgworker_hash_handle table;
    bgworker_segment segment{};
    int visits = 0;
    void check() {
      ++visits;
      face_stage::checkRows(callAll(context, table, BGWORKER_ERR_ENTRY_HELD));
      bgworker_hash_handle other{};
      face_stage::checkRows({
          CALLED(api.hash->open(context, "other", kBytes, 8, 8, &other), BGWORKER_ERR_ENTRY_HELD),
          CALLED(api.dsm->detach(context, segment.handle), BGWORKER_ERR_ENTRY_HELD),
          CALLED(api.dsm->release_unpinned(context), BGWORKER_ERR_ENTRY_HELD),
      });
    }
  };
  Inside inside{c, openTable(c)};
  CHECK_EQUAL(api.dsm->create(c, 64, &inside.segment), 0);
  auto visit = [](void* value, size_t bytes, int inserted, void* arg) {
    auto* self = static_cast<Inside*>(arg);
    if (bytes != 8) throw harness::Failure{"a value has 8 bytes"};
    if (inserted != (self->visits == 0)) throw harness::Failure{"the first visit inserts"};
    self->check();
    ++*static_cast<uint64_t*>(value);
  };
  auto scan = [](const void* key, size_t keyBytes, void* value, size_t bytes, void* arg) {
    if (keyBytes != 4 || std::memcmp(key, "hits", 4) != 0 || bytes != 8) return 5;
    static_cast<Inside*>(arg)->check();
    return *static_cast<uint64_t*>(value) == 3 ? 0 : 6;
  };
  face_stage::checkRows({
      CALLED(api.hash->visit(c, inside.table, "hits", 4, visit, &inside), 0),
      CALLED(api.hash->visit_or_insert(c, inside.table, "hits", 4, 8, visit, &inside), 1),
      CALLED(api.hash->visit_or_insert(c, inside.table, "hits", 4, 16, visit, &inside), 0),
      CALLED(api.hash->visit(c, inside.table, "hits", 4, visit, &inside), 1),
      CALLED(api.hash->scan(c, inside.table, scan, &inside), 0),
  });
  CHECK_EQUAL(inside.visits, 4);
  CHECK_EQUAL(api.hash->insert(c, inside.table, "more", 4, "12345678", 8, 0), 1);
  // One that is ended early.
  CHECK_EQUAL(api.hash->scan(
                  c, inside.table, [](auto...) { return 1; }, nullptr),
              1);
  CHECK_EQUAL(api.dsm->detach(c, inside.segment.handle), 0);
}

WORLD_TEST("eight who count in one table lose nothing") {
  const uint32_t rounds = worlds::scaled(20000);
  Stage stage;
  stage.run(world, 8, [&](Actor& actor) {
    const bgworker_hash_handle table = openTable(actor);
    auto addOne = [](void* value, size_t, int, void*) { ++*static_cast<uint64_t*>(value); };
    for (uint32_t i = 0; i < rounds; ++i) {
      const uint32_t key = i % 10;
      CHECK(api.hash->visit_or_insert(actor, table, &key, sizeof key, 8, addOne, nullptr) >= 0);
    }
  });
  Stage::Own late(stage, 0);
  const bgworker_hash_handle table = openTable(late.actor);
  uint64_t sum = 0;
  auto add = [](const void*, size_t, void* value, size_t, void* arg) {
    *static_cast<uint64_t*>(arg) += *static_cast<uint64_t*>(value);
    return 0;
  };
  // The last attacher had gone, but the registry's segments are pinned.
  CHECK_EQUAL(api.hash->scan(late.actor, table, add, &sum), 0);
  CHECK_EQUAL(sum, uint64_t{8} * rounds);
}
