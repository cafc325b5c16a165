// instance.h: what the addon keeps per environment (the main thread, each Worker).

#pragma once

#include <napi.h>

namespace bgworker {

struct Instance {
  Napi::FunctionReference mainArea;  // the class, so that create() and map() can make objects
};

}  // namespace bgworker
