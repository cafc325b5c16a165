#include "core/ipc/message.h"

#include <cstring>

namespace bgworker {
namespace {

/** What a kind of message may consist of. */
struct Shape {
  Direction direction;
  bool bothDirections;
  size_t leastBody, mostBody;
  size_t leastDescriptors, mostDescriptors;
  uint16_t flags;
};

/** False if there is no such kind. */
bool shapeOf(MessageKind kind, Shape& shape) {
  constexpr Direction down = Direction::toLauncher, up = Direction::toPostmaster;
  constexpr uint16_t inFile = kFlagBodyInFile;
  switch (kind) {
    case MessageKind::note:
      shape = {down, true, 0, kMaxBodyBytes, 0, 0, inFile};
      return true;
    case MessageKind::fork:
      shape = {down, false, 0, kMaxBodyBytes, 0, kMaxDescriptors, inFile | kFlagAttach};
      return true;
    case MessageKind::exec:
      shape = {down, false, 1, kMaxBodyBytes, 0, kMaxDescriptors, inFile};
      return true;
    case MessageKind::area:
      shape = {down, false, 0, 0, 1, 1, 0};
      return true;
    case MessageKind::descriptors:
      shape = {down, false, 0, 0, 1, kMaxDescriptors, 0};
      return true;
    case MessageKind::forked:
      shape = {up, false, sizeof(ForkedBody), sizeof(ForkedBody), 1, 1, 0};
      return true;
    case MessageKind::failed:
      shape = {up, false, sizeof(FailedBody), sizeof(FailedBody), 0, 0, 0};
      return true;
    case MessageKind::exited:
      shape = {up, false, sizeof(ExitedBody), sizeof(ExitedBody), 0, 0, 0};
      return true;
  }
  return false;
}

}  // namespace

FailedBody failedBody(const char* call, int errorNumber) {
  FailedBody body{};
  body.errorNumber = errorNumber;
  std::memcpy(body.call, call, strnlen(call, sizeof body.call - 1));
  return body;
}

bool isWellFormed(const MessageHeader& header, Direction direction) {
  if (header.magic != kMessageMagic || header.unused != 0) return false;
  Shape shape;
  if (!shapeOf(header.kind, shape)) return false;
  if (shape.direction != direction && !shape.bothDirections) return false;
  if ((header.flags & ~shape.flags) != 0) return false;
  if (header.bodyBytes < shape.leastBody || header.bodyBytes > shape.mostBody) return false;
  bool inFile = (header.flags & kFlagBodyInFile) != 0;
  if (inFile != (header.bodyBytes > kInlineBodyBytes)) return false;
  return header.descriptorCount >= shape.leastDescriptors &&
         header.descriptorCount <= shape.mostDescriptors;
}

}  // namespace bgworker
