#include "addon/launcher_verbs.h"

#include <unistd.h>

#include <csignal>

#include "addon/convert.h"
#include "addon/main_area.h"
#include "addon/node_fork.h"
#include "core/ipc/inbox.h"
#include "core/ipc/packet.h"
#include "core/proc/launcher.h"
#include "core/proc/process.h"

namespace bgworker {
namespace {

Napi::Value startSessionVerb(const Napi::CallbackInfo& info) {
  return throwIfFailed(info.Env(), startSession());
}

Napi::Value setParentDeathSignalVerb(const Napi::CallbackInfo& info) {
  std::optional<int64_t> signal = readInteger(info[0], "signal", 0, SIGRTMAX);
  if (!signal.has_value()) return info.Env().Undefined();
  return throwIfFailed(info.Env(), setParentDeathSignal(static_cast<int>(*signal)));
}

Napi::Value sendNote(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<int> descriptor = readDescriptor(info[0], "descriptor");
  if (!descriptor.has_value()) return env.Undefined();
  std::optional<std::span<const uint8_t>> body = readBytes(info[1], "body");
  if (!body.has_value()) return env.Undefined();
  Result<SendOutcome> outcome = sendMessage(*descriptor, {MessageKind::note, 0, 0, *body, {}});
  if (!outcome.ok()) return throwSystemError(env, outcome.error());
  if (outcome.value() == SendOutcome::peerGone) return throwSystemError(env, {"sendmsg", EPIPE});
  return env.Undefined();
}

/** true: a message of this kind. false: the peer is gone, or an error was thrown. */
bool receiveKind(Napi::Env env, Inbox& inbox, int descriptor, MessageKind kind) {
  Result<ReceiveOutcome> outcome = inbox.receive(descriptor, Blocking::yes);
  if (!outcome.ok()) {
    throwSystemError(env, outcome.error());
    return false;
  }
  if (outcome.value() == ReceiveOutcome::peerGone) return false;
  if (outcome.value() == ReceiveOutcome::descriptorsLost) {
    throwSystemError(env, {"recvmsg", EMFILE});
    return false;
  }
  if (inbox.header().kind == kind) return true;
  // Before its loop the launcher cannot serve anything else.
  throwSystemError(env, {"recvmsg", EPROTO});
  return false;
}

Napi::Value receiveNote(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<int> descriptor = readDescriptor(info[0], "descriptor");
  if (!descriptor.has_value()) return env.Undefined();
  Inbox inbox(Direction::toLauncher);
  if (!receiveKind(env, inbox, *descriptor, MessageKind::note)) return env.Null();
  Result<std::vector<uint8_t>> body = inbox.copyBody();
  if (!body.ok()) return throwSystemError(env, body.error());
  return Napi::Buffer<uint8_t>::Copy(env, body.value().data(), body.value().size());
}

Napi::Value receiveArea(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<int> descriptor = readDescriptor(info[0], "descriptor");
  if (!descriptor.has_value()) return env.Undefined();
  Inbox inbox(Direction::toLauncher);
  if (!receiveKind(env, inbox, *descriptor, MessageKind::area)) return env.Null();
  Result<MainArea> area = MainArea::map(inbox.descriptors().front().get());
  if (!area.ok()) return throwSystemError(env, area.error());
  // It owns the number from here on.
  inbox.descriptors().front().release();
  return MainAreaObject::wrap(env, std::move(area.value()));
}

Napi::Value sendDescriptors(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<int> socket = readDescriptor(info[0], "descriptor");
  if (!socket.has_value()) return env.Undefined();
  std::optional<std::vector<int>> descriptors = readDescriptors(info[1], "descriptors");
  if (!descriptors.has_value()) return env.Undefined();
  Result<Packet> packet = Packet::make({MessageKind::descriptors, 0, 0, {}, *descriptors});
  if (!packet.ok()) return throwSystemError(env, packet.error());
  Result<SendOutcome> outcome = packet.value().send(*socket, Blocking::no);
  // Too many on their way: it passes as they are received, like a full socket.
  if (!outcome.ok() && outcome.error().number == ETOOMANYREFS) {
    return Napi::Boolean::New(env, false);
  }
  if (!outcome.ok()) return throwSystemError(env, outcome.error());
  if (outcome.value() == SendOutcome::peerGone) return throwSystemError(env, {"sendmsg", EPIPE});
  return Napi::Boolean::New(env, outcome.value() == SendOutcome::sent);
}

Napi::Value receiveDescriptors(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<int> socket = readDescriptor(info[0], "descriptor");
  if (!socket.has_value()) return env.Undefined();
  Inbox inbox(Direction::toLauncher);
  if (!receiveKind(env, inbox, *socket, MessageKind::descriptors)) return env.Null();
  std::vector<int> numbers;
  for (Descriptor& descriptor : inbox.descriptors()) numbers.push_back(descriptor.release());
  return descriptorArray(env, numbers);
}

Napi::Object childObject(Napi::Env env, const ForkedChild& child) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("childId", Napi::Number::New(env, child.childId));
  // Its own: process.pid is still the launcher's.
  object.Set("pid", Napi::Number::New(env, getpid()));
  object.Set("payload",
             Napi::Buffer<uint8_t>::Copy(env, child.payload.data(), child.payload.size()));
  object.Set("descriptors", descriptorArray(env, child.descriptors));
  return object;
}

Napi::Value launcherLoop(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<int> control = readDescriptor(info[0], "controlDescriptor");
  if (!control.has_value()) return env.Undefined();
  MainArea* area = nullptr;
  if (!info[1].IsNull()) {
    MainAreaObject* object = MainAreaObject::from(info[1]);
    if (object == nullptr) return env.Undefined();
    area = object->core();
  }
  // Once for nobody, so that V8 learns the object's shape here and not in every child.
  childObject(env, {0, {0}, {}});
  SharedHeritage heritage{area};
  if (!info[2].IsUndefined()) {
    std::optional<int> firstDoorbell = readDescriptor(info[2], "firstDoorbell");
    if (!firstDoorbell.has_value()) return env.Undefined();
    heritage.firstDoorbell = *firstDoorbell;
  }
  Result<ForkedChild> child = runLauncher(*control, heritage, nodeForkHooks(env));
  if (!child.ok()) return throwSystemError(env, child.error());
  // From here on this is the child.
  return childObject(env, child.value());
}

Napi::Value rawForkNs(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Status prepared = prepareNodeForks();
  if (!prepared.ok()) return throwSystemError(env, prepared.error());
  Result<int64_t> elapsedNs = measureRawFork();
  if (!elapsedNs.ok()) return throwSystemError(env, elapsedNs.error());
  return Napi::Number::New(env, static_cast<double>(elapsedNs.value()));
}

}  // namespace

void defineLauncherVerbs(Napi::Env env, Napi::Object exports) {
  exports.Set("startSession", Napi::Function::New(env, startSessionVerb, "startSession"));
  exports.Set("setParentDeathSignal",
              Napi::Function::New(env, setParentDeathSignalVerb, "setParentDeathSignal"));
  exports.Set("sendNote", Napi::Function::New(env, sendNote, "sendNote"));
  exports.Set("receiveNote", Napi::Function::New(env, receiveNote, "receiveNote"));
  exports.Set("receiveArea", Napi::Function::New(env, receiveArea, "receiveArea"));
  exports.Set("sendDescriptors", Napi::Function::New(env, sendDescriptors, "sendDescriptors"));
  exports.Set("receiveDescriptors",
              Napi::Function::New(env, receiveDescriptors, "receiveDescriptors"));
  exports.Set("launcherLoop", Napi::Function::New(env, launcherLoop, "launcherLoop"));
  exports.Set("rawForkNs", Napi::Function::New(env, rawForkNs, "rawForkNs"));
}

}  // namespace bgworker
