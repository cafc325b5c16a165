// standard_library.cc: the one function of libstdc++ that is newer than the oldest Node's systems.
//
// Since GCC 11 the headers call it where a count overflows; libstdc++ has it since then as well
// (GLIBCXX_3.4.29), so without this definition the addon would not load on Debian 11 or RHEL 8.
// Core has no exceptions: the overflow is a bug of ours.

#include "core/base/assert.h"

namespace std {

[[noreturn]] void __throw_bad_array_new_length();
void __throw_bad_array_new_length() {
  bgworker::failAssertion("count * size", "an allocation's size fits in memory", __FILE__,
                          __LINE__);
}

}  // namespace std
