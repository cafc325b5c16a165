// public_header.cc: include/bgworker.h is C++, too, old and without extensions. Compiled, and never
// run.

#include <bgworker.h>

extern "C" int public_header_in_cc(const bgworker_api* api, bgworker_context* context) {
  bgworker_mq_handle handle = {0};
  return api->mq->detach(context, handle) == BGWORKER_ERR_BAD_HANDLE ? 0 : 1;
}

extern "C" {
extern const bgworker_main_function publicHeaderMain;
const bgworker_main_function publicHeaderMain = public_header_in_cc;
}
