// hash_test.cc: the shared hash table against a model, with eight writers, and while it grows.

#include "core/shm/hash.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "test/shared_area.h"

using namespace bgworker;
using namespace shared_area;

namespace {

constexpr HashShape kShape{32, 256};

std::span<const std::byte> bytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
std::string textOf(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/** A table in memory of its own. */
struct Table {
  Memory memory;
  Heap heap;
  Hash hash;

  explicit Table(size_t bytes = 16 << 20, HashShape shape = kShape)
      : memory(bytes), heap(Heap::format(memory.bytes)), hash(must(Hash::create(heap, shape))) {}
  /** As another process has it. */
  Hash attach(HashShape shape = kShape) {
    return must(Hash::attach(must(Heap::attach(memory.bytes)), hash.pointer(), shape));
  }
};

std::map<std::string, std::string> contentOf(Hash& hash) {
  std::map<std::string, std::string> content;
  Hash::Scan scan(hash);
  for (;;) {
    std::optional<HashItemView> item = must(scan.next());
    if (!item.has_value()) return content;
    const bool isNew = content.emplace(textOf(item->key), textOf(item->value)).second;
    CHECK(isNew);
  }
}

void put(Hash& hash, std::string_view key, std::string_view value) {
  HashEntry entry = must(hash.findOrInsert(bytesOf(key), 0));
  must(entry.assign(bytesOf(value)));
}

std::atomic<uint64_t>& counterIn(HashEntry& entry) {
  CHECK_EQUAL(entry.value().size(), 8U);
  CHECK_EQUAL(reinterpret_cast<uintptr_t>(entry.value().data()) % 8, 0U);
  return *reinterpret_cast<std::atomic<uint64_t>*>(entry.value().data());
}

}  // namespace

TEST("insert, find, assign, erase") {
  Table table;
  CHECK(!must(table.hash.find(bytesOf("a"))).exists());
  {
    HashEntry entry = must(table.hash.findOrInsert(bytesOf("a"), 3));
    CHECK(entry.exists() && entry.inserted() && textOf(entry.key()) == "a");
    CHECK_EQUAL(textOf(entry.value()), std::string(3, '\0'));
    std::memcpy(entry.value().data(), "xyz", 3);
  }
  {
    HashEntry entry = must(table.hash.findOrInsert(bytesOf("a"), 200));
    CHECK(!entry.inserted() && textOf(entry.value()) == "xyz");
    must(entry.assign(bytesOf(std::string(256, 'l'))));
    CHECK_EQUAL(textOf(entry.value()), std::string(256, 'l'));
    must(entry.assign(bytesOf("s")));
    CHECK_REFUSED(entry.assign(bytesOf(std::string(257, 'x'))), valueLength);
    CHECK_EQUAL(textOf(entry.value()), "s");
    must(entry.assign(entry.value()));
    entry.release();
    CHECK(!entry.exists());
  }
  CHECK_EQUAL(textOf(must(table.hash.find(bytesOf("a"))).value()), "s");
  CHECK_EQUAL(table.hash.count(), 1U);
  CHECK(must(table.hash.erase(bytesOf("a"))));
  CHECK(!must(table.hash.erase(bytesOf("a"))));
  CHECK_EQUAL(table.hash.count(), 0U);
  put(table.hash, "b", "1");
  must(must(table.hash.find(bytesOf("b"))).erase());
  CHECK(!must(table.hash.find(bytesOf("b"))).exists());
}

TEST("keys and values beyond the table's limits are refused") {
  Table table;
  CHECK_REFUSED(table.hash.find({}), keyLength);
  CHECK_REFUSED(table.hash.findOrInsert(bytesOf(std::string(33, 'k')), 1), keyLength);
  CHECK_REFUSED(table.hash.findOrInsert(bytesOf("k"), 257), valueLength);
  CHECK_REFUSED(table.hash.erase({}), keyLength);
  put(table.hash, std::string(32, 'k'), std::string(256, 'v'));
  CHECK_REFUSED(Hash::create(table.heap, {0, 1}), keyLength);
  CHECK_REFUSED(Hash::create(table.heap, {kMostKeyBytes + 1, 1}), keyLength);
  CHECK_REFUSED(Hash::create(table.heap, {1, kMostValueBytes + 1}), valueLength);
  Table largest(16 << 20, {kMostKeyBytes, kMostValueBytes});
  put(largest.hash, std::string(kMostKeyBytes, 'k'), std::string(kMostValueBytes, 'v'));
  CHECK_EQUAL(contentOf(largest.hash).begin()->second.size(), size_t{kMostValueBytes});
}

TEST("random work against a model; destroyed, it leaves the heap as it was") {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    Table table;
    Random random(seed);
    std::map<std::string, std::string> model;
    for (int step = 0; step < 30000; ++step) {
      const std::string key = std::to_string(upTo(random, 6000));
      switch (random() % 4) {
        case 0: {
          CHECK_EQUAL(must(table.hash.erase(bytesOf(key))), model.erase(key) == 1);
          break;
        }
        case 1: {
          HashEntry entry = must(table.hash.find(bytesOf(key)));
          CHECK_EQUAL(entry.exists(), model.contains(key));
          if (entry.exists()) CHECK_EQUAL(textOf(entry.value()), model[key]);
          break;
        }
        default: {
          const std::string value(upTo(random, 256), static_cast<char>('a' + step % 26));
          put(table.hash, key, value);
          model[key] = value;
        }
      }
    }
    CHECK_EQUAL(table.hash.count(), model.size());
    CHECK(table.hash.bucketCount() >= 4096);
    CHECK(contentOf(table.hash) == model);
    must(table.hash.destroy());
    must(table.heap.trim());
    CHECK_EQUAL(table.heap.stats().usedBytes, 0U);
    CHECK_EQUAL(must(table.heap.countFreeRuns()), 1U);
  }
}

