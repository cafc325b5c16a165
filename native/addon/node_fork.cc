#include "addon/node_fork.h"

#include <uv.h>

#include "core/base/assert.h"
#include "core/proc/mappings.h"

namespace bgworker {

Status prepareNodeForks() { return markMappingsForkable(); }

LauncherHooks nodeForkHooks(Napi::Env env) {
  LauncherHooks hooks;
  // The loop is looked up here, in the launcher: the child then calls nothing but libuv.
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  hooks.context = loop;
  // 1. V8's MADV_DONTFORK marks.
  hooks.prepareForks = [](void*) { return prepareNodeForks(); };
  // 2. libuv's descriptors.
  hooks.enterChild = [](void* context) {
    PM_ASSERT(uv_loop_fork(static_cast<uv_loop_t*>(context)) == 0,
              "a forked child can make its own event loop descriptors");
  };
  return hooks;
}

}  // namespace bgworker
