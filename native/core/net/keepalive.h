// keepalive.h: how long a TCP connection believes in a peer that says nothing.
//
// A host that loses its power, or its network, sends no farewell. The kernel finds out: by probes
// on a connection that is idle, by unanswered data on one that is not. How soon is set here, by the
// rules of libpq's parameters of the same names.

#pragma once

#include "core/base/result.h"

namespace bgworker {

/** 0 is the system's own, in each. */
struct Keepalive {
  bool enabled;         // keepalives: probes at all
  int idleSeconds;      // keepalives_idle: before the first probe
  int intervalSeconds;  // keepalives_interval: between two
  int count;            // keepalives_count: unanswered ones until the peer is dead
  int userTimeoutMs;    // tcp_user_timeout: for data that is not acknowledged
};

/** EOPNOTSUPP and the like if the descriptor is no TCP socket. */
Status setKeepalive(int descriptor, const Keepalive& keepalive);

}  // namespace bgworker
