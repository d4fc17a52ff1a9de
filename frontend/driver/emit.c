/* What a compile leaves behind: code and weights merged into an object, put into an archive or linked, with its header.
 */
#include <string.h>

#include "frontend/driver/driver.h"

tn_emit_options tn_driver_emit_options(tn_driver *driver) {
  const tn_driver_options *o = &driver->options;
  bool executable = o->make == TN_MAKE_EXECUTABLE || o->with_main;
  return (tn_emit_options){.prefix = tn_driver_prefix(driver), .with_main = executable,
                           .n_workers = o->no_fork ? 0 : o->jobs, .n_threads = o->threads,
                           .debug = tn_driver_debug_source(driver), .sanitize = o->sanitize};
}

/* --- Weights --- */

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

/* Constants in the order of their offsets, packed as the schedule asked. */
static bool stream_weights(void *user, tn_sink sink) {
  weights w = {user, 0, sink};
  const tn_program *program = w.driver->program;
  tn_sink counted = {count_and_write, &w};
  for (size_t i = 0; i < program->buffers.n; i++) {
    const tn_buffer *buffer = program->buffers.data[i];
    if (buffer->kind != TN_BUFFER_CONST) continue;
    if (!pad_weights(&w, (uint64_t)tn_dim_value(buffer->offset))) return false;
    tn_arena *scratch = tn_arena_create_scratch(w.driver->ctx->arena);
    bool ok = w.driver->backend->pack(&w.driver->machine, buffer, scratch, counted);
    tn_arena_destroy(scratch);
    if (!ok) return false;
  }
  return pad_weights(&w, program->weights_bytes);
}

/* --- The object --- */

/* A program takes what it needs of the runtime's archive, main first; a library has one object of it. */
static void add_runtime(tn_object_request *request, const tn_emit_options *options, tn_arena *arena) {
  tn_object_part *runtime = TN_NEW(arena, tn_object_part);
  *runtime = tn_driver_runtime(options->with_main, options->n_threads != 1);
  if (options->with_main) {
    request->archives = runtime;
    request->n_archives = 1;
    return;
  }
  tn_object_part *parts = TN_NEW_N(arena, tn_object_part, request->n_parts + 1);
  memcpy(parts, request->parts, request->n_parts * sizeof(*parts));
  parts[request->n_parts++] = *runtime;
  request->parts = parts;
}

/* e_machine of an ELF object, the 16 bits at offset 18. */
static unsigned machine_of(const tn_object_part *part) {
  const uint8_t *bytes = part->data;
  return part->bytes < 20 ? 0 : bytes[18] | (unsigned)bytes[19] << 8;
}

/* The runtime inside this tenon is for one machine. */
static bool check_machine(tn_driver *driver, const tn_object_part *parts, uint32_t n_parts) {
  tn_object_part runtime = tn_driver_runtime(false, true);
  if (n_parts == 0 || machine_of(&parts[0]) == machine_of(&runtime)) return true;
  tn_error(driver->ctx, TN_LOC_NONE, TN_E_TARGET, "this tenon has no runtime for '%s'", driver->machine.triple);
  tn_note(driver->ctx, TN_LOC_NONE, "--emit=llvm and -S need none");
  return false;
}

static tn_object *make_object(tn_driver *driver, tn_arena *arena) {
  tn_emit_options options = tn_driver_emit_options(driver);
  tn_object_request *request = TN_NEW(arena, tn_object_request);
  tn_object_part *parts = NULL;
  if (!driver->backend->emit(driver->ctx, &driver->machine, driver->program, &options, arena, &parts,
                             &request->n_parts))
    return NULL;
  if (!check_machine(driver, parts, request->n_parts)) return NULL;
  request->parts = parts;
  add_runtime(request, &options, arena);
  tn_object_data *data = TN_NEW(arena, tn_object_data);
  *data = (tn_object_data){tn_namef(driver->ctx, "%s_weights", options.prefix), ".rodata.weights",
                           driver->program->weights_bytes, 64, stream_weights, driver};
  request->data = data;
  request->n_data = 1;
  const char **globals = TN_NEW_N(arena, const char *, TN_HEADER_SYMBOLS);
  tn_header_symbols(driver->ctx, options.prefix, globals);
  request->n_globals = TN_HEADER_SYMBOLS;
  if (options.with_main) {
    globals[0] = "main";
    request->n_globals = 1;
  }
  request->globals = globals;
  return tn_object_merge(driver->ctx, request, arena);
}

/* --- Files --- */

