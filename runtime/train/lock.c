/* The lock of a folder (lock.h). */
#include "runtime/train/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { LINE_BYTES = 320 };

static tnrt_status refuse(tnrt_message *message, int fd, const char *who) {
  char holder[LINE_BYTES];
  ssize_t n = pread(fd, holder, sizeof holder - 1, 0);
  holder[n > 0 ? n : 0] = 0;
  holder[strcspn(holder, "\n")] = 0;
  return tnrt_fail(message, TNRT_BAD_INPUT, "%s are in use: %s has them locked", who,
                   holder[0] ? holder : "another process");
}

tnrt_status tnrt_lock_take(tnrt_message *message, const char *path, const char *who, int *out_fd) {
  char line[LINE_BYTES], machine[256] = "";
  *out_fd = -1;
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return tnrt_fail(message, TNRT_IO, "cannot lock '%.300s': %s", path, strerror(errno));
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    int code = errno;
    tnrt_status status = code == EWOULDBLOCK
                             ? refuse(message, fd, who)
                             : tnrt_fail(message, TNRT_IO, "cannot lock '%.300s': %s", path, strerror(code));
    close(fd);
    return status;
  }
  if (gethostname(machine, sizeof machine - 1) != 0) machine[0] = 0;
  size_t n = tnrt_text(line, sizeof line, "process %lld on %s\n", (long long)getpid(), machine[0] ? machine : "?");
  /* For the message of others only: what counts is the lock, which holds on a full disk too. */
  if (ftruncate(fd, 0) != 0 || pwrite(fd, line, n, 0) < 0) errno = 0;
  *out_fd = fd;
  return TNRT_OK;
}
