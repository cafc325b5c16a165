// attachment_segments.cc: dynamic segments, each with an ArrayBuffer for as long as it is mapped.

#include "addon/attachment.h"
#include "addon/convert.h"
#include "addon/shared_error.h"

namespace bgworker {
namespace {

std::optional<uint32_t> readHandle(const Napi::Value& value) {
  std::optional<int64_t> handle = readInteger(value, "handle", 0, UINT32_MAX);
  if (!handle.has_value()) return std::nullopt;
  return static_cast<uint32_t>(*handle);
}

}  // namespace

void AttachmentObject::onSegmentDetach(const SegmentView& view, void* object) {
  auto* self = static_cast<AttachmentObject*>(object);
  self->attached_->endWaitsWithin(view.address, view.bytes);
  auto found = self->attached_->buffers.find(view.handle);
  if (found == self->attached_->buffers.end()) return;
  Napi::HandleScope scope(self->Env());
  found->second.Value().Detach();
  self->attached_->buffers.erase(found);
}

Napi::Value AttachmentObject::bufferOf(Napi::Env env, const SegmentView& view) {
  auto found = attached_->buffers.find(view.handle);
  if (found != attached_->buffers.end()) return found->second.Value();
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, view.address, view.bytes);
  if (env.IsExceptionPending()) {
    attached_->segments.detach(view.handle);
    throwTooLarge(env);
    return {};
  }
  attached_->buffers.emplace(view.handle, Napi::Persistent(buffer));
  // It is mapped, or there would be no view.
  (void)attached_->segments.onDetach(view.handle, onSegmentDetach, this).ok();
  return buffer;
}

Napi::Value AttachmentObject::segmentObject(Napi::Env env, const SegmentView& view) {
  Napi::Value buffer = bufferOf(env, view);
  if (buffer.IsEmpty()) return env.Undefined();
  Napi::Object object = Napi::Object::New(env);
  object.Set("handle", Napi::Number::New(env, view.handle));
  object.Set("buffer", buffer);
  return object;
}

Napi::Value AttachmentObject::createSegment(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  std::optional<int64_t> bytes = readInteger(info[0], "bytes", 0, int64_t{1} << 52);
  if (!bytes.has_value()) return info.Env().Undefined();
  Result<SegmentView> view = attached->segments.create(static_cast<size_t>(*bytes));
  if (!view.ok()) return throwSharedError(info.Env(), view.error());
  return segmentObject(info.Env(), view.value());
}

Napi::Value AttachmentObject::attachSegment(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  std::optional<uint32_t> handle = readHandle(info[0]);
  if (!handle.has_value()) return info.Env().Undefined();
  Result<SegmentView> view = attached->segments.attach(*handle);
  if (!view.ok()) return throwSharedError(info.Env(), view.error());
  return segmentObject(info.Env(), view.value());
}

Napi::Value AttachmentObject::findSegment(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  std::optional<uint32_t> handle = readHandle(info[0]);
  if (!handle.has_value()) return info.Env().Undefined();
  SegmentView view = attached->segments.find(*handle);
  if (view.address == nullptr) return info.Env().Null();
  return segmentObject(info.Env(), view);
}

Napi::Value AttachmentObject::detachSegment(const Info& info) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  std::optional<uint32_t> handle = readHandle(info[0]);
  if (handle.has_value()) attached->segments.detach(*handle);
  return info.Env().Undefined();
}

Napi::Value AttachmentObject::releaseUnpinned(const Info& info) {
  if (Attached* attached = live(info)) attached->segments.releaseUnpinned();
  return info.Env().Undefined();
}

Napi::Value AttachmentObject::segmentVerb(const Info& info,
                                          Status (DynamicSegments::*verb)(uint32_t)) {
  Attached* attached = live(info);
  if (attached == nullptr) return info.Env().Undefined();
  std::optional<uint32_t> handle = readHandle(info[0]);
  if (!handle.has_value()) return info.Env().Undefined();
  return throwSharedIfFailed(info.Env(), (attached->segments.*verb)(*handle));
}

Napi::Value AttachmentObject::pinMapping(const Info& info) {
  return segmentVerb(info, &DynamicSegments::pinMapping);
}

Napi::Value AttachmentObject::unpinMapping(const Info& info) {
  return segmentVerb(info, &DynamicSegments::unpinMapping);
}

Napi::Value AttachmentObject::pinSegment(const Info& info) {
  return segmentVerb(info, &DynamicSegments::pinSegment);
}

Napi::Value AttachmentObject::unpinSegment(const Info& info) {
  return segmentVerb(info, &DynamicSegments::unpinSegment);
}

Napi::Value AttachmentObject::listSegments(const Info& info) {
  Napi::Env env = info.Env();
  Attached* attached = live(info);
  if (attached == nullptr) return env.Undefined();
  Napi::Array list = Napi::Array::New(env);
  for (const SegmentRecord& record : attached->segments.list()) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("handle", Napi::Number::New(env, record.handle));
    object.Set("bytes", Napi::Number::New(env, static_cast<double>(record.bytes)));
    object.Set("pinned", Napi::Boolean::New(env, record.pinned));
    list.Set(list.Length(), object);
  }
  return list;
}

}  // namespace bgworker
