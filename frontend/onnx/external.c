/* External data; external.h states the rules. */
#include "frontend/onnx/external.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

tn_external tn_external_create(tn_ctx *ctx, tn_arena *scratch, const char *model_path, const char *data_root,
                               tn_onnx_files *files) {
  return (tn_external){.ctx = ctx, .model_path = model_path, .data_root = data_root, .files = files, .root = -1,
                       .prefix = "", .sources = tn_map_create(scratch)};
}

void tn_external_close(tn_external *external) {
  if (external->root >= 0) close(external->root);
  external->root = -1;
}

/* The folder part of path, "." when it has none. */
static const char *folder_of(tn_ctx *ctx, const char *path) {
  const char *slash = strrchr(path, '/');
  if (slash == NULL) return ".";
  if (slash == path) return "/";
  return tn_intern(ctx->strings, path, (size_t)(slash - path));
}

/* Where the model's folder lies inside data_root, with a slash at the end; "" when it does not. */
static const char *prefix_in_root(tn_external *e) {
  char root[PATH_MAX], folder[PATH_MAX];
  if (e->model_path == NULL || realpath(e->data_root, root) == NULL ||
      realpath(folder_of(e->ctx, e->model_path), folder) == NULL)
    return "";
  size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);
  if (strncmp(root, folder, n) != 0 || folder[n] != '/' || folder[n + 1] == '\0') return "";
  return tn_namef(e->ctx, "%s/", folder + n + 1);
}

static bool open_root(tn_external *e, tn_loc loc) {
  if (e->root >= 0) return true;
  if (e->model_path == NULL && e->data_root == NULL)
    return tn_error(e->ctx, loc, TN_E_ONNX_EXTERNAL,
                    "external data of a model without a path: --data-root=DIR says where it is");
  const char *folder = e->data_root != NULL ? e->data_root : folder_of(e->ctx, e->model_path);
  e->root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (e->root < 0)
    return tn_error(e->ctx, loc, TN_E_ONNX_EXTERNAL, "cannot open folder '%s': %s", folder, strerror(errno));
  if (e->data_root != NULL) e->prefix = prefix_in_root(e);
  return true;
}

/* What openat2 does with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, one component at a time, where the system has no
 * openat2. -1 with errno set. */
