// addon.cc: the table of contents of the addon; lib/native/addon.ts says what each name means.

#include <napi.h>

#include "addon/attachment.h"
#include "addon/connection_verbs.h"
#include "addon/control_verbs.h"
#include "addon/descriptor_verbs.h"
#include "addon/descriptor_watcher.h"
#include "addon/instance.h"
#include "addon/launcher_channel.h"
#include "addon/launcher_verbs.h"
#include "addon/main_area.h"
#include "addon/worker_verbs.h"

namespace {

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new bgworker::Instance());
  bgworker::defineDescriptorVerbs(env, exports);
  bgworker::defineConnectionVerbs(env, exports);
  bgworker::defineControlVerbs(env, exports);
  bgworker::defineLauncherVerbs(env, exports);
  bgworker::defineWorkerVerbs(env, exports);
  bgworker::MainAreaObject::define(env, exports);
  bgworker::AttachmentObject::define(env, exports);
  bgworker::LauncherChannel::define(env, exports);
  bgworker::DescriptorWatcher::define(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(NODE_GYP_MODULE_NAME, initialize)
