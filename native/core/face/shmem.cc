// shmem.cc: structures of the main area (include/bgworker/shmem.h).

#include "core/face/context.h"
#include "core/face/names.h"
#include "core/face/tables.h"
#include "core/shm/refusal.h"

namespace bgworker::face {
namespace {

struct UsersInitialiser {
  bgworker_context* context;
  bgworker_initialiser function;
  void* arg;
};

int callUsers(void* address, size_t bytes, void* arg) {
  const auto& users = *static_cast<const UsersInitialiser*>(arg);
  const bool failed = users.function(users.context, address, bytes, users.arg) != 0;
  return failed ? BGWORKER_ERR_INITIALISER_FAILED : 0;
}

int initStruct(bgworker_context* context, const char* name, size_t bytes,
               bgworker_initialiser initialise, void* arg, void** address) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (name == nullptr || address == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  UsersInitialiser users{context, initialise, arg};
  return claimStruct(*held, name, bytes, initialise == nullptr ? nullptr : callUsers, &users,
                     address);
}

int findStruct(bgworker_context* context, const char* name, void** address, size_t* bytes) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (name == nullptr || address == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  if (int refused = errorOf(checkSharedName(name))) return refused;
  const StructView found = held->memory.directory.find(name);
  if (found.address == nullptr) return 0;
  *address = found.address;
  if (bytes != nullptr) *bytes = found.bytes;
  return 1;
}

}  // namespace

const bgworker_shmem_api kShmemApi = {initStruct, findStruct};

}  // namespace bgworker::face
