#include "addon/launcher_channel.h"

#include <limits>
#include <utility>

#include "addon/convert.h"
#include "addon/exec_request.h"
#include "addon/launcher_report.h"
#include "addon/main_area.h"

namespace bgworker {
namespace {

/** So that a flood of exits leaves the rest of the process its turns. */
constexpr int kReportsPerTurn = 64;

std::optional<uint32_t> readChildId(const Napi::Value& value) {
  std::optional<int64_t> childId =
      readInteger(value, "childId", 0, std::numeric_limits<uint32_t>::max());
  if (!childId.has_value()) return std::nullopt;
  return static_cast<uint32_t>(*childId);
}

}  // namespace

void LauncherChannel::define(Napi::Env env, Napi::Object exports) {
  using Self = LauncherChannel;
  exports.Set("LauncherChannel",
              DefineClass(env, "LauncherChannel",
                          {InstanceMethod("note", &Self::note), InstanceMethod("fork", &Self::fork),
                           InstanceMethod("exec", &Self::exec),
                           InstanceMethod("replaceArea", &Self::replaceArea),
                           InstanceMethod("close", &Self::close)}));
}

LauncherChannel::LauncherChannel(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<LauncherChannel>(info), inbox_(Direction::toPostmaster) {
  Napi::Env env = info.Env();
  std::optional<int> descriptor = readDescriptor(info[0], "descriptor");
  if (!descriptor.has_value()) return;
  if (!info[1].IsFunction() || !info[2].IsFunction()) {
    throwTypeError(env, "onReport and onClose must be functions");
    return;
  }
  int error = 0;
  handle_ = PollHandle::start(env, *descriptor, UV_READABLE, this, error);
  if (handle_ == nullptr) {
    throwSystemError(env, {"epoll_ctl", -error});
    return;
  }
  socket_.reset(*descriptor);
  onReport_.emplace(env, "bgworker:LauncherChannel", info[1].As<Napi::Function>());
  onClose_.emplace(env, "bgworker:LauncherChannel", info[2].As<Napi::Function>());
  // While it is open, it must not be collected, though nobody may hold it.
  Ref();
}

Napi::Value LauncherChannel::note(const Napi::CallbackInfo& info) {
  std::optional<std::span<const uint8_t>> body = readBytes(info[0], "body");
  if (!body.has_value()) return info.Env().Undefined();
  return post(info.Env(), {MessageKind::note, 0, 0, *body, {}});
}

Napi::Value LauncherChannel::fork(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<uint32_t> childId = readChildId(info[0]);
  if (!childId.has_value()) return env.Undefined();
  if (!info[1].IsBoolean()) return throwTypeError(env, "attach must be a boolean");
  uint16_t flags = info[1].As<Napi::Boolean>().Value() ? kFlagAttach : uint16_t{0};
  std::optional<std::span<const uint8_t>> payload = readBytes(info[2], "payload");
  if (!payload.has_value()) return env.Undefined();
  std::optional<std::vector<int>> descriptors = readDescriptors(info[3], "descriptors");
  if (!descriptors.has_value()) return env.Undefined();
  return post(env, {MessageKind::fork, *childId, flags, *payload, *descriptors});
}

Napi::Value LauncherChannel::exec(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  std::optional<uint32_t> childId = readChildId(info[0]);
  if (!childId.has_value()) return env.Undefined();
  std::optional<EncodedExecRequest> request = readExecRequest(info[1]);
  if (!request.has_value()) return env.Undefined();
  return post(env, {MessageKind::exec, *childId, 0, request->body.bytes(), request->descriptors});
}

Napi::Value LauncherChannel::replaceArea(const Napi::CallbackInfo& info) {
  MainAreaObject* area = MainAreaObject::from(info[0]);
  if (area == nullptr) return info.Env().Undefined();
  int descriptor = area->core()->descriptor();
  return post(info.Env(), {MessageKind::area, 0, 0, {}, {&descriptor, 1}});
}

Napi::Value LauncherChannel::post(Napi::Env env, const OutgoingMessage& message) {
  if (handle_ == nullptr) return throwSystemError(env, {"sendmsg", EPIPE});
  Status posted = outbox_.post(socket_.get(), message);
  if (!posted.ok()) return throwSystemError(env, posted.error());
  if (!outbox_.isEmpty()) handle_->setEvents(UV_READABLE | UV_WRITABLE);
  return env.Undefined();
}

void LauncherChannel::onPoll(int status, int events) {
  Napi::HandleScope scope(Env());
  // stop() gives up the reference that keeps this object; in here, the scope does.
  [[maybe_unused]] Napi::Object self = Value();
  if (status < 0) return lose();
  if ((events & UV_WRITABLE) != 0) {
    if (!outbox_.flush(socket_.get()).ok()) return lose();
    if (outbox_.isEmpty()) handle_->setEvents(UV_READABLE);
  }
  if ((events & UV_READABLE) != 0) receiveSome();
}

void LauncherChannel::receiveSome() {
  // Every callback may close the channel, hence the look at handle_ before each receive.
  for (int i = 0; i < kReportsPerTurn && handle_ != nullptr; ++i) {
    Result<ReceiveOutcome> outcome = inbox_.receive(socket_.get(), Blocking::no);
    // descriptorsLost: a pidfd found no number here. Without it the child is out of our control,
    // and the one way left to end it is to end the launcher.
    if (!outcome.ok() || outcome.value() == ReceiveOutcome::peerGone ||
        outcome.value() == ReceiveOutcome::descriptorsLost) {
      return lose();
    }
    if (outcome.value() == ReceiveOutcome::wouldBlock) return;
    Napi::HandleScope scope(Env());
    Napi::Value report = launcherReport(Env(), inbox_);
    if (report.IsEmpty()) return lose();
    onReport_->call({report});
  }
}

Napi::Value LauncherChannel::close(const Napi::CallbackInfo& info) {
  stop();
  return info.Env().Undefined();
}

void LauncherChannel::stop() {
  if (handle_ == nullptr) return;
  // libuv first: it still knows the number.
  std::exchange(handle_, nullptr)->close();
  socket_.reset();
  outbox_.clear();
  Unref();
}

void LauncherChannel::lose() {
  stop();
  onClose_->call({});
}

}  // namespace bgworker
