// activity_test.cc: what a slot says of itself is whole, bounded, and never keeps a reader waiting.

#include <cstring>
#include <thread>

#include "core/shm/activity_table.h"
#include "core/shm/main_area.h"
#include "test/processes.h"
#include "test/shared_area.h"

using namespace bgworker;

namespace {

constexpr uint32_t kSlots = 4;

struct Table {
  shared_area::Memory memory{ActivityTable::bytesFor(kSlots)};
  ActivityTable table{memory.bytes.data(), kSlots};

  SharedActivity& at(uint32_t slot) {
    return reinterpret_cast<SharedActivity*>(memory.bytes.data())[slot];
  }
};

std::string show(const std::optional<ActivityView>& view) {
  return view.has_value() ? view->database + "|" + view->activity : "in the middle";
}

#if defined(__SANITIZE_THREAD__)
constexpr int kReports = 20000;
#else
constexpr int kReports = 200000;
#endif

/** The activity that is reported together with a database: as long as it is told, of one letter. */
std::string activityFor(int number) {
  return std::string(static_cast<size_t>(number % 900), static_cast<char>('a' + number % 26));
}

void reportMany(const ActivityTable& table) {
  for (int number = 1; number <= kReports; ++number) {
    table.report(1, std::to_string(number), activityFor(number));
  }
}

/** Reads until the last report is there; how often the two did not belong together. */
int countMixtures(const ActivityTable& table) {
  int mixtures = 0;
  for (int number = 0; number < kReports;) {
    std::optional<ActivityView> view = table.read(1);
    if (!view.has_value() || view->database.empty()) continue;
    number = std::stoi(view->database);
    if (view->activity != activityFor(number)) ++mixtures;
  }
  return mixtures;
}

}  // namespace

TEST("a zeroed table says nothing, and each slot says its own") {
  Table made;
  CHECK_EQUAL(show(made.table.read(0)), "|");
  made.table.report(0, "app", "SELECT 1");
  made.table.report(3, "", "idle");
  CHECK_EQUAL(show(made.table.read(0)), "app|SELECT 1");
  CHECK_EQUAL(show(made.table.read(1)), "|");
  CHECK_EQUAL(show(made.table.read(3)), "|idle");
  made.table.clear(0);
  CHECK_EQUAL(show(made.table.read(0)), "|");
}

TEST("what is too long is cut off; NULs and any other bytes are only bytes") {
  Table made;
  const std::string database(kDatabaseMaxBytes + 7, 'd');
  const std::string activity(kActivityMaxBytes + 7, 'a');
  made.table.report(2, database, activity);
  CHECK_EQUAL(show(made.table.read(2)),
              database.substr(0, kDatabaseMaxBytes) + "|" + activity.substr(0, kActivityMaxBytes));
  CHECK_EQUAL(show(made.table.read(1)), "|");
  CHECK_EQUAL(show(made.table.read(3)), "|");
  const std::string odd("\0\xff\x80x", 4);
  made.table.report(2, odd, odd);
  CHECK_EQUAL(show(made.table.read(2)), odd + "|" + odd);
}

TEST("a writer that died in the middle: the reader gives up, and clear() makes it whole") {
  Table made;
  made.table.report(1, "app", "SELECT 1");
  made.at(1).changes.fetch_add(1);
  CHECK_EQUAL(show(made.table.read(1)), "in the middle");
  made.table.clear(1);
  CHECK_EQUAL(show(made.table.read(1)), "|");
  made.table.report(1, "app", "SELECT 2");
  CHECK_EQUAL(show(made.table.read(1)), "app|SELECT 2");
}

TEST("lengths that lie are bounded by what there is room for") {
  Table made;
  made.table.report(3, "app", "SELECT 1");
  made.at(3).databaseBytes.store(UINT32_MAX);
  made.at(3).activityBytes.store(UINT32_MAX);
  std::optional<ActivityView> view = made.table.read(3);
  CHECK(view.has_value());
  CHECK_EQUAL(view->database.size(), kDatabaseMaxBytes);
  CHECK_EQUAL(view->activity.size(), kActivityMaxBytes);
}

TEST("a main area has a table for all of its slots, behind the processes") {
  Result<MainArea> area = MainArea::create(kSlots);
  CHECK(area.ok());
  ActivityTable table = area.value().activities();
  table.report(kSlots - 1, "app", std::string(kActivityMaxBytes, 'x'));
  CHECK_EQUAL(area.value().read(kSlots - 1).pid, 0);
  const AreaLayout& layout = area.value().layout();
  CHECK(area.value().processTableOffset() + kSlots * (kProcessBytes + sizeof(SharedActivity)) <=
        layout.directory.offset);
  CHECK(Directory::attach(
            area.value().fixed().subspan(layout.directory.offset, layout.directory.bytes))
            .ok());
}

TEST("database and activity that are read belong together: threads") {
  Table made;
  int mixtures[2] = {-1, -1};
  std::thread one([&] { mixtures[0] = countMixtures(made.table); });
  std::thread two([&] { mixtures[1] = countMixtures(made.table); });
  reportMany(made.table);
  one.join();
  two.join();
  CHECK_EQUAL(mixtures[0], 0);
  CHECK_EQUAL(mixtures[1], 0);
}

TEST("database and activity that are read belong together: processes") {
  Table made;
  pid_t readers[2];
  for (pid_t& reader : readers) {
    reader = processes::inChild([&] { return countMixtures(made.table) == 0 ? 0 : 1; });
  }
  reportMany(made.table);
  for (pid_t reader : readers) CHECK_EQUAL(processes::waitFor(reader), 0);
}
