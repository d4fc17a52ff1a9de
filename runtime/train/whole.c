/* Files that are whole (whole.h). */
#include "runtime/train/whole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

tnrt_status tnrt_path_join(tnrt_message *message, char *out, size_t capacity, const char *folder, const char *name) {
  size_t n = strlen(folder), room = n + strlen(name) + 2;
  if (room > capacity)
    return tnrt_fail(message, TNRT_BAD_INPUT, "the path '%.100s...' is longer than %zu bytes", folder, capacity - 1);
  tnrt_text(out, capacity, n && folder[n - 1] == '/' ? "%s%s" : "%s/%s", folder, name);
  return TNRT_OK;
}

/* The folder of a path, "." where it names none. */
static void folder_of(const char *path, char *out, size_t capacity) {
  const char *slash = strrchr(path, '/');
  int n = slash ? (int)(slash - path) : 1;
  tnrt_text(out, capacity, "%.*s", n ? n : 1, slash ? path : ".");
}

tnrt_status tnrt_whole_fail(tnrt_whole *file, tnrt_message *message, int code) {
  char folder[TNRT_PATH_BYTES];
  struct statvfs volume;
  folder_of(file->path, folder, sizeof folder);
  tnrt_whole_drop(file);
  if (statvfs(folder, &volume) != 0)
    return tnrt_fail(message, TNRT_IO, "cannot write '%.300s': %s", file->path, strerror(code));
  unsigned long long unused = (unsigned long long)volume.f_bavail * volume.f_frsize;
  return tnrt_fail(message, TNRT_IO, "cannot write '%.300s': %s; it needs %llu bytes, %llu are free", file->path,
                   strerror(code), (unsigned long long)file->bytes, unused);
}

tnrt_status tnrt_whole_check(tnrt_message *message, const char *path) {
  struct stat info;
  if (stat(path, &info) != 0 || S_ISREG(info.st_mode)) return TNRT_OK;
  return tnrt_fail(message, TNRT_IO, "cannot write '%.300s': something stands there that is no file", path);
}

tnrt_status tnrt_whole_open(tnrt_whole *file, tnrt_message *message, const char *path, uint64_t bytes) {
  const char *slash = strrchr(path, '/');
  int folder = slash ? (int)(slash - path + 1) : 0;
  *file = (tnrt_whole){.path = path, .bytes = bytes, .fd = -1};
  tnrt_status status = tnrt_whole_check(message, path);
  if (status != TNRT_OK) return status;
  if (strlen(path) + 6 > sizeof file->temporary) return tnrt_whole_fail(file, message, ENAMETOOLONG);
  tnrt_text(file->temporary, sizeof file->temporary, "%.*s.%s.tmp", folder, path, path + folder);
  file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file->fd >= 0) return TNRT_OK;
  int code = errno;
  file->temporary[0] = 0; /* it may be somebody's */
  return tnrt_whole_fail(file, message, code);
}

tnrt_status tnrt_whole_put(tnrt_whole *file, tnrt_message *message, const void *data, uint64_t bytes) {
  enum { MOST = 1 << 30 };
  for (const uint8_t *at = data; bytes > 0;) {
    ssize_t n = write(file->fd, at, bytes < MOST ? (size_t)bytes : MOST);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return tnrt_whole_fail(file, message, n ? errno : EIO);
    at += n;
    bytes -= (uint64_t)n;
  }
  return TNRT_OK;
}

tnrt_status tnrt_whole_sync(tnrt_whole *file, tnrt_message *message) {
  if (fsync(file->fd) != 0) return tnrt_whole_fail(file, message, errno);
  int fd = file->fd;
  file->fd = -1;
  return close(fd) == 0 ? TNRT_OK : tnrt_whole_fail(file, message, errno);
}

int tnrt_sync_folder_of(const char *path) {
  char folder[TNRT_PATH_BYTES];
  folder_of(path, folder, sizeof folder);
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  int code = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return code == EINVAL ? 0 : code; /* a file system may have no way to do it */
}

tnrt_status tnrt_whole_end(tnrt_whole *file, tnrt_message *message) {
  if (rename(file->temporary, file->path) != 0) return tnrt_whole_fail(file, message, errno);
  file->temporary[0] = 0;
  int code = tnrt_sync_folder_of(file->path);
  return code ? tnrt_whole_fail(file, message, code) : TNRT_OK;
}

void tnrt_whole_drop(tnrt_whole *file) {
  if (file->fd >= 0) close(file->fd);
  file->fd = -1;
  if (file->temporary[0]) unlink(file->temporary);
  file->temporary[0] = 0;
}

tnrt_status tnrt_whole_write(tnrt_message *message, const char *path, const void *data, uint64_t bytes) {
  tnrt_whole file;
  tnrt_status status = tnrt_whole_open(&file, message, path, bytes);
  if (status == TNRT_OK) status = tnrt_whole_put(&file, message, data, bytes);
  if (status == TNRT_OK) status = tnrt_whole_sync(&file, message);
  return status == TNRT_OK ? tnrt_whole_end(&file, message) : status;
}
