// launcher_exec_test.cc: programs that the loop starts: their surroundings, and why none came.

#include <fcntl.h>
#include <sys/resource.h>

#include <csignal>

#include "test/loop_host.h"
#include "test/processes.h"

using namespace bgworker;
using loop_host::LoopHost;
using loop_host::Report;

namespace {

ExecRequest shell(const char* script) {
  ExecRequest request;
  request.file = "sh";
  request.args = {"sh", "-c", script};
  request.env = {"PATH=/usr/bin:/bin"};
  request.deathSignal = SIGKILL;
  return request;
}

/** What the script writes to descriptor 7, and that it ended with 0. */
std::string outputOf(LoopHost& host, ExecRequest request) {
  DescriptorPair pipe = processes::pipePair();
  request.targets.push_back(7);
  host.exec(1, request, {pipe.second.get()});
  pipe.second.reset();
  std::string text;
  for (int byte; (byte = processes::readByte(pipe.first.get())) != -1;) {
    text.push_back(static_cast<char>(byte));
  }
  CHECK_EQUAL(host.waitStatusOf(1), 0);
  return text;
}

void expectFailure(LoopHost& host, const ExecRequest& request, const char* call, int number) {
  host.exec(5, request);
  Report failed = host.expect(MessageKind::failed);
  CHECK_EQUAL(failed.childId, 5U);
  CHECK_EQUAL(failed.call, call);
  CHECK_EQUAL(failed.errorNumber, number);
}

}  // namespace

TEST("a program starts where, with what and as whom it was asked to") {
  LoopHost host;
  ExecRequest request = shell("echo $(pwd) $WORD $(ulimit -n) $0 $(id -u):$(id -G) >&7");
  request.args.push_back("zero");
  request.env.push_back("WORD=word");
  request.cwd = "/usr";
  request.limits = {{RLIMIT_NOFILE, 32, 32}};
  bool root = geteuid() == 0;
  if (root) {
    request.uid = 65534;
    request.gid = 65533;
  }
  std::string user = root ? "65534:65533\n" : "";
  std::string output = outputOf(host, request);
  CHECK_EQUAL(output.substr(0, output.size() - user.size()), "/usr word 32 zero ");
  CHECK_EQUAL(output.substr(output.size() - user.size()), user);
}

TEST("a program inherits 0, 1 and 2 and its targets, and nothing else") {
  // As in Node, which marks its own close-on-exec.
  for (int number = 0; number <= 2; ++number) fcntl(number, F_SETFD, FD_CLOEXEC);
  LoopHost host;
  std::string open = outputOf(host, shell("n=0; while test $n -lt 200; do "
                                          "if test -e /proc/$$/fd/$n; then printf \"$n \" >&7; fi; "
                                          "n=$((n+1)); done"));
  CHECK_EQUAL(open, "0 1 2 7 ");
  for (int number = 0; number <= 2; ++number) fcntl(number, F_SETFD, 0);
}

TEST("a program starts with no signal blocked and only SIGHUP ignored, leading its session") {
  LoopHost host;
  std::string output = outputOf(
      host, shell("while read name value; do case $name in Sig[BI]*) printf $name$value >&7; "
                  "esac; done < /proc/$$/status; "
                  "read pid name state parent group session rest < /proc/$$/stat; "
                  "test $pid = $group -a $pid = $session && echo leads >&7"));
  std::string zero = "0000000000000000", hangup = "0000000000000001";
  CHECK_EQUAL(output, "SigBlk:" + zero + "SigIgn:" + hangup + "leads\n");
}

