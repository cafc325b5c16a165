// descriptor_verbs.h: making descriptors, and signals through them.

#pragma once

#include <napi.h>

namespace bgworker {

void defineDescriptorVerbs(Napi::Env env, Napi::Object exports);

}  // namespace bgworker
