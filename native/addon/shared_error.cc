#include "addon/shared_error.h"

#include "addon/convert.h"
#include "core/shm/refusal.h"

namespace bgworker {
namespace {

/** Null: none of shared memory's own. */
const char* codeOf(Refusal refusal) {
  switch (refusal) {
    case Refusal::none:
      return nullptr;
    case Refusal::nameEmpty:
      return "ERR_SHMEM_NAME_EMPTY";
    case Refusal::nameTooLong:
      return "ERR_SHMEM_NAME_TOO_LONG";
    case Refusal::nameHasNul:
      return "ERR_SHMEM_NAME_HAS_NUL";
    case Refusal::sizeZero:
      return "ERR_SHMEM_SIZE_ZERO";
    case Refusal::sizeTooLarge:
      return "ERR_SHMEM_SIZE_TOO_LARGE";
    case Refusal::entrySizeWrong:
      return "ERR_SHMEM_ENTRY_SIZE_WRONG";
    case Refusal::outOfSpace:
      return "ERR_SHMEM_OUT_OF_SPACE";
    case Refusal::initialisedAbove:
      return "ERR_SHMEM_INITIALISED_ABOVE";
    case Refusal::initialisationStuck:
      return "ERR_SHMEM_INITIALISATION_STUCK";
    case Refusal::foreign:
      return "ERR_SHMEM_FOREIGN";
    case Refusal::corrupt:
      return "ERR_SHMEM_CORRUPT";
    case Refusal::lockStuck:
      return "ERR_SHMEM_LOCK_STUCK";
    case Refusal::tooManySegments:
      return "ERR_SHMEM_TOO_MANY_SEGMENTS";
    case Refusal::windowFull:
      return "ERR_SHMEM_WINDOW_FULL";
    case Refusal::segmentGone:
      return "ERR_SHMEM_SEGMENT_GONE";
    case Refusal::alreadyAttached:
      return "ERR_SHMEM_ALREADY_ATTACHED";
    case Refusal::notAttached:
      return "ERR_SHMEM_NOT_ATTACHED";
    case Refusal::alreadyPinned:
      return "ERR_SHMEM_ALREADY_PINNED";
    case Refusal::notPinned:
      return "ERR_SHMEM_NOT_PINNED";
    case Refusal::unknownSegment:
      return "ERR_SHMEM_UNKNOWN_SEGMENT";
    case Refusal::kindWrong:
      return "ERR_SHMEM_KIND_WRONG";
    case Refusal::segmentSizeWrong:
      return "ERR_SHMEM_SEGMENT_SIZE_WRONG";
    case Refusal::tooManyNames:
      return "ERR_SHMEM_TOO_MANY_NAMES";
    case Refusal::heapFull:
      return "ERR_SHMEM_HEAP_FULL";
    case Refusal::badPointer:
      return "ERR_SHMEM_BAD_POINTER";
    case Refusal::keyLength:
      return "ERR_SHMEM_KEY_LENGTH";
    case Refusal::valueLength:
      return "ERR_SHMEM_VALUE_LENGTH";
    case Refusal::parametersWrong:
      return "ERR_SHMEM_PARAMETERS_WRONG";
  }
  return nullptr;
}

}  // namespace

Napi::Value throwSharedError(Napi::Env env, const SystemError& error) {
  const char* code = codeOf(refusalOf(error));
  return code == nullptr ? throwSystemError(env, error) : throwSharedCode(env, code, error.call);
}

Napi::Value throwSharedIfFailed(Napi::Env env, const Status& status) {
  return status.ok() ? env.Undefined() : throwSharedError(env, status.error());
}

void throwTooLarge(Napi::Env env) {
  (void)env.GetAndClearPendingException();
  throwSharedError(env, refuse(Refusal::sizeTooLarge));
}

Napi::Value throwSharedCode(Napi::Env env, const char* code, const char* sentence) {
  Napi::Error thrown = Napi::Error::New(env, sentence);
  thrown.Set("code", Napi::String::New(env, code));
  thrown.ThrowAsJavaScriptException();
  return env.Undefined();
}

}  // namespace bgworker