static int open_by_components(int root, const char *path, int flags) {
  char name[NAME_MAX + 1];
  int at = root;
  for (;;) {
    size_t n = strcspn(path, "/");
    bool is_last = path[n] == '\0';
    int next = -1;
    errno = n > NAME_MAX ? ENAMETOOLONG : EXDEV;
    if (n > 0 && n <= NAME_MAX && !(n == 2 && path[0] == '.' && path[1] == '.')) {
      memcpy(name, path, n);
      name[n] = '\0';
      next = openat(at, name, is_last ? flags | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    int reason = errno;
    if (at != root) close(at);
    errno = reason;
    if (next < 0 || is_last) return next;
    at = next;
    path += n + 1;
  }
}

static int open_beneath(const tn_external *e, const char *path) {
  const int flags = O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
  struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
  if (e->data_root == NULL) how.resolve |= RESOLVE_NO_SYMLINKS;
  for (int tries = 0; tries < 16; tries++) {
    int fd = (int)syscall(SYS_openat2, e->root, path, &how, sizeof(how));
    if (fd >= 0) return fd;
    if (errno == ENOSYS || errno == EPERM) return open_by_components(e->root, path, flags);
    if (errno != EAGAIN) return -1; /* EAGAIN: something was renamed while the path was walked */
  }
  return -1;
}

static const char *reason_text(int reason) {
  switch (reason) {
    case ELOOP: return "it is, or lies behind, a symbolic link";
    case EXDEV: return "it leads out of the folder";
    default: return strerror(reason);
  }
}

/* A location that failed stays in the map without data, so it is reported once and not once a tensor. */
static const tn_source *open_location(tn_external *e, const char *location, tn_loc loc) {
  tn_source *source = tn_map_get(&e->sources, location);
  if (source != NULL) return source->data != NULL ? source : NULL;
  source = TN_NEW(e->ctx->arena, tn_source);
  tn_map_set(&e->sources, location, source);
  if (!open_root(e, loc)) return NULL;
  const char *below = tn_namef(e->ctx, "%s%s", e->prefix, location);
  int fd = location[0] == '/' ? -1 : open_beneath(e, below);
  if (location[0] == '/') errno = EXDEV;
  struct stat st;
  bool ok = fd >= 0 && fstat(fd, &st) == 0;
  if (ok && !S_ISREG(st.st_mode)) {
    close(fd);
    tn_error(e->ctx, loc, TN_E_ONNX_EXTERNAL, "external data '%s' is not a regular file", location);
    return NULL;
  }
  const char *folder = e->data_root != NULL ? e->data_root : folder_of(e->ctx, e->model_path);
  if (ok) ok = tn_source_map(e->ctx, fd, tn_namef(e->ctx, "%s/%s", folder, below), source);
  int reason = errno;
  if (fd >= 0) close(fd);
  if (!ok) {
    tn_error(e->ctx, loc, TN_E_ONNX_EXTERNAL, "cannot use external data '%s': %s", location, reason_text(reason));
    return NULL;
  }
  if (e->files != NULL) TN_VEC_PUSH(e->ctx->arena, e->files, source->path);
  return source;
}

/* Digits alone. */
static bool read_number(const char *text, uint64_t *out) {
  char *end;
  if (text[0] < '0' || text[0] > '9') return false;
  errno = 0;
  *out = strtoull(text, &end, 10);
  return errno == 0 && *end == '\0';
}

/* What the external_data entries of a tensor say. */
typedef struct place {
  const char *location;
  uint64_t offset, length;
  bool has_length;
} place;

static bool read_place(tn_external *e, const Onnx__TensorProto *tensor, tn_loc loc, place *out) {
  *out = (place){0};
  for (size_t i = 0; i < tensor->n_external_data; i++) {
    const char *key = tensor->external_data[i]->key, *value = tensor->external_data[i]->value;
    bool ok = true;
    if (key == NULL || value == NULL) continue;
    if (strcmp(key, "location") == 0) out->location = tn_name(e->ctx, value);
    if (strcmp(key, "offset") == 0) ok = read_number(value, &out->offset);
    if (strcmp(key, "length") == 0) ok = out->has_length = read_number(value, &out->length);
    if (!ok)
      return tn_error(e->ctx, loc, TN_E_ONNX_EXTERNAL, "external data: %s expects a number, found '%s'", key, value);
  }
  if (out->location == NULL || out->location[0] == '\0')
    return tn_error(e->ctx, loc, TN_E_ONNX_EXTERNAL, "external data without a location");
  return true;
}

bool tn_external_read(tn_external *external, const Onnx__TensorProto *tensor, tn_loc loc, uint64_t want_bytes,
                      const uint8_t **out_data, const char **out_file, uint64_t *out_offset) {
  tn_ctx *ctx = external->ctx;
  place at;
  if (!read_place(external, tensor, loc, &at)) return false;
  if (at.has_length && at.length != want_bytes)
    return tn_error(ctx, loc, TN_E_ONNX_EXTERNAL, "external data '%s' holds %llu bytes, the tensor's type needs %llu",
                    at.location, (unsigned long long)at.length, (unsigned long long)want_bytes);
  const tn_source *source = open_location(external, at.location, loc);
  if (source == NULL) return false;
  if (at.offset > source->bytes || want_bytes > source->bytes - at.offset)
    return tn_error(ctx, loc, TN_E_ONNX_EXTERNAL,
                    "external data '%s' has %zu bytes, the tensor needs %llu from offset %llu", at.location,
                    source->bytes, (unsigned long long)want_bytes, (unsigned long long)at.offset);
  *out_data = source->data + at.offset;
  *out_file = source->path;
  *out_offset = at.offset;
  return true;
}
