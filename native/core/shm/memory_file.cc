#include "core/shm/memory_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/base/system_calls.h"

#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 0x0001U
#define MFD_ALLOW_SEALING 0x0002U
#endif
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_SEAL 0x0001
#define F_SEAL_SHRINK 0x0002
#define F_SEAL_GROW 0x0004
#define F_SEAL_WRITE 0x0008
#endif

namespace bgworker {
namespace {

int sealsOf(Sealing sealing) {
  int size = F_SEAL_SHRINK | F_SEAL_GROW;
  return sealing == Sealing::size ? size : size | F_SEAL_WRITE;
}

Status seal(int descriptor, Sealing sealing) {
  // F_SEAL_SEAL: nobody who receives the file may add a seal that would break the others' use.
  if (fcntl(descriptor, F_ADD_SEALS, sealsOf(sealing) | F_SEAL_SEAL) < 0) return lastError("fcntl");
  return {};
}

}  // namespace

Result<Descriptor> makeUnsealedFile(const char* name) {
  Descriptor file(memfdCreate(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid()) return lastError("memfd_create");
  return file;
}

Status sealContent(int descriptor) { return seal(descriptor, Sealing::content); }

Result<Descriptor> makeMemoryFile(const char* name, size_t bytes) {
  Result<Descriptor> file = makeUnsealedFile(name);
  if (!file.ok()) return file;
  if (ftruncate(file.value().get(), static_cast<off_t>(bytes)) < 0) return lastError("ftruncate");
  Status sealed = seal(file.value().get(), Sealing::size);
  if (!sealed.ok()) return sealed.error();
  return file;
}

Result<Descriptor> makeMessageFile(std::span<const uint8_t> content) {
  Result<Descriptor> file = makeUnsealedFile("bgworker message");
  if (!file.ok()) return file;
  while (!content.empty()) {
    ssize_t written = write(file.value().get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return lastError("write");
    content = content.subspan(static_cast<size_t>(written));
  }
  Status sealed = sealContent(file.value().get());
  if (!sealed.ok()) return sealed.error();
  return file;
}

Result<size_t> sealedSize(int descriptor, Sealing sealing) {
  int wanted = sealsOf(sealing);
  int seals = fcntl(descriptor, F_GET_SEALS);
  if (seals < 0) return lastError("fcntl");
  if ((seals & wanted) != wanted) return SystemError{"fcntl", EPERM};
  // lseek rather than fstat, which glibc 2.33 made a new symbol of. Nobody uses the offset.
  off_t size = lseek(descriptor, 0, SEEK_END);
  if (size < 0) return lastError("lseek");
  return static_cast<size_t>(size);
}

Status readWhole(int descriptor, std::span<uint8_t> target) {
  size_t done = 0;
  while (done < target.size()) {
    ssize_t got =
        pread(descriptor, target.data() + done, target.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return lastError("pread");
    if (got == 0) return SystemError{"pread", EIO};
    done += static_cast<size_t>(got);
  }
  return {};
}

}  // namespace bgworker
