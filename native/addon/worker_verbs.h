// worker_verbs.h: what a child's JavaScript calls, forked or exec'ed.

#pragma once

#include <napi.h>

namespace bgworker {

void defineWorkerVerbs(Napi::Env env, Napi::Object exports);

}  // namespace bgworker
