// channel_test.cc: messages arrive whole or not at all, and no descriptor is ever lost.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <functional>

#include "core/ipc/inbox.h"
#include "core/ipc/outbox.h"
#include "core/shm/memory_file.h"
#include "test/processes.h"

using namespace bgworker;
using processes::countDescriptors;

namespace {

DescriptorPair socketPair() {
  Result<DescriptorPair> pair = makeSocketPair();
  CHECK(pair.ok());
  return std::move(pair.value());
}

std::vector<uint8_t> pattern(size_t bytes) {
  std::vector<uint8_t> body(bytes);
  for (size_t i = 0; i < bytes; ++i) body[i] = static_cast<uint8_t>(i * 31 + i / 256);
  return body;
}

MessageHeader soundNote(uint32_t bodyBytes) {
  return {kMessageMagic, MessageKind::note, 0, 0, bodyBytes, 0, 0};
}

/** Sends what no Packet would. */
void sendRaw(int socket, const void* bytes, size_t length, const std::vector<int>& numbers = {}) {
  iovec part{const_cast<void*>(bytes), length};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  std::vector<char> control(CMSG_SPACE(numbers.size() * sizeof(int)));
  if (!numbers.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(numbers.size() * sizeof(int));
    std::memcpy(CMSG_DATA(rights), numbers.data(), numbers.size() * sizeof(int));
  }
  CHECK_EQUAL(sendmsg(socket, &message, MSG_NOSIGNAL), static_cast<ssize_t>(length));
}

/** The errno with which a message is refused; 0 if it is not. Checks that no descriptor leaks. */
int refusalOf(const void* bytes, size_t length, const std::vector<int>& numbers = {},
              Direction direction = Direction::toLauncher) {
  DescriptorPair ends = socketPair();
  Inbox inbox(direction);
  int before = countDescriptors();
  sendRaw(ends.first.get(), bytes, length, numbers);
  Result<ReceiveOutcome> outcome = inbox.receive(ends.second.get(), Blocking::no);
  int refusal = outcome.ok() ? 0 : outcome.error().number;
  if (refusal != 0) CHECK_EQUAL(countDescriptors(), before);
  return refusal;
}

int refusalOf(const MessageHeader& header, const std::vector<int>& numbers = {},
              Direction direction = Direction::toLauncher) {
  return refusalOf(&header, sizeof header, numbers, direction);
}

}  // namespace

TEST("a body of any length arrives as it was sent") {
  for (size_t bytes : {0UL, 1UL, 32767UL, 32768UL, 32769UL, 5000000UL}) {
    int before = countDescriptors();
    {
      DescriptorPair ends = socketPair();
      std::vector<uint8_t> body = pattern(bytes);
      Result<SendOutcome> sent =
          sendMessage(ends.first.get(), {MessageKind::fork, 7, kFlagAttach, body, {}});
      CHECK(sent.ok() && sent.value() == SendOutcome::sent);
      Inbox inbox(Direction::toLauncher);
      Result<ReceiveOutcome> outcome = inbox.receive(ends.second.get(), Blocking::no);
      CHECK(outcome.ok() && outcome.value() == ReceiveOutcome::message);
      CHECK_EQUAL(inbox.header().childId, 7U);
      CHECK((inbox.header().flags & kFlagAttach) != 0);
      CHECK_EQUAL((inbox.header().flags & kFlagBodyInFile) != 0, bytes > kInlineBodyBytes);
      Result<std::vector<uint8_t>> copy = inbox.copyBody();
      CHECK(copy.ok() && copy.value() == body);
    }
    CHECK_EQUAL(countDescriptors(), before);
  }
}

TEST("descriptors arrive in order, close-on-exec, beside a body in a file, too") {
  for (size_t bytes : {3UL, 100000UL}) {
    int before = countDescriptors();
    {
      DescriptorPair ends = socketPair(), one = processes::pipePair(), two = processes::pipePair();
      std::vector<uint8_t> body = pattern(bytes);
      int numbers[] = {one.second.get(), two.second.get()};
      CHECK(sendMessage(ends.first.get(), {MessageKind::fork, 1, 0, body, numbers}).ok());
      Inbox inbox(Direction::toLauncher);
      CHECK(inbox.receive(ends.second.get(), Blocking::yes).ok());
      CHECK_EQUAL(inbox.descriptors().size(), 2UL);
      for (const Descriptor& descriptor : inbox.descriptors()) {
        CHECK((fcntl(descriptor.get(), F_GETFD) & FD_CLOEXEC) != 0);
      }
      processes::writeByte(inbox.descriptors()[0].get(), 'a');
      processes::writeByte(inbox.descriptors()[1].get(), 'b');
      CHECK_EQUAL(processes::readByte(one.first.get()), 'a');
      CHECK_EQUAL(processes::readByte(two.first.get()), 'b');
    }
    CHECK_EQUAL(countDescriptors(), before);
  }
}

