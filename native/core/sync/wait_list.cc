#include "core/sync/wait_list.h"

namespace bgworker {

void WaitList::pushBack(uint32_t node) {
  WaitNode& added = table_.node(node);
  uint32_t last = get(shared_.tail);
  set(added.prev, last);
  set(added.next, 0);
  if (last == 0) {
    set(shared_.head, node + 1);
  } else {
    set(table_.node(last - 1).next, node + 1);
  }
  set(shared_.tail, node + 1);
}

void WaitList::pushFront(uint32_t node) {
  WaitNode& added = table_.node(node);
  uint32_t first = get(shared_.head);
  set(added.next, first);
  set(added.prev, 0);
  if (first == 0) {
    set(shared_.tail, node + 1);
  } else {
    set(table_.node(first - 1).prev, node + 1);
  }
  set(shared_.head, node + 1);
}

void WaitList::remove(uint32_t node) {
  WaitNode& removed = table_.node(node);
  uint32_t next = get(removed.next);
  uint32_t prev = get(removed.prev);
  std::atomic<uint32_t>& forward = prev == 0 ? shared_.head : table_.node(prev - 1).next;
  std::atomic<uint32_t>& backward = next == 0 ? shared_.tail : table_.node(next - 1).prev;
  PM_ASSERT(get(forward) == node + 1 && get(backward) == node + 1,
            "the neighbours in a wait list agree");
  set(forward, next);
  set(backward, prev);
}

}  // namespace bgworker
