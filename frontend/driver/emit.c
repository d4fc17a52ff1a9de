/* What a compile leaves behind: code and weights merged into an object, put into an archive or linked, with its header.
 */
#include <string.h>

#include "frontend/driver/driver.h"

tn_emit_options tn_driver_emit_options(tn_driver *driver) {
  const tn_driver_options *o = &driver->options;
  bool executable = o->make == TN_MAKE_EXECUTABLE || o->with_main;
  int64_t least_arena = 0;
  uint32_t least_slots = 0;
  for (size_t i = 0; i < driver->variants.n; i++) {
    const tn_dim *bytes = driver->variants.data[i]->program->arena_bytes;
    if (bytes && tn_dim_is_const(bytes) && tn_dim_value(bytes) > least_arena) least_arena = tn_dim_value(bytes);
    if (driver->variants.data[i]->program->n_slots > least_slots)
      least_slots = driver->variants.data[i]->program->n_slots;
  }
  bool is_text = o->make == TN_MAKE_TEXT && !(o->levels & LEVEL_HEADER);
  bool has_level = !executable && !is_text && driver->program;
  const char *prefix = tn_driver_prefix(driver);
  return (tn_emit_options){.prefix = prefix, .with_main = executable,
                           .n_workers = o->no_fork ? 0 : o->jobs, .unit_seconds = o->unit_seconds,
                           .n_threads = o->freestanding ? 1 : o->threads, .no_heap = o->freestanding,
                           .debug = tn_driver_debug_source(driver), .sanitize = o->sanitize,
                           .external = driver->external.name ? &driver->external : NULL,
                           .least_arena = least_arena, .least_slots = least_slots, .stack_bytes = driver->stack_bytes,
                           .checked_create = has_level ? tn_header_create(driver->ctx, driver->program, prefix) : NULL};
}

/* --- The object --- */

/* Whether it is an executable that reads records (runtime/core/serving.h). */
static bool serves(const tn_driver *driver, const tn_emit_options *options) {
  return options->with_main && driver->serving.plan && !driver->options.freestanding &&
         tn_driver_runtime(driver->machine.triple, "train").bytes > 0;
}

/* The plan and tnrt_main_serving. */
static bool add_serving(tn_driver *driver, tn_arena *arena, tn_object_part **parts, uint32_t *n) {
  tn_object_address addresses[] = {{.kind = TN_ADDRESS_BYTES}, {.kind = TN_ADDRESS_SYMBOL, .symbol = "tnrt_serve_run"}};
  tn_object_record record = {"tnrt_main_serving", driver->serving.plan, driver->serving.plan_bytes, addresses,
                             TN_ARRAY_LEN(addresses)};
  tn_object_part *all = TN_NEW_N(arena, tn_object_part, *n + 1);
  memcpy(all, *parts, *n * sizeof(*all));
  *parts = all;
  return tn_object_make_record(driver->ctx, driver->machine.triple, &record, arena, &all[(*n)++]);
}

/* One archive, of a training program two. */
static bool find_runtime(tn_driver *driver, tn_object_part *out, uint32_t *n) {
  *n = 0;
  if (driver->training) out[(*n)++] = tn_driver_runtime(driver->machine.triple, "train");
  out[(*n)++] = tn_driver_runtime(driver->machine.triple, "core");
  if (out[0].bytes > 0 && out[*n - 1].bytes > 0) return true;
  if (out[*n - 1].bytes > 0)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_TARGET, "this tenon makes no training programs for '%s'",
                    driver->machine.triple);
  tn_error(driver->ctx, TN_LOC_NONE, TN_E_TARGET, "this tenon has no runtime for '%s'", driver->machine.triple);
  if (strncmp(driver->machine.triple, "aarch64", 7) == 0)
    tn_note(driver->ctx, TN_LOC_NONE,
            "it was built without a compiler for that machine (Debian: gcc-aarch64-linux-gnu)");
  tn_note(driver->ctx, TN_LOC_NONE, "the levels of --emit and -S need none");
  return false;
}

bool tn_driver_emit_parts(tn_driver *driver, const tn_emit_options *options, tn_arena *arena,
                          tn_object_part **out_parts, uint32_t *out_n_parts) {
  if (driver->training) return tn_driver_emit_training(driver, options, arena, out_parts, out_n_parts);
  if (driver->variants.n > 0) return tn_driver_emit_variants(driver, options, arena, out_parts, out_n_parts);
  bool ok = driver->backend->emit(driver->ctx, &driver->machine, driver->program, options, arena, out_parts,
                                  out_n_parts);
  if (ok) driver->stack_bytes = tn_emit_stack_bytes(*out_parts, *out_n_parts);
  return ok;
}

