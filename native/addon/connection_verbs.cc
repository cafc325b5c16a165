#include "addon/connection_verbs.h"

#include <limits>

#include "addon/convert.h"
#include "core/ipc/socket_pair.h"
#include "core/net/connection.h"
#include "core/net/listener.h"

namespace bgworker {
namespace {

constexpr int64_t kMostInt = std::numeric_limits<int>::max();
constexpr int64_t kMostPort = std::numeric_limits<uint16_t>::max();
constexpr int64_t kMostMode = 0777;

Napi::Value descriptorOf(Napi::Env env, Result<Descriptor> opened) {
  if (!opened.ok()) return throwSystemError(env, opened.error());
  return Napi::Number::New(env, opened.value().release());
}

Napi::Object peerObject(Napi::Env env, const Peer& peer) {
  Napi::Object object = Napi::Object::New(env);
  if (peer.kind == Peer::Kind::inet) {
    object.Set("kind", "inet");
    object.Set("address", peer.host);
    object.Set("port", Napi::Number::New(env, peer.port));
  } else {
    object.Set("kind", "local");
    object.Set("pid", Napi::Number::New(env, peer.pid));
    object.Set("uid", Napi::Number::New(env, peer.uid));
    object.Set("gid", Napi::Number::New(env, peer.gid));
  }
  return object;
}

Napi::Value listenInetVerb(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<std::string> host = readString(info[0], "host");
  if (!host.has_value()) return env.Undefined();
  std::optional<int64_t> port = readInteger(info[1], "port", 0, kMostPort);
  if (!port.has_value()) return env.Undefined();
  std::optional<int64_t> backlog = readInteger(info[2], "backlog", 1, kMostInt);
  if (!backlog.has_value()) return env.Undefined();
  return descriptorOf(env,
                      listenInet(*host, static_cast<uint16_t>(*port), static_cast<int>(*backlog)));
}

Napi::Value listenLocalVerb(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<std::string> path = readString(info[0], "path");
  if (!path.has_value()) return env.Undefined();
  std::optional<mode_t> mode;
  if (!info[1].IsNull()) {
    std::optional<int64_t> given = readInteger(info[1], "mode", 0, kMostMode);
    if (!given.has_value()) return env.Undefined();
    mode = static_cast<mode_t>(*given);
  }
  std::optional<int64_t> backlog = readInteger(info[2], "backlog", 1, kMostInt);
  if (!backlog.has_value()) return env.Undefined();
  return descriptorOf(env, listenLocal(*path, mode, static_cast<int>(*backlog)));
}

Napi::Value adoptListenerVerb(const Napi::CallbackInfo& info) {
  std::optional<int> descriptor = readDescriptor(info[0], "descriptor");
  if (!descriptor.has_value()) return info.Env().Undefined();
  return descriptorOf(info.Env(), adoptListener(*descriptor));
}

Napi::Value listenerName(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<int> descriptor = readDescriptor(info[0], "descriptor");
  if (!descriptor.has_value()) return env.Undefined();
  Result<ListenerName> name = nameOf(*descriptor);
  if (!name.ok()) return throwSystemError(env, name.error());
  Napi::Object object = Napi::Object::New(env);
  if (name.value().kind == Peer::Kind::inet) {
    object.Set("kind", "inet");
    object.Set("address", name.value().hostOrPath);
    object.Set("port", Napi::Number::New(env, name.value().port));
  } else {
    object.Set("kind", "local");
    object.Set("path", name.value().hostOrPath);
  }
  return object;
}

Napi::Value acceptConnectionVerb(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<int> listener = readDescriptor(info[0], "listener");
  if (!listener.has_value()) return env.Undefined();
  Result<std::optional<Accepted>> accepted = acceptConnection(*listener);
  if (!accepted.ok()) return throwSystemError(env, accepted.error());
  if (!accepted.value().has_value()) return env.Null();
  Napi::Object object = Napi::Object::New(env);
  object.Set("peer", peerObject(env, accepted.value()->peer));
  object.Set("descriptor", Napi::Number::New(env, accepted.value()->connection.release()));
  return object;
}

Napi::Value peerOfVerb(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<int> connection = readDescriptor(info[0], "connection");
  if (!connection.has_value()) return env.Undefined();
  Result<Peer> peer = peerOf(*connection);
  if (!peer.ok()) return throwSystemError(env, peer.error());
  return peerObject(env, peer.value());
}

/** null stands for the system's own, 0; an error was thrown if it is false. */
bool readNumber(const Napi::Object& from, const char* name, int& into) {
  Napi::Value value = from.Get(name);
  if (value.IsNull()) return true;
  std::optional<int64_t> given = readInteger(value, name, 1, kMostInt);
  if (given.has_value()) into = static_cast<int>(*given);
  return given.has_value();
}

Napi::Value tuneConnectionVerb(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<int> connection = readDescriptor(info[0], "connection");
  if (!connection.has_value()) return env.Undefined();
  if (!info[1].IsBoolean()) return throwTypeError(env, "noDelay must be a boolean");
  Keepalive keepalive{};
  if (info[2].IsObject()) {
    Napi::Object given = info[2].As<Napi::Object>();
    keepalive.enabled = true;
    if (!readNumber(given, "idle", keepalive.idleSeconds) ||
        !readNumber(given, "interval", keepalive.intervalSeconds) ||
        !readNumber(given, "count", keepalive.count)) {
      return env.Undefined();
    }
  } else if (!info[2].IsNull()) {
    return throwTypeError(env, "keepAlive must be an object or null");
  }
  bool noDelay = info[1].As<Napi::Boolean>().Value();
  return throwIfFailed(env, tuneConnection(*connection, noDelay, keepalive));
}

Napi::Value sayLastVerb(const Napi::CallbackInfo& info) {
  std::optional<int> connection = readDescriptor(info[0], "connection");
  if (!connection.has_value()) return info.Env().Undefined();
  std::optional<std::span<const uint8_t>> words = readBytes(info[1], "words");
  if (words.has_value()) sayLast(*connection, *words);
  return info.Env().Undefined();
}

Napi::Value drainVerb(const Napi::CallbackInfo& info) {
  std::optional<int> connection = readDescriptor(info[0], "connection");
  if (!connection.has_value()) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), drain(*connection));
}

