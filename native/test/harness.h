// harness.h: the few lines of a test framework that these tests need; nothing to install.
//
//     TEST("a slot shows what was published") { CHECK_EQUAL(view.pid, 42); }
//
// A failed check ends its test. main(), in harness_main.cc, runs all tests, or those whose name
// contains its argument, prints a line for each and a count, and is killed if one of them takes
// longer than a minute.

#pragma once

#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

namespace harness {

struct Test {
  const char* name;
  void (*body)();
};

inline std::vector<Test>& tests() {
  static std::vector<Test> all;
  return all;
}

struct Registration {
  Registration(const char* name, void (*body)()) { tests().push_back({name, body}); }
};

struct Failure {
  std::string what;
};

template <typename A, typename B>
void checkEqual(const A& got, const B& wanted, const char* text, int line) {
  if (got == wanted) return;
  std::ostringstream out;
  out << "line " << line << ": " << text << " is " << got << ", wanted " << wanted;
  throw Failure{out.str()};
}

inline void check(bool holds, const char* text, int line) {
  if (!holds) throw Failure{"line " + std::to_string(line) + ": " + text};
}

}  // namespace harness

#define HARNESS_JOIN_(a, b) a##b
#define HARNESS_JOIN(a, b) HARNESS_JOIN_(a, b)
#define TEST(name)                                                          \
  static void HARNESS_JOIN(test_, __LINE__)();                              \
  static const harness::Registration HARNESS_JOIN(registration_, __LINE__)( \
      name, HARNESS_JOIN(test_, __LINE__));                                 \
  static void HARNESS_JOIN(test_, __LINE__)()
#define CHECK(condition) harness::check(static_cast<bool>(condition), #condition, __LINE__)
#define CHECK_EQUAL(got, wanted) harness::checkEqual(got, wanted, #got, __LINE__)