static tn_object *make_object(tn_driver *driver, tn_arena *arena) {
  tn_emit_options options = tn_driver_emit_options(driver);
  tn_object_request *request = TN_NEW(arena, tn_object_request);
  tn_object_part *parts = NULL, *runtime = TN_NEW_N(arena, tn_object_part, 2);
  if (!find_runtime(driver, runtime, &request->n_archives)) return NULL;
  if (!options.with_main && !options.checked_create) return NULL;
  if (!tn_driver_emit_parts(driver, &options, arena, &parts, &request->n_parts)) return NULL;
  if (serves(driver, &options)) {
    runtime[request->n_archives++] = tn_driver_runtime(driver->machine.triple, "train");
    if (!add_serving(driver, arena, &parts, &request->n_parts)) return NULL;
  }
  request->parts = parts;
  request->archives = runtime;
  request->data = tn_driver_object_data(driver, arena);
  request->n_data = request->data ? 1 : 0;
  const char **globals = TN_NEW_N(arena, const char *, TN_HEADER_SYMBOLS);
  request->n_globals = tn_header_symbols(driver->ctx, &options, globals);
  if (options.with_main) {
    globals[0] = "main";
    request->n_globals = 1;
    bool has_pictures = driver->training ? tn_driver_training_has_pictures(driver)
                                         : serves(driver, &options) && driver->serving.has_pictures;
    if (has_pictures) globals[request->n_globals++] = "tnrt_jpeg_read";
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
  tn_emit_options options = tn_driver_emit_options(driver);
  uint32_t n_exports = tn_header_symbols(driver->ctx, &options, exports);
  tn_progress_tell(driver->ctx, "linking", 0, 0);
  tn_link_request request = {.kind = o->make == TN_MAKE_SHARED ? TN_LINK_SHARED : TN_LINK_EXECUTABLE,
                             .object = object, .output = output, .extra = extra.data,
                             .n_extra = (uint32_t)extra.n, .sysroot = o->sysroot, .triple = o->triple,
                             .exports = exports, .n_exports = n_exports, .print_only = print_only,
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
  tn_emit_options options = tn_driver_emit_options(driver);
  uint32_t n_symbols;
  switch (driver->options.make) {
    case TN_MAKE_OBJECT: return tn_object_stream(object, tn_output_sink(output));
    case TN_MAKE_ARCHIVE:
      n_symbols = tn_header_symbols(driver->ctx, &options, symbols);
      return tn_archive_write(driver->ctx, tn_namef(driver->ctx, "%s.o", tn_driver_stem(driver, path)), object, symbols,
                              n_symbols, tn_output_sink(output));
    default: return link_to(driver, object, output);
  }
}

static bool write_header(tn_driver *driver) {
  const char *path = tn_driver_header_path(driver);
  if (!path) return true;
  tn_buf text = tn_buf_create(driver->ctx->arena);
  tn_emit_options options = tn_driver_emit_options(driver);
  return tn_header_write(driver->ctx, driver->program, &options, &text) &&
         tn_driver_write_text(driver, path, &text);
}

/* One text beside the output: levels of the IR, or one of the backend's. */
static bool save_level(tn_driver *driver, unsigned levels, const tn_emit_level *code) {
  tn_driver_options saved = driver->options;
  const char *output = tn_driver_output_path(driver);
  const char *suffix = code ? code->suffix : ".tnir";
  driver->options.prefix = tn_driver_prefix(driver);
  if (driver->part_name) suffix = tn_namef(driver->ctx, ".%s%s", driver->part_name, suffix);
  driver->options.output = tn_driver_with_suffix(driver, output, suffix);
  driver->options.levels = levels;
  driver->options.code_levels = (tn_words){0};
  if (code) TN_VEC_PUSH(driver->ctx->arena, &driver->options.code_levels, code->name);
  bool ok = tn_driver_emit_text(driver);
  driver->options = saved;
  return ok;
}

/* Of a training program those of all its models: mlp.step.tnir and so on. */
static bool save_temps(tn_driver *driver) {
  if (!driver->options.save_temps) return true;
  for (size_t i = 0; driver->training && i < driver->variants.n; i++)
    if (!save_temps(driver->variants.data[i])) return false;
  bool ok = save_level(driver, LEVEL_IR | LEVEL_KERNELS | LEVEL_PROGRAM, NULL);
  for (uint32_t i = 0; i < driver->backend->n_levels && ok; i++)
    ok = save_level(driver, 0, &driver->backend->levels[i]);
  return ok;
}

bool tn_driver_print_link(tn_driver *driver, tn_buf *out) {
  const char *path = tn_driver_output_path(driver);
  return link_object(driver, tn_driver_with_suffix(driver, path, ".o"), path, true, out);
}

/* Everything is written before anything gets its name; of two files the weights are first, so that a program never lies
 * beside weights older than itself. */
static bool emit_files(tn_driver *driver, tn_arena *arena) {
  const tn_driver_options *o = &driver->options;
  bool linked = o->make == TN_MAKE_EXECUTABLE || o->make == TN_MAKE_SHARED;
  tn_output *weights = NULL, *output = NULL;
  tn_object *object = tn_driver_write_weights(driver, &weights) ? make_object(driver, arena) : NULL;
  if (object) output = tn_driver_open(driver, tn_driver_output_path(driver), linked ? 0755 : 0644);
  bool ok = output && write_result(driver, object, output) && save_temps(driver) && write_header(driver) &&
            tn_driver_write_debug(driver);
  if (ok && weights) {
    ok = tn_driver_commit(weights);
    weights = NULL;
  }
  if (weights) tn_driver_discard(weights);
  if (ok) return tn_driver_commit(output);
  if (output) tn_driver_discard(output);
  return false;
}

bool tn_driver_emit(tn_driver *driver) {
  const tn_driver_options *o = &driver->options;
  if (o->commands) return tn_driver_print_commands(driver);
  if (!tn_driver_place_constants(driver)) return false;
  if (o->make == TN_MAKE_TEXT) return tn_driver_emit_text(driver);
  if (!driver->program)
    return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION,
                    "nothing to write: --stop-after, --only or --skip left passes out");
  tn_arena *arena = tn_arena_create_scratch(driver->ctx->arena);
  bool ok = emit_files(driver, arena);
  tn_arena_destroy(arena);
  return ok;
}
