/* Weights in a file beside the program: found, checked, mapped read-only, so that all processes of one machine share
 * them. The whole file is read once for its digest; it is in memory for the first run then. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/core/runtime.h"

enum { PATH_BYTES = 4096, LINE_BYTES = PATH_BYTES + 256 };

static int32_t fail(char *message, size_t capacity, tnrt_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static int32_t fail(char *message, size_t capacity, tnrt_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(message, capacity, format, args);
  va_end(args);
  return (int32_t)status;
}

static uintptr_t hex(const char **at) {
  uintptr_t v = 0;
  for (;; (*at)++) {
    char c = **at;
    if (c >= '0' && c <= '9') v = v << 4 | (uintptr_t)(c - '0');
    else if (c >= 'a' && c <= 'f') v = v << 4 | (uintptr_t)(c - 'a' + 10);
    else return v;
  }
}

/* A line of /proc/self/maps, "from-to rights offset device inode   path": its path when address lies inside. */
static const char *path_in_line(const char *line, uintptr_t address) {
  uintptr_t from = hex(&line);
  if (*line != '-') return NULL;
  line++;
  uintptr_t to = hex(&line);
  return address >= from && address < to ? strchr(line, '/') : NULL;
}

/* The path of the program or library that address belongs to: its folder counts, not the current one, and not what
 * argv[0] says. */
static bool file_of(const void *address, char *out_path) {
  char block[LINE_BYTES];
  size_t n = 0;
  bool found = false;
  int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  while (fd >= 0 && !found) {
    ssize_t got = read(fd, block + n, sizeof block - 1 - n);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    n += (size_t)got;
    size_t start = 0;
    for (char *end; !found && (end = memchr(block + start, '\n', n - start)); start = (size_t)(end - block) + 1) {
      *end = 0;
      const char *path = path_in_line(block + start, (uintptr_t)address);
      found = path && (size_t)(end - path) < PATH_BYTES;
      if (found) memcpy(out_path, path, (size_t)(end - path) + 1);
    }
    n -= start;
    memmove(block, block + start, n);
    if (n == sizeof block - 1) n = 0; /* no path is as long as this line */
  }
  if (fd >= 0) close(fd);
  return found;
}

static uint64_t digest_of(const uint8_t *data, uint64_t bytes) {
  tnrt_digest d = tnrt_digest_start();
  uint64_t at = 0;
  for (; bytes - at >= 32; at += 32) tnrt_digest_add(&d, data + at);
  if (at < bytes) {
    uint8_t last[32] = {0};
    memcpy(last, data + at, bytes - at);
    tnrt_digest_add(&d, last);
  }
  return tnrt_digest_end(&d, bytes);
}

static int32_t map(const tnrt_model *model, int fd, const char *path, const uint8_t **out, char *message,
                   size_t capacity) {
  struct stat info;
  unsigned long long wanted = model->weights_bytes;
  if (fstat(fd, &info) != 0)
    return fail(message, capacity, TNRT_IO, "cannot read the weights '%.300s': %s", path, strerror(errno));
  if (!S_ISREG(info.st_mode))
    return fail(message, capacity, TNRT_BAD_INPUT, "the weights '%.300s' are no regular file", path);
  if ((unsigned long long)info.st_size != wanted)
    return fail(message, capacity, TNRT_BAD_INPUT,
                "the weights '%.300s' have %lld bytes, those of this model %llu: the file is cut short or another's",
                path, (long long)info.st_size, wanted);
  void *data = mmap(NULL, model->weights_bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED)
    return fail(message, capacity, TNRT_IO, "cannot map the weights '%.300s': %s", path, strerror(errno));
  if (digest_of(data, model->weights_bytes) != model->external->digest) {
    munmap(data, model->weights_bytes);
    return fail(message, capacity, TNRT_BAD_INPUT,
                "the weights '%.300s' are not those of this model: they are damaged, or of another compile", path);
  }
  *out = data;
  return TNRT_OK;
}

int32_t tnrt_weights_open(const tnrt_model *model, const char *path, const uint8_t **out_weights, char *message,
                          size_t message_bytes) {
  char beside[PATH_BYTES + 1];
  *out_weights = NULL;
  if (!path) {
    if (!file_of(model, beside))
      return fail(message, message_bytes, TNRT_IO,
                  "cannot tell which folder this program lies in (/proc/self/maps); give the path of '%.200s'",
                  model->external->name);
    char *name = strrchr(beside, '/') + 1;
    if (strlen(model->external->name) >= sizeof beside - (size_t)(name - beside))
      return fail(message, message_bytes, TNRT_IO, "the path of '%.200s' is too long", model->external->name);
    memcpy(name, model->external->name, strlen(model->external->name) + 1);
    path = beside;
  }
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return fail(message, message_bytes, TNRT_IO, "cannot open the weights '%.300s': %s", path, strerror(errno));
  int32_t status = map(model, fd, path, out_weights, message, message_bytes);
  close(fd);
  return status;
}

void tnrt_weights_close(const tnrt_model *model, const uint8_t *weights) {
  munmap((void *)(uintptr_t)weights, model->weights_bytes);
}
