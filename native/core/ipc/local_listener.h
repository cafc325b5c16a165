// local_listener.h: a Unix stream socket that listens at a path.
//
// Its file has the mode from its first moment, whatever the umask allows: there is no instant at
// which somebody else could connect. Who removes the file is the caller's business.

#pragma once

#include <sys/types.h>

#include <string>

#include "core/base/descriptor.h"
#include "core/base/result.h"

namespace bgworker {

/** Non-blocking. ENAMETOOLONG for a path over 107 bytes, EADDRINUSE if there is a file already. */
Result<Descriptor> listenLocally(const std::string& path, mode_t mode, int backlog);

}  // namespace bgworker
