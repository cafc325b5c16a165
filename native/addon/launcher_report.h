// launcher_report.h: a received message as the LauncherReport of lib/native/launcher.ts.

#pragma once

#include <napi.h>

#include "core/ipc/inbox.h"

namespace bgworker {

/** Empty if the message does not make sense. The pidfd of FORKED then belongs to JavaScript. */
Napi::Value launcherReport(Napi::Env env, Inbox& inbox);

}  // namespace bgworker
