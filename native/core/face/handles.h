// handles.h: what a worker in C has in its hands, as numbers that can be told to be stale.
//
// A handle is a place in the list and how often that place was used: so one that was given back, or
// that never was one, is found out and not followed. 0 is none.

#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace bgworker::face {

template <typename T>
class Handles {
 public:
  uint64_t add(std::unique_ptr<T> item) {
    size_t index = 0;
    while (index < places_.size() && places_[index].item != nullptr) ++index;
    if (index == places_.size()) places_.emplace_back();
    places_[index].item = std::move(item);
    return static_cast<uint64_t>(places_[index].generation) << 32 | (index + 1);
  }
  /** Null if there is none. */
  T* find(uint64_t handle) const {
    const uint64_t index = (handle & UINT32_MAX) - 1;
    if (index >= places_.size() || places_[index].generation != handle >> 32) return nullptr;
    return places_[index].item.get();
  }
  /** The item goes once it can be found no more. */
  void drop(uint64_t handle) {
    if (find(handle) == nullptr) return;
    Place& place = places_[(handle & UINT32_MAX) - 1];
    ++place.generation;
    const std::unique_ptr<T> last = std::move(place.item);
  }
  /** Of the first item for which `holds`; 0 if there is none. */
  template <typename Condition>
  uint64_t search(Condition holds) const {
    for (size_t index = 0; index < places_.size(); ++index) {
      const Place& place = places_[index];
      if (place.item == nullptr || !holds(*place.item)) continue;
      return static_cast<uint64_t>(place.generation) << 32 | (index + 1);
    }
    return 0;
  }
  template <typename Condition>
  void dropAll(Condition holds) {
    while (uint64_t handle = search(holds)) drop(handle);
  }

 private:
  struct Place {
    std::unique_ptr<T> item;
    uint32_t generation = 1;
  };
  std::vector<Place> places_;
};

}  // namespace bgworker::face
