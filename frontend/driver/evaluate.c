/* --eval: the model run by the reference, on .npy files. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/driver/driver.h"
#include "runtime/core/array.h"

#define MAX_HEADER_BYTES 1024

static bool read_file(tn_driver *driver, const char *path, uint8_t **out_data, size_t *out_bytes) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct stat info;
  bool ok = fd >= 0 && fstat(fd, &info) == 0;
  size_t done = 0;
  if (ok) {
    *out_data = tn_arena_alloc(driver->ctx->arena, (size_t)info.st_size);
    while (done < (size_t)info.st_size) {
      ssize_t n = read(fd, *out_data + done, (size_t)info.st_size - done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) break;
      done += (size_t)n;
    }
    ok = done == (size_t)info.st_size;
  }
  int code = errno;
  if (fd >= 0) close(fd);
  *out_bytes = done;
  return ok || tn_error(driver->ctx, TN_LOC_NONE, TN_E_FILE, "cannot read '%s': %s", path, strerror(code));
}

/* Element types have the same numbers on both sides (runtime/abi.h). */
bool tn_driver_read_tensor(tn_driver *driver, const char *path, const char *who, tn_dtype dtype, tn_tensor **out) {
  uint8_t *data = NULL;
  size_t bytes = 0;
  tnrt_message message = {0};
  tnrt_array array;
  if (!read_file(driver, path, &data, &bytes)) return false;
  bool ok = tnrt_npy_read(&message, &tnrt_alloc_libc, data, bytes, &array) == TNRT_OK;
  if (!ok) return tn_error(driver->ctx, TN_LOC_NONE, TN_E_FILE, "'%s': %s", path, message.text);
  ok = tnrt_array_become(&message, who, &array, (uint32_t)dtype) == TNRT_OK;
  if (ok) *out = tn_tensor_from_bytes(driver->ctx->arena, dtype, array.ndim, array.extents, array.data);
  tnrt_array_free(&tnrt_alloc_libc, &array);
  return ok || tn_error(driver->ctx, TN_LOC_NONE, TN_E_FILE, "'%s': %s", path, message.text);
}

/* The entry's parameter that NAME of NAME=FILE means: a name, or a position. -1 when none. */
static int64_t find_parameter(const tn_func *entry, const char *name, size_t n) {
  for (size_t i = 0; i < entry->body->params.n; i++) {
    const char *own = entry->body->params.data[i]->name;
    if (strlen(own) == n && memcmp(own, name, n) == 0) return (int64_t)i;
  }
  char *end;
  long position = strtol(name, &end, 10);
  bool number = n > 0 && n < 9 && end == name + n && name[0] >= '0' && name[0] <= '9';
  return number && (size_t)position < entry->body->params.n ? position : -1;
}

bool tn_driver_load_inputs(tn_driver *driver, tn_tensor **tensors) {
  const tn_func *entry = driver->entry;
  bool ok = true;
  for (size_t i = 0; i < driver->options.eval_inputs.n; i++) {
    const char *text = driver->options.eval_inputs.data[i], *equals = strrchr(text, '=');
    int64_t index = find_parameter(entry, text, (size_t)(equals - text));
    if (index < 0)
      ok = tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "--input: the model has no input '%.*s'",
                    (int)(equals - text), text);
    else
      ok &= tn_driver_read_tensor(driver, equals + 1,
                                  tn_namef(driver->ctx, "input '%s'", entry->body->params.data[index]->name),
                                  entry->body->params.data[index]->type->dtype, &tensors[index]);
  }
  for (size_t i = 0; i < entry->body->params.n && ok; i++)
    if (!tensors[i])
      ok = tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "no file for input '%s': --input %s=FILE.npy",
                    entry->body->params.data[i]->name, entry->body->params.data[i]->name);
  return ok;
}

/* A file name for any tensor's name: other bytes, and a leading dot, percent-encoded. */
const char *tn_driver_file_name(tn_driver *driver, const char *name) {
  tn_buf out = tn_buf_create(driver->ctx->arena);
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
  for (const char *c = name; *c; c++) {
    if (strchr(plain, *c) && !(c == name && *c == '.')) tn_buf_putc(&out, *c);
    else tn_buf_printf(&out, "%%%02X", (unsigned char)*c);
  }
  tn_buf_puts(&out, ".npy");
  return out.data;
}

static bool write_tensor(tn_driver *driver, const char *name, const tn_tensor *tensor) {
  char header[MAX_HEADER_BYTES];
  tn_tensor stored = *tensor;
  if (driver->options.eval_mode == TN_EVAL_WIDE && tn_dtype_is_float(tensor->dtype)) stored.dtype = TN_F64;
  size_t bytes = 0, n = tnrt_npy_header(header, sizeof(header), (uint32_t)stored.dtype, stored.ndim, stored.extents);
  if (n == 0) return tn_error(driver->ctx, TN_LOC_NONE, TN_E_FILE, "output '%s' has no form in .npy", name);
  const void *data = tn_tensor_to_bytes(driver->ctx->arena, &stored, &bytes);
  const char *folder = driver->options.output_dir ? driver->options.output_dir : ".";
  tn_output *output =
      tn_driver_open(driver, tn_namef(driver->ctx, "%s/%s", folder, tn_driver_file_name(driver, name)), 0644);
  if (!output) return false;
  tn_sink sink = tn_output_sink(output);
  if (sink.write(sink.user, header, n) && sink.write(sink.user, data, bytes)) return tn_driver_commit(output);
  tn_driver_discard(output);
  return false;
}

bool tn_driver_evaluate(tn_driver *driver) {
  const tn_func *entry = driver->entry;
  uint32_t n_inputs = (uint32_t)entry->body->params.n, n_outputs = (uint32_t)entry->result_names.n;
  tn_tensor **inputs = TN_NEW_N(driver->ctx->arena, tn_tensor *, n_inputs);
  tn_tensor **outputs = TN_NEW_N(driver->ctx->arena, tn_tensor *, n_outputs);
  if (!tn_driver_load_inputs(driver, inputs)) return false;
  tn_progress_tell(driver->ctx, "evaluating", 0, 0);
  if (!tn_eval_func(driver->ctx, driver->ctx->arena, entry, driver->options.eval_mode,
                    (const tn_tensor *const *)inputs, n_inputs, outputs))
    return false;
  const char *folder = driver->options.output_dir;
  if (folder && mkdir(folder, 0777) != 0 && errno != EEXIST)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_FILE, "cannot make folder '%s': %s", folder, strerror(errno));
  bool ok = true;
  for (uint32_t i = 0; i < n_outputs; i++)
    if (!write_tensor(driver, entry->result_names.data[i], outputs[i])) ok = false;
  return ok;
}
