// launcher_verbs.h: what the launcher's JavaScript calls, before and in its loop.

#pragma once

#include <napi.h>

namespace bgworker {

void defineLauncherVerbs(Napi::Env env, Napi::Object exports);

}  // namespace bgworker