TEST("as many descriptors as allowed pass, one more is refused by the sender") {
  DescriptorPair ends = socketPair();
  std::vector<int> numbers(kMaxDescriptors, STDERR_FILENO);
  std::vector<uint8_t> body = pattern(40000);
  CHECK(sendMessage(ends.first.get(), {MessageKind::fork, 1, 0, body, numbers}).ok());
  Inbox inbox(Direction::toLauncher);
  CHECK(inbox.receive(ends.second.get(), Blocking::yes).ok());
  CHECK_EQUAL(inbox.descriptors().size(), kMaxDescriptors);
  numbers.push_back(STDERR_FILENO);
  Result<SendOutcome> refused =
      sendMessage(ends.first.get(), {MessageKind::fork, 1, 0, body, numbers});
  CHECK(!refused.ok() && refused.error().number == EINVAL);
}

TEST("a header that no peer of ours sends is refused, and its descriptors are closed") {
  const std::vector<int> one = {STDERR_FILENO};
  struct Case {
    const char* what;
    std::function<void(MessageHeader&)> spoil;
  };
  const Case cases[] = {
      {"magic", [](MessageHeader& header) { header.magic ^= 1; }},
      {"kind 0", [](MessageHeader& header) { header.kind = static_cast<MessageKind>(0); }},
      {"kind 8", [](MessageHeader& header) { header.kind = static_cast<MessageKind>(8); }},
      {"direction", [](MessageHeader& header) { header.kind = MessageKind::exited; }},
      {"flags", [](MessageHeader& header) { header.flags = 1U << 5; }},
      {"attach", [](MessageHeader& header) { header.flags = kFlagAttach; }},
      {"body", [](MessageHeader& header) { header.bodyBytes = 1; }},
      {"huge body", [](MessageHeader& header) { header.bodyBytes = ~0U; }},
      {"descriptors", [](MessageHeader& header) { header.descriptorCount = 2; }},
      {"unused", [](MessageHeader& header) { header.unused = 1; }},
      {"empty exec", [](MessageHeader& header) { header.kind = MessageKind::exec; }},
      {"area with no area", [](MessageHeader& header) { header.kind = MessageKind::area; }},
  };
  CHECK_EQUAL(refusalOf(soundNote(0)), 0);
  for (const Case& wrong : cases) {
    MessageHeader header = soundNote(0);
    wrong.spoil(header);
    bool refused = refusalOf(header) == EPROTO;
    if (!refused) std::printf("    not refused: %s\n", wrong.what);
    CHECK(refused);
    header.kind == MessageKind::area ? (void)0 : CHECK_EQUAL(refusalOf(header, one), EPROTO);
  }
  CHECK_EQUAL(refusalOf(soundNote(0), one), EPROTO);
}

TEST("a report of the wrong length is refused by the postmaster") {
  MessageHeader header{kMessageMagic, MessageKind::exited, 0, 1, 8, 0, 0};
  char packet[sizeof header + 8] = {};
  std::memcpy(packet, &header, sizeof header);
  CHECK_EQUAL(refusalOf(packet, sizeof packet, {}, Direction::toPostmaster), EPROTO);
  header.kind = MessageKind::forked;  // without its pidfd
  header.bodyBytes = sizeof(ForkedBody);
  std::memcpy(packet, &header, sizeof header);
  CHECK_EQUAL(refusalOf(packet, sizeof header + sizeof(ForkedBody), {}, Direction::toPostmaster),
              EPROTO);
}

TEST("packets that are too short, too long or cut are refused") {
  MessageHeader header = soundNote(0);
  CHECK_EQUAL(refusalOf(&header, sizeof header - 1, {STDERR_FILENO}), EPROTO);
  std::vector<uint8_t> packet(sizeof header + kInlineBodyBytes + 1);
  header.bodyBytes = kInlineBodyBytes;
  std::memcpy(packet.data(), &header, sizeof header);
  CHECK_EQUAL(refusalOf(packet.data(), packet.size(), {STDERR_FILENO}), EPROTO);
  CHECK_EQUAL(refusalOf(packet.data(), packet.size() - 1), 0);
  // More descriptors than any message has: the kernel cuts the list, the rest must be closed.
  header = {kMessageMagic, MessageKind::fork, 0, 0, 0, 3, 0};
  CHECK_EQUAL(refusalOf(header, std::vector<int>(200, STDERR_FILENO)), EPROTO);
}

TEST("a body's file that is not sealed, or of another size, is refused") {
  MessageHeader header{kMessageMagic, MessageKind::note, kFlagBodyInFile, 0, 40000, 0, 0};
  Result<Descriptor> loose = makeMemoryFile("test", 40000);  // content not sealed
  Result<Descriptor> small = makeMessageFile(pattern(39999));
  Result<Descriptor> sound = makeMessageFile(pattern(40000));
  CHECK(loose.ok() && small.ok() && sound.ok());
  CHECK_EQUAL(refusalOf(header, {loose.value().get()}), EPROTO);
  CHECK_EQUAL(refusalOf(header, {small.value().get()}), EPROTO);
  CHECK_EQUAL(refusalOf(header, {STDERR_FILENO}), EPROTO);
  CHECK_EQUAL(refusalOf(header), EPROTO);
  CHECK_EQUAL(refusalOf(header, {sound.value().get()}), 0);
}

