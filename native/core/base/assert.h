// assert.h: what happens when a rule of ours is broken.
//
// PM_ASSERT is for bugs of this project only. It names the rule and aborts, in release builds too:
// a supervisor that goes on after a broken rule does more harm than one that stops. What the world
// refuses is a value (result.h), never an assertion.

#pragma once

namespace bgworker {

/** Writes one line to stderr and aborts. It takes no lock and allocates nothing. */
[[noreturn]] void failAssertion(const char* condition, const char* rule, const char* file,
                                int line);

}  // namespace bgworker

#define PM_ASSERT(condition, rule) \
  ((condition) ? (void)0 : ::bgworker::failAssertion(#condition, rule, __FILE__, __LINE__))
