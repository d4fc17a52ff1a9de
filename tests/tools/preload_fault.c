/* Preloaded into a program, makes one system call of its family fail: TENON_FAULT=NAME:N:ERRNO lets the N-th call of
 * NAME (write, rename, fsync, open) fail with that number; of `flip`, a write instead puts its first byte wrong and
 * tells nobody. Counts are per process. TENON_FAULT_LOG names a file to which a line is added when the fault happened,
 * so that a loop over N knows where to stop. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int open64(const char *path, int flags, ...);

static void tell(void) {
  const char *path = getenv("TENON_FAULT_LOG");
  int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;
  if (fd >= 0) syscall(SYS_write, fd, "fault\n", 6), syscall(SYS_close, fd);
}

static bool fails(const char *name, int *count) {
  const char *fault = getenv("TENON_FAULT");
  size_t n = strlen(name);
  if (!fault || strncmp(fault, name, n) != 0 || fault[n] != ':') return false;
  char *end;
  if (strtol(fault + n + 1, &end, 10) != ++*count) return false;
  errno = atoi(end + 1);
  int code = errno;
  tell();
  errno = code;
  return true;
}

static int n_writes, n_flips, n_renames, n_fsyncs, n_opens;

ssize_t write(int fd, const void *data, size_t bytes) {
  if (fd > 2 && bytes > 0 && fails("flip", &n_flips)) {
    char wrong = (char)(*(const char *)data ^ 1);
    return syscall(SYS_write, fd, &wrong, 1);
  }
  return fd > 2 && fails("write", &n_writes) ? -1 : syscall(SYS_write, fd, data, bytes);
}

int rename(const char *from, const char *to) {
  return fails("rename", &n_renames) ? -1 : (int)syscall(SYS_rename, from, to);
}

int fsync(int fd) { return fails("fsync", &n_fsyncs) ? -1 : (int)syscall(SYS_fsync, fd); }

static int open_with(const char *path, int flags, va_list args) {
  int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, int) : 0;
  return flags & O_CREAT && fails("open", &n_opens) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  int fd = open_with(path, flags, args);
  va_end(args);
  return fd;
}

int open64(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  int fd = open_with(path, flags, args);
  va_end(args);
  return fd;
}