TEST("it grows at 75 % and never shrinks") {
  Table table;
  CHECK_EQUAL(table.hash.bucketCount(), 256U);
  uint64_t last = 256;
  for (uint64_t index = 0; index < 50000; ++index) {
    put(table.hash, std::to_string(index), "v");
    const uint64_t buckets = table.hash.bucketCount();
    // A partition may be crowded before the average is, but the average never goes far above.
    CHECK(buckets == last || buckets == 2 * last);
    CHECK(index + 1 <= buckets + 128);
    last = buckets;
  }
  CHECK(last >= 65536 && last <= 262144);
  for (uint64_t index = 0; index < 50000; ++index) {
    CHECK(must(table.hash.erase(bytesOf(std::to_string(index)))));
  }
  CHECK_EQUAL(table.hash.bucketCount(), last);
  CHECK_EQUAL(contentOf(table.hash).size(), 0U);
}

TEST("a full heap refuses the entry, keeps the old ones, and holds no lock") {
  Table table(512 << 10);
  uint64_t count = 0;
  for (;; ++count) {
    Result<HashEntry> entry = table.hash.findOrInsert(bytesOf(std::to_string(count)), 200);
    if (!entry.ok()) {
      CHECK_REFUSED(entry, heapFull);
      break;
    }
  }
  CHECK(count > 300);
  CHECK_EQUAL(table.hash.count(), count);
  CHECK_EQUAL(contentOf(table.hash).size(), count);
  {
    HashEntry entry = must(table.hash.find(bytesOf("5")));
    std::memset(entry.value().data(), 'o', 200);
    CHECK_REFUSED(entry.assign(bytesOf(std::string(256, 'x'))), heapFull);
    CHECK_EQUAL(textOf(entry.value()), std::string(200, 'o'));
  }
  for (uint64_t index = 0; index < 100; ++index) {
    CHECK(must(table.hash.erase(bytesOf(std::to_string(index)))));
  }
  CHECK(must(table.hash.findOrInsert(bytesOf("again"), 200)).inserted());
}

TEST("a scan may erase what it has returned, and may end early") {
  Table table;
  for (int index = 0; index < 1000; ++index) put(table.hash, std::to_string(index), "v");
  {
    Hash::Scan scan(table.hash);
    for (int step = 0; step < 10; ++step) CHECK(must(scan.next()).has_value());
  }
  put(table.hash, "the lock is free", "v");
  {
    Hash::Scan scan(table.hash);
    int step = 0;
    while (must(scan.next()).has_value()) {
      if (step++ % 2 == 0) must(scan.eraseCurrent());
    }
    CHECK(!must(scan.next()).has_value());
    CHECK_EQUAL(step, 1001);
  }
  CHECK_EQUAL(table.hash.count(), 500U);
  CHECK_EQUAL(contentOf(table.hash).size(), 500U);
}

