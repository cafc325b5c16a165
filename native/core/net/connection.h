// connection.h: what is done to a client's connection before JavaScript has it, or instead.

#pragma once

#include <cstdint>
#include <span>

#include "core/base/result.h"
#include "core/net/keepalive.h"

namespace bgworker {

/** Does nothing to a connection that is not TCP. */
Status tuneConnection(int connection, bool noDelay, const Keepalive& keepalive);

/**
 * The last words: one send that does not wait, and the end of our side. What finds no room is not
 * said. The client's side stays open: closed with something unread in it, TCP would answer with a
 * reset, and that can destroy the words on their way.
 */
void sayLast(int connection, std::span<const uint8_t> words);

/** Reads what is there and forgets it, a bounded amount. false: the client's side has ended, too.
 */
bool drain(int connection);

}  // namespace bgworker
