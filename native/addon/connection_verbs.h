// connection_verbs.h: listeners and clients' connections, verb by verb; see
// lib/native/connections.ts.

#pragma once

#include <napi.h>

namespace bgworker {

void defineConnectionVerbs(Napi::Env env, Napi::Object exports);

}  // namespace bgworker
