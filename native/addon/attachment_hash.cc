// attachment_hash.cc: hash tables by name. Bytes are copied in and out, so that no partition stays
// locked when JavaScript goes on.

#include <cstring>

#include "addon/attachment.h"
#include "addon/convert.h"
#include "addon/shared_error.h"

namespace bgworker {
namespace {

std::span<const std::byte> asBytes(std::span<const uint8_t> bytes) { return std::as_bytes(bytes); }

Napi::Value copyOf(Napi::Env env, std::span<const std::byte> bytes) {
  return Napi::Buffer<uint8_t>::Copy(env, reinterpret_cast<const uint8_t*>(bytes.data()),
                                     bytes.size());
}

}  // namespace

Hash* AttachmentObject::hashOf(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return nullptr;
  std::optional<int64_t> number = readInteger(info[0], "hash", 0, UINT32_MAX);
  if (!number.has_value()) return nullptr;
  Hash* hash = attached->hashes.get(*number);
  if (hash == nullptr) throwTypeError(info.Env(), "hash must be one that was opened");
  // A process holds one partition at a time: two that wanted a second could wait for each other.
  if (hash != nullptr && attached->updating != nullptr) {
    throwSharedCode(info.Env(), "ERR_SHMEM_BUSY", "no hash table can be used within an update()");
    return nullptr;
  }
  return hash;
}

Napi::Value AttachmentObject::openHash(const Info& info) {
  Napi::Env env = info.Env();
  Attached* attached = live(info);
  if (attached == nullptr) return env.Undefined();
  std::optional<std::string> name = readText(info[0], "name");
  if (!name.has_value()) return env.Undefined();
  std::optional<int64_t> bytes = readInteger(info[1], "bytes", 0, int64_t{1} << 52);
  if (!bytes.has_value()) return env.Undefined();
  std::optional<int64_t> maxKey = readInteger(info[2], "maxKeyBytes", 1, kMostKeyBytes);
  if (!maxKey.has_value()) return env.Undefined();
  std::optional<int64_t> maxValue = readInteger(info[3], "maxValueBytes", 0, kMostValueBytes);
  if (!maxValue.has_value()) return env.Undefined();
  HashShape shape{static_cast<uint32_t>(*maxKey), static_cast<uint32_t>(*maxValue)};
  Result<Hash> hash = attached->registry->hash(*name, static_cast<size_t>(*bytes), shape);
  if (!hash.ok()) return throwSharedError(env, hash.error());
  auto kept = std::make_unique<Hash>(std::move(hash.value()));
  return Napi::Number::New(env, attached->hashes.add(std::move(kept)));
}

Napi::Value AttachmentObject::hashFind(const Info& info) {
  Napi::Env env = info.Env();
  Hash* hash = hashOf(info);
  if (hash == nullptr) return env.Undefined();
  std::optional<std::span<const uint8_t>> key = readBytes(info[1], "key");
  if (!key.has_value()) return env.Undefined();
  Result<HashEntry> entry = hash->find(asBytes(*key));
  if (!entry.ok()) return throwSharedError(env, entry.error());
  return entry.value().exists() ? copyOf(env, entry.value().value()) : env.Null();
}

Napi::Value AttachmentObject::hashInsert(const Info& info) {
  Napi::Env env = info.Env();
  Hash* hash = hashOf(info);
  if (hash == nullptr) return env.Undefined();
  std::optional<std::span<const uint8_t>> key = readBytes(info[1], "key");
  if (!key.has_value()) return env.Undefined();
  std::optional<std::span<const uint8_t>> value = readBytes(info[2], "value");
  if (!value.has_value()) return env.Undefined();
  if (!info[3].IsBoolean()) return throwTypeError(env, "replace must be a boolean");
  const auto valueBytes = static_cast<uint32_t>(std::min<size_t>(value->size(), UINT32_MAX));
  Result<HashEntry> made = hash->findOrInsert(asBytes(*key), valueBytes);
  if (!made.ok()) return throwSharedError(env, made.error());
  HashEntry& entry = made.value();
  if (!entry.inserted() && info[3].As<Napi::Boolean>().Value()) {
    Status assigned = entry.assign(asBytes(*value));
    if (!assigned.ok()) return throwSharedError(env, assigned.error());
  } else if (entry.inserted() && !value->empty()) {
    std::memcpy(entry.value().data(), value->data(), entry.value().size());
  }
  return Napi::Boolean::New(env, entry.inserted());
}

Napi::Value AttachmentObject::hashUpdate(const Info& info) {
  Napi::Env env = info.Env();
  Hash* hash = hashOf(info);
  if (hash == nullptr) return env.Undefined();
  std::optional<std::span<const uint8_t>> key = readBytes(info[1], "key");
  if (!key.has_value()) return env.Undefined();
  if (!info[2].IsFunction()) return throwTypeError(env, "change must be a function");
  Result<HashEntry> made = hash->findOrInsert(asBytes(*key), 0);
  if (!made.ok()) return throwSharedError(env, made.error());
  HashEntry& entry = made.value();

  const Napi::Value old = entry.inserted() ? env.Null() : copyOf(env, entry.value());
  attached_->updating = &entry;
  const Napi::Value changed = info[2].As<Napi::Function>().Call({old});
  // It may have ended this attachment, and the entry was released then.
  if (attached_ == nullptr || !entry.exists()) return env.Undefined();
  attached_->updating = nullptr;
  const bool failed = env.IsExceptionPending();
  if (failed || changed.IsNull()) {
    // What was inserted for the callback only must not stay.
    Status erased = failed && !entry.inserted() ? Status() : entry.erase();
    return failed ? env.Undefined() : throwSharedIfFailed(env, erased);
  }
  std::optional<std::span<const uint8_t>> value = readBytes(changed, "the new value");
  Status assigned = value.has_value() ? entry.assign(asBytes(*value)) : Status();
  if (entry.inserted() && (!value.has_value() || !assigned.ok())) (void)entry.erase().ok();
  return value.has_value() ? throwSharedIfFailed(env, assigned) : env.Undefined();
}

Napi::Value AttachmentObject::hashDelete(const Info& info) {
  Napi::Env env = info.Env();
  Hash* hash = hashOf(info);
  if (hash == nullptr) return env.Undefined();
  std::optional<std::span<const uint8_t>> key = readBytes(info[1], "key");
  if (!key.has_value()) return env.Undefined();
  Result<bool> erased = hash->erase(asBytes(*key));
  if (!erased.ok()) return throwSharedError(env, erased.error());
  return Napi::Boolean::New(env, erased.value());
}

Napi::Value AttachmentObject::hashScan(const Info& info) {
  Napi::Env env = info.Env();
  Hash* hash = hashOf(info);
  if (hash == nullptr) return env.Undefined();
  Napi::Array list = Napi::Array::New(env);
  Hash::Scan scan(*hash);
  for (;;) {
    Result<std::optional<HashItemView>> next = scan.next();
    if (!next.ok()) return throwSharedError(env, next.error());
    if (!next.value().has_value()) return list;
    Napi::HandleScope scope(env);
    Napi::Array pair = Napi::Array::New(env, 2);
    pair.Set(0U, copyOf(env, next.value()->key));
    pair.Set(1U, copyOf(env, next.value()->value));
    list.Set(list.Length(), pair);
  }
}

Napi::Value AttachmentObject::hashCount(const Info& info) {
  Hash* hash = hashOf(info);
  if (hash == nullptr) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), static_cast<double>(hash->count()));
}

}  // namespace bgworker
