/* Mapping of model files. */
#include "frontend/onnx/source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct mapping {
  void *data;
  size_t bytes;
} mapping;

static void unmap(void *user) {
  mapping *m = user;
  munmap(m->data, m->bytes);
}

static void keep_mapping(tn_ctx *ctx, void *data, size_t bytes, tn_source *out) {
  mapping *m = TN_NEW(ctx->arena, mapping);
  *m = (mapping){data, bytes};
  tn_arena_on_destroy(ctx->arena, unmap, m);
  out->data = data;
}

bool tn_source_map(tn_ctx *ctx, int fd, const char *path, tn_source *out) {
  struct stat st;
  if (fstat(fd, &st) != 0) return false;
  *out = (tn_source){.path = path, .data = (const uint8_t *)"", .bytes = (size_t)st.st_size};
  if (st.st_size == 0) return true;
  void *data = mmap(NULL, out->bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (data == MAP_FAILED) return false;
  keep_mapping(ctx, data, out->bytes, out);
  return true;
}

/* Everything that fd gives, in anonymous memory that doubles as needed. False with errno set. */
static bool read_all(tn_ctx *ctx, int fd, tn_source *out) {
  size_t capacity = (size_t)1 << 20, n = 0;
  uint8_t *data = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return false;
  for (;;) {
    ssize_t got = read(fd, data + n, capacity - n);
    if (got == 0) break;
    if (got < 0 && errno == EINTR) continue;
    void *grown = data;
    if (got > 0 && (n += (size_t)got) == capacity) grown = mremap(data, capacity, 2 * capacity, MREMAP_MAYMOVE);
    if (got < 0 || grown == MAP_FAILED) {
      int reason = errno;
      munmap(data, capacity);
      errno = reason;
      return false;
    }
    if (n == capacity) capacity *= 2;
    data = grown;
  }
  *out = (tn_source){.bytes = n};
  keep_mapping(ctx, data, capacity, out);
  return true;
}

bool tn_source_open(tn_ctx *ctx, const char *path, tn_source *out) {
  struct stat st;
  bool is_stdin = strcmp(path, "-") == 0;
  int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
  bool ok = fd >= 0 && fstat(fd, &st) == 0;
  if (ok) ok = S_ISREG(st.st_mode) && !is_stdin ? tn_source_map(ctx, fd, path, out) : read_all(ctx, fd, out);
  if (!ok)
    tn_error(ctx, tn_loc_file(ctx, path), TN_E_FILE, "cannot read '%s': %s", path, strerror(errno));
  if (!is_stdin && fd >= 0) close(fd);
  return ok;
}
