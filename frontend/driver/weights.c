/* Where the constants of a program go: into the object, a section of it that the user names, or a file beside the
 * output that the program maps when a context is made. They are packed and streamed piece by piece. */
#include <string.h>

#include "frontend/driver/driver.h"
#include "runtime/abi.h"

/* Above this they become a file unless an option says otherwise; above the other one, code that reaches 2 GB in each
 * direction (the small code model) would not find what lies behind them. */
#define EXTERNAL_ABOVE (UINT64_C(1) << 30)
#define EMBEDDED_AT_MOST ((UINT64_C(1) << 31) - (UINT64_C(64) << 20))

/* --- Streaming --- */

typedef struct weights {
  tn_driver *driver;
  uint64_t at;
  tn_sink sink;
} weights;

static bool count_and_write(void *user, const void *data, size_t bytes) {
  weights *w = user;
  w->at += bytes;
  return w->sink.write(w->sink.user, data, bytes);
}

static bool pad_weights(weights *w, uint64_t to) {
  static const uint8_t zeros[4096];
  while (w->at < to) {
    size_t n = to - w->at < sizeof(zeros) ? (size_t)(to - w->at) : sizeof(zeros);
    if (!count_and_write(w, zeros, n)) return false;
  }
  return true;
}

bool tn_driver_stream_weights(void *user, tn_sink sink) {
  tn_driver *driver = user;
  weights w = {driver, 0, sink};
  tn_sink counted = {count_and_write, &w};
  for (size_t i = 0; i < driver->constants.n; i++) {
    const tn_placed_constant *row = &driver->constants.data[i];
    tn_progress_tell(driver->ctx, "writing weights", w.at, driver->program->weights_bytes);
    if (!pad_weights(&w, row->offset)) return false;
    tn_arena *scratch = tn_arena_create_scratch(driver->ctx->arena);
    bool ok = row->of->backend->pack(&row->of->machine, row->buffer, scratch, counted);
    tn_arena_destroy(scratch);
    if (!ok) return false;
  }
  return pad_weights(&w, driver->program->weights_bytes);
}

/* --- Their place --- */

static bool use_file(tn_driver *driver) {
  const char *path = tn_driver_output_path(driver);
  driver->weights_path = tn_driver_with_suffix(driver, path, ".weights");
  if (driver->options.make == TN_MAKE_TEXT)
    driver->weights_path = tn_namef(driver->ctx, "%s.weights", tn_driver_stem(driver, driver->input->path));
  else if (!tn_output_temporary_name(driver->ctx, path))
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION,
                    "-o %s: external constants are a file beside the output, which must be a regular file", path);
  if (strcmp(driver->weights_path, path) == 0)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "-o %s: this is the name of the file of the constants",
                    path);
  const char *slash = strrchr(driver->weights_path, '/');
  driver->external.name = slash ? slash + 1 : driver->weights_path;
  return true;
}

/* The constants of the only program lie where its plan put them. */
static void list_constants(tn_driver *driver) {
  for (size_t i = 0; i < driver->program->buffers.n; i++) {
    const tn_buffer *buffer = driver->program->buffers.data[i];
    if (buffer->kind != TN_BUFFER_CONST || !buffer->offset) continue;
    tn_placed_constant row = {driver, buffer, (uint64_t)tn_dim_value(buffer->offset)};
    TN_VEC_PUSH(driver->ctx->arena, &driver->constants, row);
  }
}

bool tn_driver_place_constants(tn_driver *driver) {
  const tn_driver_options *o = &driver->options;
  if (driver->program && driver->variants.n > 0 && !tn_driver_share_constants(driver)) return false;
  if (driver->program && driver->variants.n == 0) list_constants(driver);
  unsigned long long bytes = driver->program ? driver->program->weights_bytes : 0;
  if (bytes == 0 || o->make == TN_MAKE_EVAL) return true;
  if (o->constants == CONSTANTS_EXTERNAL) return use_file(driver);
  if (o->constants == CONSTANTS_AUTOMATIC && bytes > EXTERNAL_ABOVE && !o->freestanding) {
    if (!use_file(driver)) return false;
    if (!o->no_warnings && o->make != TN_MAKE_TEXT)
      fprintf(stderr, "tenon: note: %llu bytes of constants go to '%s', which the program needs beside it "
                      "(--constants=external)\n", bytes, driver->weights_path);
    return true;
  }
  if (bytes <= EMBEDDED_AT_MOST) return true;
  return tn_error(driver->ctx, TN_LOC_NONE, TN_E_LIMIT,
                  "%llu bytes of constants cannot be part of an object, whose code reaches 2 GB; use "
                  "--constants=external", bytes);
}

tn_object_data *tn_driver_object_data(tn_driver *driver, tn_arena *arena) {
  if (driver->external.name) return NULL;
  const char *section = driver->options.constants == CONSTANTS_SECTION ? driver->options.section : ".rodata.weights";
  tn_object_data *data = TN_NEW(arena, tn_object_data);
  *data = (tn_object_data){tn_namef(driver->ctx, "%s_weights", tn_driver_prefix(driver)), section,
                           driver->program->weights_bytes, 64, tn_driver_stream_weights, driver};
  return data;
}

/* --- The file --- */

typedef struct digested {
  tn_digester digester;
  tn_sink sink;
} digested;

static bool digest_and_write(void *user, const void *data, size_t bytes) {
  digested *d = user;
  tn_digester_add(&d->digester, data, bytes);
  return d->sink.write(d->sink.user, data, bytes);
}

bool tn_driver_write_weights(tn_driver *driver, tn_output **out) {
  *out = NULL;
  if (!driver->external.name) return true;
  tn_output *output = tn_driver_open(driver, driver->weights_path, 0644);
  if (!output) return false;
  digested d = {tn_digester_start(), tn_output_sink(output)};
  if (!tn_driver_stream_weights(driver, (tn_sink){digest_and_write, &d})) {
    tn_driver_discard(output);
    return false;
  }
  driver->external.digest = tn_digester_end(&d.digester);
  *out = output;
  return true;
}
