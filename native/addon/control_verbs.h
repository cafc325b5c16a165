// control_verbs.h: what the control socket needs that Node has not: its listener, and memory files.

#pragma once

#include <napi.h>

namespace bgworker {

void defineControlVerbs(Napi::Env env, Napi::Object exports);

}  // namespace bgworker
