#include "core/face/names.h"

#include "core/face/errors.h"

namespace bgworker::face {

int claimStruct(Holdings& holdings, const char* name, size_t bytes, Initialise initialise,
                void* arg, void** address) {
  Result<StructClaim> made = holdings.memory.directory.claim(name, bytes);
  if (!made.ok()) return errorOf(made.error());
  StructClaim& claim = made.value();
  if (!claim.found() && initialise != nullptr) {
    // An initialiser that calls exit() does not come back here.
    holdings.structClaims.push_back(&claim);
    const int failed = initialise(claim.address(), bytes, arg);
    holdings.structClaims.pop_back();
    // The claim abandons itself.
    if (failed != 0) return failed;
  }
  *address = claim.address();
  if (claim.found()) return 1;
  claim.publish();
  return 0;
}

int claimThing(Holdings& holdings, const char* prefix, const char* name, size_t bytes,
               Initialise initialise, void* arg, void** address) {
  if (name == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  if (*name == '\0') return BGWORKER_ERR_NAME_EMPTY;
  const std::string key = std::string(prefix) + name;
  return claimStruct(holdings, key.c_str(), bytes, initialise, arg, address);
}

}  // namespace bgworker::face