TEST("a second entry before the first is released is a bug, and stops the process") {
  Table table;
  put(table.hash, "a", "1");
  pid_t child = processes::inChild([&] {
    close(STDERR_FILENO);
    HashEntry first = must(table.hash.find(bytesOf("a")));
    HashEntry second = must(table.hash.find(bytesOf("b")));
    return 0;
  });
  int status = processes::waitFor(child);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

TEST("a table with other parameters, and what is no table, are refused") {
  Table table;
  CHECK_REFUSED(Hash::attach(table.heap, table.hash.pointer(), {31, 256}), parametersWrong);
  CHECK_REFUSED(Hash::attach(table.heap, table.hash.pointer(), {32, 255}), parametersWrong);
  CHECK_REFUSED(Hash::attach(table.heap, 0, kShape), foreign);
  CHECK_REFUSED(Hash::attach(table.heap, table.hash.pointer() + 8, kShape), foreign);
  CHECK_REFUSED(Hash::attach(table.heap, table.hash.pointer() + 16, kShape), foreign);
  CHECK_REFUSED(Hash::attach(table.heap, (16 << 20) - 64, kShape), foreign);
  auto& control = *static_cast<SharedHashControl*>(
      table.heap.address(table.hash.pointer(), sizeof(SharedHashControl)));
  control.magic ^= 1;
  CHECK_REFUSED(Hash::attach(table.heap, table.hash.pointer(), kShape), foreign);
  control.magic ^= 1;
  control.version += 1;
  CHECK_REFUSED(Hash::attach(table.heap, table.hash.pointer(), kShape), foreign);
  control.version -= 1;
  // Damage behind: buckets outside, a size that cannot be, a chain that is a circle.
  put(table.hash, "a", "1");
  const uint64_t buckets = control.buckets.load();
  control.buckets = (16 << 20) - 8;
  CHECK_REFUSED(table.hash.find(bytesOf("a")), corrupt);
  control.buckets = buckets;
  control.sizeLog2 = 40;
  CHECK_REFUSED(table.hash.find(bytesOf("a")), corrupt);
  control.sizeLog2 = kFirstSizeLog2;
  HashItemView item{};
  {
    Hash::Scan scan(table.hash);
    item = *must(scan.next());
  }
  item.item->next = item.pointer;
  {
    Hash::Scan scan(table.hash);
    Result<std::optional<HashItemView>> more = scan.next();
    while (more.ok() && more.value().has_value()) more = scan.next();
    CHECK_REFUSED(more, corrupt);
  }
  // An item whose head is the heap's last bytes, and whose key and value would lie behind it.
  const HeapPointer last = (16 << 20) - sizeof(SharedHashItem);
  auto* head = static_cast<SharedHashItem*>(table.heap.address(last, sizeof(SharedHashItem)));
  *head = {0, 0, 1, 0, 0};
  item.item->next = last;
  {
    Hash::Scan scan(table.hash);
    CHECK(must(scan.next()).has_value());
    CHECK_REFUSED(scan.next(), corrupt);
  }
  item.item->next = 0;
  item.item->keyBytes = 33;
  CHECK_REFUSED(table.hash.find(bytesOf("a")), corrupt);
}

TEST_IN_BOTH_WORLDS("eight writers count in shared entries while the table grows; none is lost") {
  Table table;
  constexpr uint64_t kKeys = 3000, kRounds = 4;
  together(world, 8, [&](int self) {
    Hash hash = table.attach();
    Random random(static_cast<uint64_t>(self) + 1);
    for (uint64_t step = 0; step < kKeys * kRounds; ++step) {
      // Each key equally often, in an order of one's own.
      const uint64_t key = (step * 7919 + static_cast<uint64_t>(self) * 371) % kKeys;
      HashEntry entry = must(hash.findOrInsert(bytesOf("key " + std::to_string(key)), 8));
      // Not atomically: the partition's lock is what keeps the others away.
      uint64_t value = 0;
      std::memcpy(&value, entry.value().data(), 8);
      ++value;
      std::memcpy(entry.value().data(), &value, 8);
    }
  });
  CHECK_EQUAL(table.hash.count(), kKeys);
  CHECK(table.hash.bucketCount() >= 2048);
  for (uint64_t key = 0; key < kKeys; ++key) {
    HashEntry entry = must(table.hash.find(bytesOf("key " + std::to_string(key))));
    CHECK(entry.exists());
    CHECK_EQUAL(counterIn(entry).load(), 8 * kRounds);
  }
}

TEST_IN_BOTH_WORLDS("eight writers, each with a model of its own keys, and scans in between") {
  Table table(32 << 20);
  Memory outside(4096);
  auto& total = *reinterpret_cast<std::atomic<uint64_t>*>(outside.bytes.data());
  together(world, 8, [&](int self) {
    Hash hash = table.attach();
    Random random(static_cast<uint64_t>(self) + 100);
    std::map<std::string, std::string> model;
    const std::string own = std::to_string(self) + ":";
    for (int step = 0; step < 4000; ++step) {
      const std::string key = own + std::to_string(upTo(random, 800));
      if (random() % 3 == 0) {
        CHECK_EQUAL(must(hash.erase(bytesOf(key))), model.erase(key) == 1);
      } else {
        const std::string value(upTo(random, 200), static_cast<char>('a' + self));
        put(hash, key, value);
        model[key] = value;
      }
      if (step % 1000 != 999) continue;
      // Nobody else touches one's own keys: a scan sees each of them, and each once.
      std::map<std::string, std::string> mine = contentOf(hash);
      std::erase_if(mine, [&](const auto& item) { return !item.first.starts_with(own); });
      CHECK(mine == model);
    }
    for (const auto& [key, value] : model) {
      HashEntry entry = must(hash.find(bytesOf(key)));
      CHECK(entry.exists() && textOf(entry.value()) == value);
    }
    total.fetch_add(model.size());
  });
  CHECK_EQUAL(table.hash.count(), total.load());
  CHECK_EQUAL(contentOf(table.hash).size(), total.load());
  must(table.hash.destroy());
  must(table.heap.trim());
  CHECK_EQUAL(must(table.heap.countFreeRuns()), 1U);
}
