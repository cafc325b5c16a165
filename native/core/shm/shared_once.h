// shared_once.h: the lock of an entry that is initialised once, by whoever comes first.
//
// enter() returns `mine` to one caller, which then calls finish(), or abandon() if it could not
// do it; all others sleep until then. After finish() everybody gets `ready`; after abandon() the
// next one gets `mine`. Unlike a SharedMutex it may be held for as long as the initialisation
// takes, JavaScript included.
//
//  word  0 untouched | the thread id of the initialiser | 0xffffffff ready
//        untouched → id by whoever enters; id → ready or untouched by that thread only. The id
//        makes it known when an initialiser asks for what he is initialising: that is an error
//        and not a sleep without end. finish() is a release, which pairs with the acquire in
//        enter() and ready(): what the initialiser wrote is seen by all who found it ready.
//        Any other value is `corrupt`, at once: nobody would ever end the wait for it.

#pragma once

#include <atomic>
#include <cstdint>

#include "core/base/result.h"

namespace bgworker {

enum class Turn { mine, ready };

class SharedOnce {
 public:
  Result<Turn> enter();
  void finish();
  void abandon();
  /** Never sleeps. */
  bool ready() const;

 private:
  void leave(uint32_t next);

  std::atomic<uint32_t> word_;
};
static_assert(sizeof(SharedOnce) == 4, "the layout is a contract between processes");

}  // namespace bgworker