TEST("without a free descriptor number a sound message says so") {
  DescriptorPair ends = socketPair();
  Inbox inbox(Direction::toLauncher);
  int number = ends.first.get();
  CHECK(sendMessage(ends.first.get(), {MessageKind::fork, 5, 0, {}, {&number, 1}}).ok());
  int before = countDescriptors();
  Descriptor lowestFree(dup(number));
  rlimit old;
  CHECK_EQUAL(getrlimit(RLIMIT_NOFILE, &old), 0);
  rlimit low{static_cast<rlim_t>(lowestFree.get()), old.rlim_max};
  lowestFree.reset();
  CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &low), 0);
  Result<ReceiveOutcome> outcome = inbox.receive(ends.second.get(), Blocking::no);
  CHECK_EQUAL(setrlimit(RLIMIT_NOFILE, &old), 0);
  CHECK(outcome.ok() && outcome.value() == ReceiveOutcome::descriptorsLost);
  CHECK_EQUAL(inbox.header().childId, 5U);
  CHECK_EQUAL(countDescriptors(), before);
}

TEST("a peer that is gone is an outcome on both sides, not an error") {
  DescriptorPair ends = socketPair();
  ends.second.reset();
  Result<SendOutcome> sent = sendMessage(ends.first.get(), {MessageKind::note});
  CHECK(sent.ok() && sent.value() == SendOutcome::peerGone);
  Inbox inbox(Direction::toPostmaster);
  Result<ReceiveOutcome> outcome = inbox.receive(ends.first.get(), Blocking::yes);
  CHECK(outcome.ok() && outcome.value() == ReceiveOutcome::peerGone);
  Outbox outbox;
  CHECK(outbox.post(ends.first.get(), {MessageKind::note}).ok());
  CHECK(outbox.isEmpty());
}

TEST("what a full socket refuses waits, owns what it needs, and leaves in order") {
  int before = countDescriptors();
  {
    DescriptorPair ends = socketPair();
    Outbox outbox;
    constexpr uint32_t kCount = 200;
    for (uint32_t i = 0; i < kCount; ++i) {
      // Both are gone when the message leaves.
      DescriptorPair pipe = processes::pipePair();
      std::vector<uint8_t> body = pattern(i % 2 == 0 ? 20000 : 50000);
      body[0] = static_cast<uint8_t>(i);
      int number = pipe.first.get();
      CHECK(outbox.post(ends.first.get(), {MessageKind::fork, i, 0, body, {&number, 1}}).ok());
      processes::writeByte(pipe.second.get(), static_cast<char>(i));
    }
    CHECK(!outbox.isEmpty());
    Inbox inbox(Direction::toLauncher);
    for (uint32_t i = 0; i < kCount; ++i) {
      Result<ReceiveOutcome> outcome = inbox.receive(ends.second.get(), Blocking::no);
      CHECK(outcome.ok() && outcome.value() == ReceiveOutcome::message);
      CHECK_EQUAL(inbox.header().childId, i);
      Result<std::vector<uint8_t>> body = inbox.copyBody();
      CHECK(body.ok() && body.value()[0] == static_cast<uint8_t>(i));
      CHECK_EQUAL(body.value().size(), i % 2 == 0 ? 20000UL : 50000UL);
      CHECK_EQUAL(processes::readByte(inbox.descriptors()[0].get()), static_cast<int>(i));
      CHECK(outbox.flush(ends.first.get()).ok());
    }
    CHECK(outbox.isEmpty());
  }
  CHECK_EQUAL(countDescriptors(), before);
}

TEST("a blocking sender waits for its reader") {
  DescriptorPair ends = socketPair();
  constexpr int kCount = 500;
  pid_t sender = processes::inChild([&] {
    ends.second.reset();
    std::vector<uint8_t> body = pattern(kInlineBodyBytes);
    for (int i = 0; i < kCount; ++i) {
      Result<SendOutcome> sent = sendMessage(ends.first.get(), {MessageKind::note, 0, 0, body, {}});
      if (!sent.ok() || sent.value() != SendOutcome::sent) return 1;
    }
    return 0;
  });
  ends.first.reset();
  Inbox inbox(Direction::toLauncher);
  int received = 0;
  for (;;) {
    Result<ReceiveOutcome> outcome = inbox.receive(ends.second.get(), Blocking::yes);
    CHECK(outcome.ok());
    if (outcome.value() == ReceiveOutcome::peerGone) break;
    ++received;
  }
  CHECK_EQUAL(received, kCount);
  CHECK_EQUAL(processes::waitFor(sender), 0);
}
