#include <unistd.h>

#include <cstring>

#include "test/harness.h"

int main(int argc, char** argv) {
  int passed = 0, failed = 0;
  for (const harness::Test& test : harness::tests()) {
    if (argc > 1 && std::strstr(test.name, argv[1]) == nullptr) continue;
    alarm(60);
    try {
      test.body();
      ++passed;
      std::printf("ok %s\n", test.name);
    } catch (const harness::Failure& failure) {
      ++failed;
      std::printf("not ok %s\n    %s\n", test.name, failure.what.c_str());
    }
    std::fflush(stdout);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}
