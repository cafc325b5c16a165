// attachment_names.cc: what is found by name: structures of the main area, and dynamic segments.

#include "addon/attachment.h"
#include "addon/convert.h"
#include "addon/inventory_object.h"
#include "addon/shared_error.h"

namespace bgworker {
namespace {

struct NameAndSize {
  std::string name;
  size_t bytes;
};

std::optional<NameAndSize> readNameAndSize(const Napi::CallbackInfo& info) {
  std::optional<std::string> name = readText(info[0], "name");
  if (!name.has_value()) return std::nullopt;
  std::optional<int64_t> bytes = readInteger(info[1], "bytes", 0, int64_t{1} << 52);
  if (!bytes.has_value()) return std::nullopt;
  return NameAndSize{std::move(*name), static_cast<size_t>(*bytes)};
}

/** The claim under the number that the first argument is; null, having thrown, if there is none. */
template <typename Claim>
Claim* readClaim(const Napi::CallbackInfo& info, const Numbered<Claim>& claims, int64_t& number) {
  std::optional<int64_t> read = readInteger(info[0], "claim", 0, UINT32_MAX);
  if (!read.has_value()) return nullptr;
  number = *read;
  Claim* claim = claims.get(number);
  if (claim == nullptr) throwTypeError(info.Env(), "claim must be one that is under way");
  return claim;
}

}  // namespace

Napi::Value AttachmentObject::claimStruct(const Info& info) {
  Napi::Env env = info.Env();
  Attached* attached = live(info);
  if (attached == nullptr) return env.Undefined();
  std::optional<NameAndSize> wanted = readNameAndSize(info);
  if (!wanted.has_value()) return env.Undefined();
  Result<StructClaim> made = attached->directory.claim(wanted->name, wanted->bytes);
  if (!made.ok()) return throwSharedError(env, made.error());
  StructClaim& claim = made.value();
  auto offset = static_cast<std::byte*>(claim.address()) - attached->area.fixed().data();
  Napi::Object object = Napi::Object::New(env);
  object.Set("offset", Napi::Number::New(env, static_cast<double>(offset)));
  object.Set("found", Napi::Boolean::New(env, claim.found()));
  if (!claim.found()) {
    auto kept = std::make_unique<StructClaim>(std::move(claim));
    object.Set("claim", Napi::Number::New(env, attached->structClaims.add(std::move(kept))));
  }
  return object;
}

Napi::Value AttachmentObject::publishStruct(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  int64_t number = 0;
  StructClaim* claim = readClaim(info, attached->structClaims, number);
  if (claim == nullptr) return info.Env().Undefined();
  claim->publish();
  attached->structClaims.drop(number);
  return info.Env().Undefined();
}

Napi::Value AttachmentObject::abandonStruct(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  int64_t number = 0;
  // To destroy it is to abandon it.
  if (readClaim(info, attached->structClaims, number)) attached->structClaims.drop(number);
  return info.Env().Undefined();
}

Napi::Value AttachmentObject::listStructs(const Info& info) {
  Napi::Env env = info.Env();
  Attached* attached = live(info);
  if (attached == nullptr) return env.Undefined();
  const size_t section = attached->area.layout().directory.offset;
  Napi::Array list = Napi::Array::New(env);
  for (const StructRecord& record : attached->directory.list()) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", Napi::String::New(env, record.name));
    object.Set("offset", Napi::Number::New(env, static_cast<double>(section + record.offset)));
    object.Set("bytes", Napi::Number::New(env, static_cast<double>(record.bytes)));
    object.Set("allocatedBytes",
               Napi::Number::New(env, static_cast<double>(record.allocatedBytes)));
    list.Set(list.Length(), object);
  }
  return list;
}

Napi::Value AttachmentObject::claimNamed(const Info& info) {
  Napi::Env env = info.Env();
  Attached* attached = live(info);
  if (attached == nullptr) return env.Undefined();
  std::optional<NameAndSize> wanted = readNameAndSize(info);
  if (!wanted.has_value()) return env.Undefined();
  Result<NamedClaim> made =
      attached->registry->claim(wanted->name, RegistryKind::segment, wanted->bytes);
  if (!made.ok()) return throwSharedError(env, made.error());
  NamedClaim& claim = made.value();
  Napi::Value shown = segmentObject(env, claim.view());
  if (shown.IsUndefined()) return shown;
  Napi::Object object = shown.As<Napi::Object>();
  object.Set("found", Napi::Boolean::New(env, claim.found()));
  if (!claim.found()) {
    auto kept = std::make_unique<NamedClaim>(std::move(claim));
    object.Set("claim", Napi::Number::New(env, attached->namedClaims.add(std::move(kept))));
  }
  return object;
}

Napi::Value AttachmentObject::publishNamed(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  int64_t number = 0;
  NamedClaim* claim = readClaim(info, attached->namedClaims, number);
  if (claim == nullptr) return info.Env().Undefined();
  Status published = claim->publish();
  attached->namedClaims.drop(number);
  return throwSharedIfFailed(info.Env(), published);
}

Napi::Value AttachmentObject::abandonNamed(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  int64_t number = 0;
  if (readClaim(info, attached->namedClaims, number)) attached->namedClaims.drop(number);
  return info.Env().Undefined();
}

Napi::Value AttachmentObject::listNamed(const Info& info) {
  Napi::Env env = info.Env();
  Attached* attached = live(info);
  if (attached == nullptr) return env.Undefined();
  Napi::Array list = Napi::Array::New(env);
  for (const RegistryRecord& record : attached->registry->list()) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("name", Napi::String::New(env, record.name));
    object.Set("kind", Napi::String::New(env, nameOf(record.kind)));
    Napi::Value bytes = env.Null();
    if (record.bytes) bytes = Napi::Number::New(env, static_cast<double>(*record.bytes));
    object.Set("bytes", bytes);
    list.Set(list.Length(), object);
  }
  return list;
}

}  // namespace bgworker
