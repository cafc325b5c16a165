// inventory_object.h: Inventory of lib/native/main-area.ts: what lies in shared memory, as rows.

#pragma once

#include <napi.h>

#include <string_view>

#include "core/shm/inventory.h"

namespace bgworker {

/** Bytes of a name that are no UTF-8 become U+FFFD; what else may stand there, who shows it says.
 */
Napi::Object inventoryObject(Napi::Env env, const Inventory& inventory);

const char* nameOf(RegistryKind kind);

}  // namespace bgworker
