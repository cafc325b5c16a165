// hash.cc: hash tables by name (include/bgworker/hash.h).
//
// What a callback holds is known to the holdings: a process has one partition at most, and must not
// ask for another meanwhile.

#include <cstring>

#include "core/face/context.h"
#include "core/face/tables.h"

namespace bgworker::face {
namespace {

/** For as long as a callback looks at it. */
class Showing {
 public:
  Showing(Holdings& held, HeldEntry entry) : held_(held) { held_.heldEntry = entry; }
  ~Showing() { held_.heldEntry = {}; }
  Showing(const Showing&) = delete;
  Showing& operator=(const Showing&) = delete;

 private:
  Holdings& held_;
};

int open(bgworker_context* context, const char* name, size_t bytes, uint32_t maxKeyBytes,
         uint32_t maxValueBytes, bgworker_hash_handle* handle) {
  Holdings* held = nullptr;
  if (int refused = enter(context, &held)) return refused;
  if (name == nullptr || handle == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  if (held->entryIsHeld()) return BGWORKER_ERR_ENTRY_HELD;
  Result<Hash> hash = held->memory.registry.hash(name, bytes, {maxKeyBytes, maxValueBytes});
  if (!hash.ok()) return errorOf(hash.error());
  held->watch(held->memory.segments.findAround(hash.value().address(), 1).handle);
  handle->id = held->hashes.add(std::make_unique<Hash>(std::move(hash.value())));
  return 0;
}

int enterAtHash(bgworker_context* context, bgworker_hash_handle handle, Holdings** held,
                Hash** hash) {
  if (int refused = enter(context, held)) return refused;
  if ((*held)->entryIsHeld()) return BGWORKER_ERR_ENTRY_HELD;
  *hash = (*held)->hashes.find(handle.id);
  return *hash == nullptr ? BGWORKER_ERR_BAD_HANDLE : 0;
}

struct Key {
  const void* data;
  size_t bytes;

  std::span<const std::byte> span() const { return {static_cast<const std::byte*>(data), bytes}; }
};

int enterWithKey(bgworker_context* context, bgworker_hash_handle handle, const Key& key,
                 Holdings** held, Hash** hash) {
  if (int refused = enterAtHash(context, handle, held, hash)) return refused;
  return key.data == nullptr ? BGWORKER_ERR_INVALID_ARGUMENT : 0;
}

int find(bgworker_context* context, bgworker_hash_handle handle, const void* key, size_t keyBytes,
         void* value, size_t* valueBytes) {
  Holdings* held = nullptr;
  Hash* hash = nullptr;
  const Key wanted{key, keyBytes};
  if (int refused = enterWithKey(context, handle, wanted, &held, &hash)) return refused;
  if (valueBytes == nullptr || (value == nullptr && *valueBytes > 0)) {
    return BGWORKER_ERR_INVALID_ARGUMENT;
  }
  Result<HashEntry> entry = hash->find(wanted.span());
  if (!entry.ok()) return errorOf(entry.error());
  if (!entry.value().exists()) return 0;
  const std::span<std::byte> found = entry.value().value();
  const size_t room = *valueBytes;
  *valueBytes = found.size();
  if (found.size() > room) return BGWORKER_ERR_BUFFER_TOO_SMALL;
  if (!found.empty()) std::memcpy(value, found.data(), found.size());
  return 1;
}

int insert(bgworker_context* context, bgworker_hash_handle handle, const void* key, size_t keyBytes,
           const void* value, size_t valueBytes, int replace) {
  Holdings* held = nullptr;
  Hash* hash = nullptr;
  const Key wanted{key, keyBytes};
  if (int refused = enterWithKey(context, handle, wanted, &held, &hash)) return refused;
  if (value == nullptr && valueBytes > 0) return BGWORKER_ERR_INVALID_ARGUMENT;
  if (valueBytes > kMostValueBytes) return BGWORKER_ERR_VALUE_LENGTH;
  Result<HashEntry> made = hash->findOrInsert(wanted.span(), static_cast<uint32_t>(valueBytes));
  if (!made.ok()) return errorOf(made.error());
  HashEntry& entry = made.value();
  if (entry.inserted()) {
    if (valueBytes > 0) std::memcpy(entry.value().data(), value, valueBytes);
    return 1;
  }
  if (replace == 0) return 0;
  return errorOf(entry.assign({static_cast<const std::byte*>(value), valueBytes}));
}

int removeVerb(bgworker_context* context, bgworker_hash_handle handle, const void* key,
               size_t keyBytes) {
  Holdings* held = nullptr;
  Hash* hash = nullptr;
  const Key wanted{key, keyBytes};
  if (int refused = enterWithKey(context, handle, wanted, &held, &hash)) return refused;
  Result<bool> erased = hash->erase(wanted.span());
  if (!erased.ok()) return errorOf(erased.error());
  return erased.value() ? 1 : 0;
}

void show(Holdings& held, HashEntry& entry, bgworker_hash_visitor visit, void* arg) {
  const Showing showing(held, &entry);
  const std::span<std::byte> value = entry.value();
  visit(value.data(), value.size(), entry.inserted() ? 1 : 0, arg);
}

int visitVerb(bgworker_context* context, bgworker_hash_handle handle, const void* key,
              size_t keyBytes, bgworker_hash_visitor visit, void* arg) {
  Holdings* held = nullptr;
  Hash* hash = nullptr;
  const Key wanted{key, keyBytes};
  if (int refused = enterWithKey(context, handle, wanted, &held, &hash)) return refused;
  if (visit == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  Result<HashEntry> entry = hash->find(wanted.span());
  if (!entry.ok()) return errorOf(entry.error());
  if (!entry.value().exists()) return 0;
  show(*held, entry.value(), visit, arg);
  return 1;
}

int visitOrInsert(bgworker_context* context, bgworker_hash_handle handle, const void* key,
                  size_t keyBytes, size_t valueBytes, bgworker_hash_visitor visit, void* arg) {
  Holdings* held = nullptr;
  Hash* hash = nullptr;
  const Key wanted{key, keyBytes};
  if (int refused = enterWithKey(context, handle, wanted, &held, &hash)) return refused;
  if (visit == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  if (valueBytes > kMostValueBytes) return BGWORKER_ERR_VALUE_LENGTH;
  Result<HashEntry> entry = hash->findOrInsert(wanted.span(), static_cast<uint32_t>(valueBytes));
  if (!entry.ok()) return errorOf(entry.error());
  const bool inserted = entry.value().inserted();
  show(*held, entry.value(), visit, arg);
  return inserted ? 1 : 0;
}

int scanVerb(bgworker_context* context, bgworker_hash_handle handle, bgworker_hash_scanner look,
             void* arg) {
  Holdings* held = nullptr;
  Hash* hash = nullptr;
  if (int refused = enterAtHash(context, handle, &held, &hash)) return refused;
  if (look == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  Hash::Scan scan(*hash);
  for (;;) {
    Result<std::optional<HashItemView>> next = scan.next();
    if (!next.ok()) return errorOf(next.error());
    if (!next.value().has_value()) return 0;
    const Showing showing(*held, &scan);
    const auto& [pointer, item, code, capacity, key, value] = *next.value();
    if (look(key.data(), key.size(), value.data(), value.size(), arg) != 0) return 1;
  }
}

int countVerb(bgworker_context* context, bgworker_hash_handle handle, uint64_t* count) {
  Holdings* held = nullptr;
  Hash* hash = nullptr;
  if (int refused = enterAtHash(context, handle, &held, &hash)) return refused;
  if (count == nullptr) return BGWORKER_ERR_INVALID_ARGUMENT;
  *count = hash->count();
  return 0;
}

}  // namespace

const bgworker_hash_api kHashApi = {
    open, find, insert, removeVerb, visitVerb, visitOrInsert, scanVerb, countVerb,
};

}  // namespace bgworker::face
