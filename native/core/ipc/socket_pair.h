// socket_pair.h: both ends of a control socket, or of a pipe, close-on-exec.

#pragma once

#include <utility>

#include "core/base/descriptor.h"
#include "core/base/result.h"

namespace bgworker {

using DescriptorPair = std::pair<Descriptor, Descriptor>;

/** SOCK_SEQPACKET: packets stay whole, arrive in order, and a dead peer is an end of file. */
Result<DescriptorPair> makeSocketPair();
/** SOCK_STREAM, like a client's connection. */
Result<DescriptorPair> makeStreamPair();
/** The read end comes first. */
Result<DescriptorPair> makePipe();

}  // namespace bgworker
