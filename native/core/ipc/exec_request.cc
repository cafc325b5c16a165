#include "core/ipc/exec_request.h"

#include <bitset>
#include <csignal>

namespace bgworker {
namespace {

void encodeStrings(const std::vector<const char*>& strings, ByteWriter& writer) {
  writer.number(static_cast<uint32_t>(strings.size()));
  for (const char* text : strings) writer.string(text);
}

std::vector<const char*> decodeStrings(ByteReader& reader) {
  std::vector<const char*> strings(reader.count(sizeof(uint32_t) + 1));
  for (const char*& text : strings) text = reader.string();
  return strings;
}

void encodeOptional(const std::optional<uint32_t>& value, ByteWriter& writer) {
  writer.number(static_cast<uint8_t>(value.has_value()));
  writer.number(value.value_or(0));
}

std::optional<uint32_t> decodeOptional(ByteReader& reader) {
  bool given = reader.number<uint8_t>() != 0;
  uint32_t value = reader.number<uint32_t>();
  return given ? std::optional(value) : std::nullopt;
}

std::vector<int32_t> decodeTargets(ByteReader& reader) {
  std::vector<int32_t> targets(reader.count(sizeof(int32_t)));
  std::bitset<kMaxTarget + 1> taken;
  for (int32_t& target : targets) {
    target = reader.number<int32_t>();
    if (target < 0 || target > kMaxTarget || taken[static_cast<size_t>(target)]) {
      reader.refuse();
      return {};
    }
    taken.set(static_cast<size_t>(target));
  }
  return targets;
}

std::vector<ResourceLimit> decodeLimits(ByteReader& reader) {
  std::vector<ResourceLimit> limits(reader.count(sizeof(int32_t) + 2 * sizeof(uint64_t)));
  for (ResourceLimit& limit : limits) {
    limit.resource = reader.number<int32_t>();
    limit.soft = reader.number<uint64_t>();
    limit.hard = reader.number<uint64_t>();
  }
  return limits;
}

}  // namespace

void encode(const ExecRequest& request, ByteWriter& writer) {
  writer.string(request.file);
  encodeStrings(request.args, writer);
  encodeStrings(request.env, writer);
  writer.number(static_cast<uint8_t>(request.cwd != nullptr));
  writer.string(request.cwd == nullptr ? "" : request.cwd);
  encodeOptional(request.uid, writer);
  encodeOptional(request.gid, writer);
  writer.number(request.deathSignal);
  writer.number(static_cast<uint32_t>(request.targets.size()));
  for (int32_t target : request.targets) writer.number(target);
  writer.number(static_cast<uint32_t>(request.limits.size()));
  for (const ResourceLimit& limit : request.limits) {
    writer.number(limit.resource);
    writer.number(limit.soft);
    writer.number(limit.hard);
  }
}

std::optional<ExecRequest> decodeExecRequest(std::span<const uint8_t> body) {
  ByteReader reader(body);
  ExecRequest request;
  request.file = reader.string();
  request.args = decodeStrings(reader);
  request.env = decodeStrings(reader);
  bool hasDirectory = reader.number<uint8_t>() != 0;
  const char* directory = reader.string();
  request.cwd = hasDirectory ? directory : nullptr;
  request.uid = decodeOptional(reader);
  request.gid = decodeOptional(reader);
  request.deathSignal = reader.number<int32_t>();
  request.targets = decodeTargets(reader);
  request.limits = decodeLimits(reader);
  if (request.args.empty()) reader.refuse();
  if (request.deathSignal < 0 || request.deathSignal > SIGRTMAX) reader.refuse();
  if (!reader.complete()) return std::nullopt;
  return request;
}

}  // namespace bgworker
