#include "addon/launcher_report.h"

#include <sys/wait.h>

#include <cstring>

namespace bgworker {
namespace {

/** The body of a kind whose length the inbox has checked. */
template <typename T>
T bodyAs(const Inbox& inbox) {
  T body;
  PM_ASSERT(inbox.inlineBody().size() == sizeof body, "the inbox checked this kind's length");
  std::memcpy(&body, inbox.inlineBody().data(), sizeof body);
  return body;
}

Napi::Object newReport(Napi::Env env, const char* kind) {
  Napi::Object report = Napi::Object::New(env);
  report.Set("kind", Napi::String::New(env, kind));
  return report;
}

void setNumber(Napi::Object object, const char* name, double value) {
  object.Set(name, Napi::Number::New(object.Env(), value));
}

Napi::Value noteReport(Napi::Env env, const Inbox& inbox) {
  Result<std::vector<uint8_t>> body = inbox.copyBody();
  if (!body.ok()) return {};
  Napi::Object report = newReport(env, "note");
  report.Set("body", Napi::Buffer<uint8_t>::Copy(env, body.value().data(), body.value().size()));
  return report;
}

Napi::Value forkedReport(Napi::Env env, Inbox& inbox) {
  ForkedBody body = bodyAs<ForkedBody>(inbox);
  if (body.pid <= 0) return {};
  Napi::Object report = newReport(env, "forked");
  setNumber(report, "childId", inbox.header().childId);
  setNumber(report, "pid", body.pid);
  setNumber(report, "pidfd", inbox.descriptors().front().release());
  return report;
}

Napi::Value failedReport(Napi::Env env, const Inbox& inbox) {
  FailedBody body = bodyAs<FailedBody>(inbox);
  Napi::Object report = newReport(env, "failed");
  setNumber(report, "childId", inbox.header().childId);
  report.Set("call", Napi::String::New(env, body.call, strnlen(body.call, sizeof body.call)));
  setNumber(report, "errno", body.errorNumber);
  return report;
}

/** Empty if it is no status that a child can have ended with. */
Napi::Value waitStatus(Napi::Env env, int status) {
  Napi::Object object = Napi::Object::New(env);
  if (WIFEXITED(status)) {
    object.Set("kind", Napi::String::New(env, "code"));
    setNumber(object, "code", WEXITSTATUS(status));
    return object;
  }
  if (!WIFSIGNALED(status)) return {};
  object.Set("kind", Napi::String::New(env, "signal"));
  setNumber(object, "signal", WTERMSIG(status));
  object.Set("coreDumped", Napi::Boolean::New(env, WCOREDUMP(status)));
  return object;
}

Napi::Value exitedReport(Napi::Env env, const Inbox& inbox) {
  ExitedBody body = bodyAs<ExitedBody>(inbox);
  Napi::Value status = waitStatus(env, body.waitStatus);
  if (status.IsEmpty()) return {};
  Napi::Object usage = Napi::Object::New(env);
  setNumber(usage, "userUs", static_cast<double>(body.userUs));
  setNumber(usage, "systemUs", static_cast<double>(body.systemUs));
  setNumber(usage, "maxResidentKb", static_cast<double>(body.maxResidentKb));
  Napi::Object report = newReport(env, "exited");
  setNumber(report, "childId", inbox.header().childId);
  setNumber(report, "pid", body.pid);
  report.Set("status", status);
  report.Set("usage", usage);
  return report;
}

}  // namespace

Napi::Value launcherReport(Napi::Env env, Inbox& inbox) {
  switch (inbox.header().kind) {
    case MessageKind::note:
      return noteReport(env, inbox);
    case MessageKind::forked:
      return forkedReport(env, inbox);
    case MessageKind::failed:
      return failedReport(env, inbox);
    case MessageKind::exited:
      return exitedReport(env, inbox);
    case MessageKind::fork:
    case MessageKind::exec:
    case MessageKind::area:
    case MessageKind::descriptors:
      break;
  }
  return {};  // The inbox refuses the other direction's kinds.
}

}  // namespace bgworker
