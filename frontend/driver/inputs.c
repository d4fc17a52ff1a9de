/* Reading models: which format an input has, and the module that comes of it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "frontend/driver/driver.h"
#include "ir/text.h"
#include "ir/verify.h"

#define MAX_TEXT_BYTES (1u << 28)

tn_language tn_driver_language_of(const char *path) {
  static const struct {
    const char *suffix;
    tn_language language;
  } rows[] = {{".onnx", LANGUAGE_ONNX}, {".tnir", LANGUAGE_TNIR}, {".tn", LANGUAGE_TN}, {".o", LANGUAGE_OBJECT},
              {".a", LANGUAGE_OBJECT},  {".so", LANGUAGE_OBJECT}};
  size_t n = strlen(path);
  for (size_t i = 0; i < TN_ARRAY_LEN(rows); i++) {
    size_t k = strlen(rows[i].suffix);
    if (n > k && strcasecmp(path + n - k, rows[i].suffix) == 0) return rows[i].language;
  }
  return LANGUAGE_BY_NAME;
}

static bool file_error(tn_driver *driver, const char *path) {
  return tn_error(driver->ctx, TN_LOC_NONE, TN_E_FILE, "cannot read '%s': %s", path, strerror(errno));
}

static bool read_all(tn_driver *driver, const tn_input *input, int fd) {
  tn_buf text = tn_buf_create(driver->ctx->arena);
  char block[1 << 16];
  tn_buf_puts(&text, "");
  for (;;) {
    ssize_t n = read(fd, block, sizeof(block));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return file_error(driver, input->path);
    if (n == 0) break;
    if (text.n + (size_t)n > MAX_TEXT_BYTES)
      return tn_error(driver->ctx, TN_LOC_NONE, TN_E_LIMIT, "'%s' is longer than %u bytes", input->path,
                      MAX_TEXT_BYTES);
    tn_buf_append(&text, block, (size_t)n);
  }
  tn_ctx_keep_text(driver->ctx, input->path, text.data, text.n);
  return true;
}

static bool read_text(tn_driver *driver, const tn_input *input) {
  bool standard = strcmp(input->path, "-") == 0;
  int fd = standard ? STDIN_FILENO : open(input->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return file_error(driver, input->path);
  bool ok = read_all(driver, input, fd);
  if (!standard) close(fd);
  return ok;
}

/* By content: text is .tnir; an ONNX model begins with its version number or its producer, fields 1 and 2. */
bool tn_driver_know_language(tn_driver *driver, tn_input *input) {
  unsigned char head[64];
  if (input->language != LANGUAGE_BY_NAME) return true;
  ssize_t n = -1;
  int fd = strcmp(input->path, "-") == 0 ? -1 : open(input->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd >= 0) {
    n = read(fd, head, sizeof(head));
    int code = errno;
    close(fd);
    errno = code;
  }
  if (fd < 0 && strcmp(input->path, "-") != 0) return file_error(driver, input->path);
  if (fd >= 0 && n < 0) return file_error(driver, input->path);
  bool text = n > 0;
  for (ssize_t i = 0; i < n; i++)
    if (head[i] < ' ' && head[i] != '\n' && head[i] != '\t' && head[i] != '\r') text = false;
  if (text) input->language = LANGUAGE_TNIR;
  else if (n > 1 && head[0] == 0x08) input->language = LANGUAGE_ONNX;
  else
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_FORMAT,
                    "the format of '%s' cannot be told: say -x onnx, -x tn or -x tnir", input->path);
  return true;
}

static tn_module *load_onnx(tn_driver *driver, const tn_input *input) {
  const tn_driver_options *o = &driver->options;
  tn_onnx_options options = {
      .dims = o->dims.data, .n_dims = (uint32_t)o->dims.n, .shapes = o->shapes.data, .n_shapes = (uint32_t)o->shapes.n,
      .outputs = o->outputs.data, .n_outputs = (uint32_t)o->outputs.n, .data_root = o->data_root, .entry = o->entry,
      .files = &driver->files};
  return tn_onnx_load(driver->ctx, input->path, &options);
}

void tn_driver_add_file(tn_driver *driver, const char *path) {
  for (size_t i = 0; i < driver->files.n; i++)
    if (strcmp(driver->files.data[i], path) == 0) return;
  TN_VEC_PUSH(driver->ctx->arena, &driver->files, path);
}

/* The file of a constant, which text names from its own folder. */
static const char *beside(tn_driver *driver, const char *text, const char *file) {
  const char *slash = strrchr(text, '/');
  return file[0] == '/' || !slash ? file : tn_namef(driver->ctx, "%.*s/%s", (int)(slash - text), text, file);
}

static tn_module *load_text(tn_driver *driver, tn_input *input) {
  const tn_driver_options *o = &driver->options;
  if (o->dims.n || o->shapes.n || o->outputs.n) {
    tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION,
             "--dim, --input-shape and --outputs change ONNX models; '%s' is text of the IR", input->path);
    return NULL;
  }
  if (!read_text(driver, input)) return NULL;
  if (strcmp(input->path, "-") != 0) tn_driver_add_file(driver, input->path);
  const tn_source_text *source = tn_ctx_text(driver->ctx, input->path);
  tn_module *module = tn_text_parse(driver->ctx, input->path, source->text, source->bytes);
  for (size_t i = 0; module && i < module->consts.n; i++)
    if (module->consts.data[i]->file)
      tn_driver_add_file(driver, beside(driver, input->path, module->consts.data[i]->file));
  return module;
}

static bool find_entry(tn_driver *driver) {
  const char *wanted = driver->options.entry;
  tn_module *module = driver->module;
  for (size_t i = 0; i < module->funcs.n && !driver->entry; i++) {
    tn_func *func = module->funcs.data[i];
    if (func->is_entry && (!wanted || strcmp(func->name, wanted) == 0)) driver->entry = func;
  }
  if (driver->entry) return true;
  if (!wanted) return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "'%s' has no entry", driver->input->path);
  tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "--entry: '%s' has no entry called '%s'", driver->input->path,
           wanted);
  for (size_t i = 0; i < module->funcs.n; i++)
    if (module->funcs.data[i]->is_entry) tn_note(driver->ctx, TN_LOC_NONE, "it has '%s'", module->funcs.data[i]->name);
  return false;
}

bool tn_driver_load(tn_driver *driver, tn_input *input) {
  driver->input = input;
  tn_driver_progress_start(driver);
  tn_progress_tell(driver->ctx, "reading", 0, 0);
  driver->files = (tn_onnx_files){0};
  driver->module = NULL;
  driver->entry = NULL;
  driver->program = NULL;
  driver->passes.n = 0;
  driver->debug = NULL;
  tn_driver_end_variants(driver);
  driver->constants.n = 0;
  driver->constants_bytes = 0;
  driver->external = (tn_external_weights){0};
  driver->training = NULL;
  driver->is_part = driver->traces = false;
  driver->part_name = NULL;
  bool ok = tn_driver_know_language(driver, input);
  if (ok && tn_driver_is_training(driver, input, &ok)) return tn_driver_load_training(driver, input);
  if (!ok) return false;
  driver->module = input->language == LANGUAGE_ONNX ? load_onnx(driver, input)
                   : input->language == LANGUAGE_TN ? tn_driver_load_tn(driver, input)
                                                    : load_text(driver, input);
  if (!driver->module) return false;
  if (!tn_verify(driver->module)) {
    driver->fault = input->language != LANGUAGE_TNIR; /* what the importer builds must be right */
    return false;
  }
  return find_entry(driver);
}