TEST("descriptors come to their targets, though sources and targets overlap") {
  LoopHost host;
  DescriptorPair pipes[4];
  for (DescriptorPair& pipe : pipes) pipe = processes::pipePair();
  // The numbers under which the launcher receives them are the lowest free ones, 3 and up: so
  // these targets are its sources' own numbers, in another order.
  ExecRequest request = shell("printf a >&6; printf b >&5; printf c >&4; printf d >&3");
  request.targets = {6, 5, 4, 3};
  host.exec(
      1, request,
      {pipes[0].second.get(), pipes[1].second.get(), pipes[2].second.get(), pipes[3].second.get()});
  for (DescriptorPair& pipe : pipes) pipe.second.reset();
  for (int i = 0; i < 4; ++i) CHECK_EQUAL(processes::readByte(pipes[i].first.get()), 'a' + i);
  CHECK_EQUAL(host.waitStatusOf(1), 0);
  // And in place of the standard ones.
  DescriptorPair in = processes::pipePair(), out = processes::pipePair();
  request = shell("cat");
  request.targets = {1, 0};
  host.exec(2, request, {out.second.get(), in.first.get()});
  out.second.reset();
  processes::writeByte(in.second.get(), 'z');
  in.second.reset();
  CHECK_EQUAL(processes::readByte(out.first.get()), 'z');
  CHECK_EQUAL(processes::readByte(out.first.get()), -1);
  CHECK_EQUAL(host.waitStatusOf(2), 0);
}

TEST("a program that cannot start is reported with the step and its errno") {
  LoopHost host;
  host.fork(1, {'x', 0});  // once it serves, it has all the descriptors that it will have
  CHECK_EQUAL(host.waitStatusOf(1), 0);
  int before = processes::countDescriptors(host.pid());
  ExecRequest request = shell("true");
  request.file = "no-such-program";
  expectFailure(host, request, "execve", ENOENT);
  request.file = "/etc";
  expectFailure(host, request, "execve", EACCES);
  request = shell("true");
  request.env = {"PATH=/nowhere"};
  expectFailure(host, request, "execve", ENOENT);
  request = shell("true");
  request.cwd = "/no/such/directory";
  expectFailure(host, request, "chdir", ENOENT);
  request = shell("true");
  request.limits = {{250, 1, 1}};
  expectFailure(host, request, "setrlimit", EINVAL);
  CHECK_EQUAL(processes::countDescriptors(host.pid()), before);
  host.exec(6, shell("exit 3"));
  CHECK_EQUAL(WEXITSTATUS(host.waitStatusOf(6)), 3);
}

TEST("a long request travels in a file") {
  LoopHost host;
  std::string word = "LONG=" + std::string(100000, 'x');
  ExecRequest request = shell("printf ${#LONG} >&7");
  request.env.push_back(word.c_str());
  CHECK_EQUAL(outputOf(host, request), "100000");
}

/** What a program hears that traps SIGTERM, when the postmaster is gone. */
void checkFarewell(int deathSignal) {
  LoopHost host;
  DescriptorPair pipe = processes::pipePair();
  ExecRequest request = shell("trap 'printf T >&7; exit 0' TERM; printf r >&7; read x <&6; exit 1");
  request.deathSignal = deathSignal;
  DescriptorPair never = processes::pipePair();
  request.targets = {7, 6};
  host.exec(1, request, {pipe.second.get(), never.first.get()});
  pipe.second.reset();
  CHECK_EQUAL(processes::readByte(pipe.first.get()), 'r');
  host.closeControl();
  CHECK_EQUAL(processes::readByte(pipe.first.get()), 'T');
  CHECK_EQUAL(processes::readByte(pipe.first.get()), -1);
  CHECK_EQUAL(host.wait(), 0);
}

TEST("when the postmaster is gone, a program gets its death signal at once") {
  checkFarewell(SIGTERM);
}

TEST("when the postmaster is gone, a program whose death signal is SIGKILL gets SIGTERM first") {
  checkFarewell(SIGKILL);
}

TEST("when the launcher is killed, a program gets its death signal") {
  LoopHost host;
  DescriptorPair pipe = processes::pipePair();
  ExecRequest request = shell("printf r >&7; exec sleep 1000");
  request.targets = {7};
  host.exec(1, request, {pipe.second.get()});
  pipe.second.reset();
  CHECK_EQUAL(processes::readByte(pipe.first.get()), 'r');
  kill(host.pid(), SIGKILL);
  CHECK_EQUAL(processes::readByte(pipe.first.get()), -1);
}