static bool link_object(tn_driver *driver, const char *object, const char *output, bool print_only, tn_buf *command) {
  const tn_driver_options *o = &driver->options;
  const char *exports[TN_HEADER_SYMBOLS];
  tn_words extra = {0};
  if (o->sanitize) TN_VEC_PUSH(driver->ctx->arena, &extra, tn_namef(driver->ctx, "-fsanitize=%s", o->sanitize));
  for (size_t i = 0; i < o->link.n; i++) TN_VEC_PUSH(driver->ctx->arena, &extra, o->link.data[i]);
  tn_header_symbols(driver->ctx, tn_driver_prefix(driver), exports);
  tn_link_request request = {.kind = o->make == TN_MAKE_SHARED ? TN_LINK_SHARED : TN_LINK_EXECUTABLE,
                             .object = object, .output = output, .extra = extra.data,
                             .n_extra = (uint32_t)extra.n, .sysroot = o->sysroot, .triple = o->triple,
                             .exports = exports, .n_exports = TN_HEADER_SYMBOLS, .print_only = print_only,
                             .running = tn_driver_running_linker()};
  return tn_link(driver->ctx, &request, command);
}

static bool link_to(tn_driver *driver, const tn_object *object, tn_output *output) {
  const char *target = tn_output_temporary(output);
  if (!target)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "-o %s: a linker writes to regular files only",
                    driver->options.output);
  const char *object_path = tn_driver_with_suffix(driver, tn_driver_output_path(driver), ".o");
  tn_output *intermediate = tn_driver_open(driver, object_path, 0644);
  if (!intermediate) return false;
  tn_buf command = tn_buf_create(driver->ctx->arena);
  bool ok = tn_object_stream(object, tn_output_sink(intermediate)) && tn_output_flush(intermediate) &&
            link_object(driver, tn_output_temporary(intermediate), target, false, &command);
  if (driver->options.verbose && command.n) fputs(command.data, stderr);
  if (ok && driver->options.save_temps) return tn_driver_commit(intermediate);
  tn_driver_discard(intermediate);
  return ok;
}

static bool write_result(tn_driver *driver, const tn_object *object, tn_output *output) {
  const char *path = tn_driver_output_path(driver), *symbols[TN_HEADER_SYMBOLS];
  switch (driver->options.make) {
    case TN_MAKE_OBJECT: return tn_object_stream(object, tn_output_sink(output));
    case TN_MAKE_ARCHIVE:
      tn_header_symbols(driver->ctx, tn_driver_prefix(driver), symbols);
      return tn_archive_write(driver->ctx, tn_namef(driver->ctx, "%s.o", tn_driver_stem(driver, path)), object, symbols,
                              TN_HEADER_SYMBOLS, tn_output_sink(output));
    default: return link_to(driver, object, output);
  }
}

static bool write_header(tn_driver *driver) {
  const char *path = tn_driver_header_path(driver);
  if (!path) return true;
  tn_buf text = tn_buf_create(driver->ctx->arena);
  return tn_header_write(driver->ctx, driver->program, tn_driver_prefix(driver), &text) &&
         tn_driver_write_text(driver, path, &text);
}

static bool save_temps(tn_driver *driver) {
  static const struct {
    unsigned levels;
    const char *suffix;
  } rows[] = {{LEVEL_IR | LEVEL_KERNELS | LEVEL_PROGRAM, ".tnir"},
              {LEVEL_TILES, ".tiles"},
              {LEVEL_LLVM, ".ll"},
              {LEVEL_ASM, ".s"}};
  if (!driver->options.save_temps) return true;
  tn_driver_options saved = driver->options;
  bool ok = true;
  const char *output = tn_driver_output_path(driver);
  for (size_t i = 0; i < TN_ARRAY_LEN(rows) && ok; i++) {
    driver->options.output = tn_driver_with_suffix(driver, output, rows[i].suffix);
    driver->options.prefix = tn_driver_prefix(driver);
    driver->options.levels = rows[i].levels;
    ok = tn_driver_emit_text(driver);
    driver->options = saved;
  }
  return ok;
}

bool tn_driver_print_link(tn_driver *driver, tn_buf *out) {
  const char *path = tn_driver_output_path(driver);
  return link_object(driver, tn_driver_with_suffix(driver, path, ".o"), path, true, out);
}

bool tn_driver_emit(tn_driver *driver) {
  const tn_driver_options *o = &driver->options;
  if (o->commands) return tn_driver_print_commands(driver);
  if (o->make == TN_MAKE_TEXT) return tn_driver_emit_text(driver);
  if (!driver->program)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION,
                    "nothing to write: --stop-after, --only or --skip left passes out");
  tn_arena *arena = tn_arena_create_scratch(driver->ctx->arena);
  bool linked = o->make == TN_MAKE_EXECUTABLE || o->make == TN_MAKE_SHARED;
  tn_object *object = make_object(driver, arena);
  tn_output *output = object ? tn_driver_open(driver, tn_driver_output_path(driver), linked ? 0755 : 0644) : NULL;
  bool ok = output && write_result(driver, object, output) && save_temps(driver) && write_header(driver) &&
            tn_driver_write_debug(driver);
  if (ok) ok = tn_driver_commit(output);
  else if (output) tn_driver_discard(output);
  tn_arena_destroy(arena);
  return ok;
}