Napi::Value isSocketFileUsed(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<std::string> path = readString(info[0], "path");
  if (!path.has_value()) return env.Undefined();
  Result<SocketFileUse> use = probeSocketFile(*path);
  if (!use.ok()) return throwSystemError(env, use.error());
  return Napi::Boolean::New(env, use.value() == SocketFileUse::somebody);
}

Napi::Value streamPair(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Result<DescriptorPair> pair = makeStreamPair();
  if (!pair.ok()) return throwSystemError(env, pair.error());
  return descriptorArray(env, {pair.value().first.release(), pair.value().second.release()});
}

}  // namespace

void defineConnectionVerbs(Napi::Env env, Napi::Object exports) {
  const struct {
    const char* name;
    Napi::Value (*verb)(const Napi::CallbackInfo& info);
  } verbs[] = {
      {"listenInet", listenInetVerb},
      {"listenLocal", listenLocalVerb},
      {"adoptListener", adoptListenerVerb},
      {"listenerName", listenerName},
      {"acceptConnection", acceptConnectionVerb},
      {"peerOf", peerOfVerb},
      {"tuneConnection", tuneConnectionVerb},
      {"sayLast", sayLastVerb},
      {"drain", drainVerb},
      {"isSocketFileUsed", isSocketFileUsed},
      {"streamPair", streamPair},
  };
  for (const auto& [name, verb] : verbs) {
    exports.Set(name, Napi::Function::New(env, verb, name));
  }
}

}  // namespace bgworker
