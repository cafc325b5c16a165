#include "addon/inventory_object.h"

namespace bgworker {
namespace {

const char* nameOf(AllocationKind kind) {
  switch (kind) {
    case AllocationKind::fixed:
      return "fixed";
    case AllocationKind::structure:
      return "struct";
    case AllocationKind::anonymous:
      return "anonymous";
    case AllocationKind::free:
      return "free";
  }
  return "fixed";
}

Napi::Value numberOf(Napi::Env env, uint64_t number) {
  return Napi::Number::New(env, static_cast<double>(number));
}

Napi::Value numberOf(Napi::Env env, const std::optional<uint64_t>& number) {
  return number ? numberOf(env, *number) : env.Null();
}

Napi::Object allocationObject(Napi::Env env, const Allocation& row) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("kind", Napi::String::New(env, nameOf(row.kind)));
  object.Set("name", Napi::String::New(env, row.name));
  object.Set("offset", numberOf(env, row.offset));
  object.Set("bytes", numberOf(env, row.bytes));
  object.Set("allocatedBytes", numberOf(env, row.allocatedBytes));
  return object;
}

Napi::Object segmentObject(Napi::Env env, const SegmentAllocation& row) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("handle", Napi::Number::New(env, row.handle));
  object.Set("bytes", numberOf(env, row.bytes));
  object.Set("allocatedBytes", numberOf(env, row.allocatedBytes));
  object.Set("pinned", Napi::Boolean::New(env, row.pinned));
  return object;
}

Napi::Object nameObject(Napi::Env env, const RegistryRecord& row) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("name", Napi::String::New(env, row.name));
  object.Set("kind", Napi::String::New(env, nameOf(row.kind)));
  object.Set("bytes", numberOf(env, row.bytes));
  return object;
}

template <typename Row>
Napi::Array arrayOf(Napi::Env env, const std::vector<Row>& rows,
                    Napi::Object (*objectOf)(Napi::Env, const Row&)) {
  Napi::Array array = Napi::Array::New(env, rows.size());
  for (uint32_t index = 0; index < rows.size(); ++index) {
    Napi::HandleScope scope(env);
    array.Set(index, objectOf(env, rows[index]));
  }
  return array;
}

}  // namespace

Napi::Object inventoryObject(Napi::Env env, const Inventory& inventory) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("allocations", arrayOf(env, inventory.allocations, allocationObject));
  object.Set("segments", arrayOf(env, inventory.segments, segmentObject));
  object.Set("names", arrayOf(env, inventory.names, nameObject));
  return object;
}

const char* nameOf(RegistryKind kind) {
  switch (kind) {
    case RegistryKind::segment:
      return "segment";
    case RegistryKind::area:
      return "area";
    case RegistryKind::hash:
      return "hash";
  }
  return "segment";
}

}  // namespace bgworker
