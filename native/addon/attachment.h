// attachment.h: Attachment of lib/native/attachment.ts: a worker's own hold on shared memory.
//
// Made once in an attached process, right after MainArea.attach(), and ended in its exit path,
// before MainArea.detach(). After end() every verb throws ERR_SHMEM_LEFT. The verbs are thin; each
// kind of thing has its own attachment_*.cc.
//
// A place in shared memory comes from JavaScript as an ArrayBuffer and an offset in it, and is
// looked up among what is mapped before it is touched. The ArrayBuffer of a segment is detached
// before its memory is unmapped, so no JavaScript can touch addresses that are gone.

#pragma once

#include <napi.h>

#include <memory>
#include <optional>

#include "addon/attached.h"

namespace bgworker {

class AttachmentObject : public Napi::ObjectWrap<AttachmentObject> {
 public:
  static void define(Napi::Env env, Napi::Object exports);
  explicit AttachmentObject(const Napi::CallbackInfo& info);
  ~AttachmentObject();

  /** For a worker in C, which has the thread to itself. Null, having thrown, if the value is none
   * of ours, or has ended. */
  static Attached* attachedOf(const Napi::Value& value);

 private:
  using Info = Napi::CallbackInfo;

  // attachment.cc
  Napi::Value end(const Info& info);
  Napi::Value fixed(const Info& info);
  Napi::Value slot(const Info& info);
  Napi::Value processTableOffset(const Info& info);
  Napi::Value doorbell(const Info& info);
  Napi::Value loopWatches(const Info& info);
  Napi::Value prepareToSleep(const Info& info);
  Napi::Value consume(const Info& info);
  Napi::Value ring(const Info& info);
  Napi::Value wake(const Info& info);
  // attachment_names.cc
  Napi::Value claimStruct(const Info& info);
  Napi::Value publishStruct(const Info& info);
  Napi::Value abandonStruct(const Info& info);
  Napi::Value listStructs(const Info& info);
  Napi::Value claimNamed(const Info& info);
  Napi::Value publishNamed(const Info& info);
  Napi::Value abandonNamed(const Info& info);
  Napi::Value listNamed(const Info& info);
  // attachment_segments.cc
  Napi::Value createSegment(const Info& info);
  Napi::Value attachSegment(const Info& info);
  Napi::Value findSegment(const Info& info);
  Napi::Value detachSegment(const Info& info);
  Napi::Value releaseUnpinned(const Info& info);
  Napi::Value pinMapping(const Info& info);
  Napi::Value unpinMapping(const Info& info);
  Napi::Value pinSegment(const Info& info);
  Napi::Value unpinSegment(const Info& info);
  Napi::Value listSegments(const Info& info);
  // attachment_hash.cc
  Napi::Value openHash(const Info& info);
  Napi::Value hashFind(const Info& info);
  Napi::Value hashInsert(const Info& info);
  Napi::Value hashUpdate(const Info& info);
  Napi::Value hashDelete(const Info& info);
  Napi::Value hashScan(const Info& info);
  Napi::Value hashCount(const Info& info);
  // attachment_locks.cc
  Napi::Value tryLock(const Info& info);
  Napi::Value beginLock(const Info& info);
  Napi::Value isGranted(const Info& info);
  Napi::Value cancelLock(const Info& info);
  Napi::Value acquireLock(const Info& info);
  Napi::Value releaseLock(const Info& info);
  // attachment_waits.cc
  Napi::Value beginCondition(const Info& info);
  Napi::Value takeWake(const Info& info);
  Napi::Value cancelCondition(const Info& info);
  Napi::Value signalCondition(const Info& info);
  Napi::Value broadcastCondition(const Info& info);
  Napi::Value sleepOnCondition(const Info& info);
  Napi::Value endSleep(const Info& info);
  Napi::Value initBarrier(const Info& info);
  Napi::Value attachBarrier(const Info& info);
  Napi::Value detachBarrier(const Info& info);
  Napi::Value arriveAndDetach(const Info& info);
  Napi::Value arriveAndDetachExceptLast(const Info& info);
  Napi::Value barrierState(const Info& info);
  Napi::Value beginArrival(const Info& info);
  Napi::Value arrivalState(const Info& info);
  Napi::Value forgetArrival(const Info& info);
  Napi::Value arriveAndWait(const Info& info);

  /** Null, having thrown, once it has ended. */
  Attached* live(const Info& info);
  /** The ArrayBuffer of a mapping, always the same one. Empty, having thrown, if there can be none
   * of its size; then the segment is detached. */
  Napi::Value bufferOf(Napi::Env env, const SegmentView& view);
  /** undefined, having thrown, likewise. */
  Napi::Value segmentObject(Napi::Env env, const SegmentView& view);
  Napi::Value segmentVerb(const Info& info, Status (DynamicSegments::*verb)(uint32_t));
  Napi::Value leaveBarrier(const Info& info,
                           bool (*verb)(ThisProcess&, SharedBarrier&, barrier::ArrivedIn));
  Hash* hashOf(const Info& info);

  template <typename T>
  T* placeOf(const Info& info) {
    return static_cast<T*>(placeOf(info, sizeof(T), alignof(T)));
  }
  /** The first two arguments as a place; null, having thrown, if it is none of ours. */
  void* placeOf(const Info& info, size_t bytes, size_t alignment);
  static void onSegmentDetach(const SegmentView& view, void* object);

  std::unique_ptr<Attached> attached_;
  Napi::ObjectReference area_;
  Napi::Reference<Napi::ArrayBuffer> fixed_;
};

}  // namespace bgworker
