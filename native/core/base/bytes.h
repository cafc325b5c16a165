// bytes.h: numbers and counted strings in a message body.
//
// Both ends run on one machine, from one build, so numbers travel in its own byte order. The
// reader checks every length against what is left, and remembers the first that did not fit: ask
// valid() once, at the end, before you use anything that was read.

#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace bgworker {

class ByteWriter {
 public:
  template <typename T>
    requires std::is_trivially_copyable_v<T>
  void number(T value) {
    const auto* first = reinterpret_cast<const uint8_t*>(&value);
    bytes_.insert(bytes_.end(), first, first + sizeof value);
  }
  /** The length, the bytes and a NUL, so that the receiver can use the string where it lies. */
  void string(std::string_view text) {
    number(static_cast<uint32_t>(text.size()));
    bytes_.insert(bytes_.end(), text.begin(), text.end());
    bytes_.push_back(0);
  }
  std::span<const uint8_t> bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::span<const uint8_t> bytes) : rest_(bytes) {}

  template <typename T>
    requires std::is_trivially_copyable_v<T>
  T number() {
    T value{};
    if (!has(sizeof value)) return value;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_ = rest_.subspan(sizeof value);
    return value;
  }
  /** A string that contains no NUL but its last; "" once anything was wrong. */
  const char* string() {
    uint32_t length = number<uint32_t>();
    if (!has(static_cast<size_t>(length) + 1)) return "";
    const char* text = reinterpret_cast<const char*>(rest_.data());
    if (strnlen(text, static_cast<size_t>(length) + 1) != length) valid_ = false;
    rest_ = rest_.subspan(static_cast<size_t>(length) + 1);
    return valid_ ? text : "";
  }
  /** A count of things that take at least `leastBytes` each; 0 if they cannot all be here. */
  uint32_t count(size_t leastBytes) {
    uint32_t value = number<uint32_t>();
    return has(value * leastBytes) ? value : 0;
  }
  void refuse() { valid_ = false; }
  /** Everything fitted, and nothing is left over. */
  bool complete() const { return valid_ && rest_.empty(); }
  bool valid() const { return valid_; }

 private:
  bool has(size_t bytes) {
    if (bytes > rest_.size()) valid_ = false;
    return valid_;
  }

  std::span<const uint8_t> rest_;
  bool valid_ = true;
};

}  // namespace bgworker
