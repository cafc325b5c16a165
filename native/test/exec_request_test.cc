// exec_request_test.cc: an EXEC body survives the journey, and a spoiled one is refused.

#include "core/ipc/exec_request.h"

#include "test/harness.h"

using namespace bgworker;

namespace {

ExecRequest example() {
  ExecRequest request;
  request.file = "sh";
  request.args = {"sh", "-c", ""};
  request.env = {"PATH=/bin", "EMPTY="};
  request.cwd = "/tmp";
  request.uid = 65534;
  request.deathSignal = 3;
  request.targets = {0, 7, 1023};
  request.limits = {{7, 64, kNoLimit}};
  return request;
}

bool isRefused(const ExecRequest& request) {
  ByteWriter writer;
  encode(request, writer);
  return !decodeExecRequest(writer.bytes()).has_value();
}

}  // namespace

TEST("a request is decoded as it was encoded") {
  ByteWriter writer;
  encode(example(), writer);
  std::optional<ExecRequest> decoded = decodeExecRequest(writer.bytes());
  CHECK(decoded.has_value());
  CHECK_EQUAL(std::string(decoded->file), "sh");
  CHECK_EQUAL(decoded->args.size(), 3UL);
  CHECK_EQUAL(std::string(decoded->args[1]), "-c");
  CHECK_EQUAL(std::string(decoded->env[1]), "EMPTY=");
  CHECK_EQUAL(std::string(decoded->cwd), "/tmp");
  CHECK(decoded->uid == 65534U && !decoded->gid.has_value());
  CHECK_EQUAL(decoded->deathSignal, 3);
  CHECK_EQUAL(decoded->targets[2], 1023);
  CHECK(decoded->limits[0].soft == 64 && decoded->limits[0].hard == kNoLimit);
}

TEST("every cut of a request is refused, and every excess") {
  ByteWriter writer;
  encode(example(), writer);
  std::span<const uint8_t> whole = writer.bytes();
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    // A copy of its exact size, so that the address sanitizer sees a read beyond it.
    std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(bytes));
    CHECK(!decodeExecRequest(cut).has_value());
  }
  std::vector<uint8_t> longer(whole.begin(), whole.end());
  longer.push_back(0);
  CHECK(!decodeExecRequest(longer).has_value());
}

TEST("no spoiled byte makes the decoder read beyond the body") {
  ByteWriter writer;
  encode(example(), writer);
  for (size_t i = 0; i < writer.bytes().size(); ++i) {
    for (int value : {0, 1, 0x7f, 0x80, 0xff}) {
      std::vector<uint8_t> spoiled(writer.bytes().begin(), writer.bytes().end());
      spoiled[i] = static_cast<uint8_t>(value);
      (void)decodeExecRequest(spoiled);  // the sanitizers are the judge
    }
  }
}

TEST("targets out of range or twice, bad signals and missing argv[0] are refused") {
  CHECK(!isRefused(example()));
  for (int32_t target : {-1, kMaxTarget + 1, 7}) {
    ExecRequest request = example();
    request.targets = {7, target};
    CHECK(isRefused(request));
  }
  for (int32_t signal : {-1, 65}) {
    ExecRequest request = example();
    request.deathSignal = signal;
    CHECK(isRefused(request));
  }
  ExecRequest request = example();
  request.args.clear();
  CHECK(isRefused(request));
}
