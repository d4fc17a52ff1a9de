/* --emit and -S: levels as text, one after the other. */
#include <string.h>

#include "frontend/driver/driver.h"
#include "ir/certificate.h"
#include "ir/text.h"

bool tn_driver_write_text(tn_driver *driver, const char *path, const tn_buf *text) {
  tn_output *output = tn_driver_open(driver, path, 0644);
  if (!output) return false;
  tn_sink sink = tn_output_sink(output);
  if (text->n == 0 || sink.write(sink.user, text->data, text->n)) return tn_driver_commit(output);
  tn_driver_discard(output);
  return false;
}

static bool need_program(tn_driver *driver) {
  return driver->program || tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION,
                                     "there is no program yet: --stop-after, --only or --skip left passes out");
}

static bool is_asked_for(const tn_driver *driver, const tn_emit_level *level) {
  if (driver->options.assembly && level->is_assembly) return true;
  for (size_t i = 0; i < driver->options.code_levels.n; i++)
    if (strcmp(driver->options.code_levels.data[i], level->name) == 0) return true;
  return false;
}

static bool has_level(const tn_backend *backend, const char *name) {
  for (uint32_t i = 0; i < backend->n_levels; i++)
    if (strcmp(backend->levels[i].name, name) == 0) return true;
  return false;
}

static bool lacks_level(tn_driver *driver, const char *option) {
  const tn_backend *backend = driver->backend;
  tn_buf names = tn_buf_create(driver->ctx->arena);
  for (uint32_t i = 0; i < backend->n_levels; i++)
    tn_buf_printf(&names, "%s%s", i ? ", " : "it has ", backend->levels[i].name);
  return tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "%s: the backend '%s' has no such level%s%s", option,
                  backend->name, names.n ? "; " : "", names.n ? names.data : "");
}

bool tn_driver_check_levels(tn_driver *driver) {
  const tn_driver_options *o = &driver->options;
  unsigned n = o->levels != 0, n_binary = (o->levels & LEVEL_WEIGHTS) != 0;
  bool has_assembly = false;
  if (n_binary) n += (o->levels & ~(unsigned)LEVEL_WEIGHTS) != 0;
  for (size_t i = 0; i < o->code_levels.n; i++)
    if (!has_level(driver->backend, o->code_levels.data[i]))
      return lacks_level(driver, tn_namef(driver->ctx, "--emit=%s", o->code_levels.data[i]));
  for (uint32_t i = 0; i < driver->backend->n_levels; i++) {
    const tn_emit_level *level = &driver->backend->levels[i];
    has_assembly |= level->is_assembly;
    n += is_asked_for(driver, level);
    n_binary += is_asked_for(driver, level) && level->is_binary;
  }
  if (o->assembly && !has_assembly) return lacks_level(driver, "-S");
  return n_binary == 0 || n == 1 ||
         tn_error(driver->ctx, TN_LOC_NONE, TN_E_OPTION, "--emit: what is no text stands alone in its file");
}

static bool put_code(tn_driver *driver, uint32_t level, tn_buf *out) {
  tn_emit_options options = tn_driver_emit_options(driver);
  tn_buf remarks = tn_buf_create(driver->ctx->arena);
  if (driver->is_part) options = tn_driver_part_options(driver, &options, options.prefix);
  if (driver->options.verbose) options.remarks = &remarks;
  bool ok = need_program(driver) &&
            driver->backend->emit_text(driver->ctx, &driver->machine, driver->program, &options, level, out);
  if (remarks.n) fputs(remarks.data, stderr);
  return ok && (!driver->backend->levels[level].has_lines || tn_driver_write_debug(driver));
}

/* The code is made too: the header says how much stack it takes. */
static bool put_header(tn_driver *driver, tn_buf *out) {
  tn_emit_options options = tn_driver_emit_options(driver);
  tn_arena *arena = tn_arena_create_scratch(driver->ctx->arena);
  tn_object_part *parts;
  uint32_t n_parts;
  bool ok = options.checked_create && tn_driver_emit_parts(driver, &options, arena, &parts, &n_parts);
  tn_arena_destroy(arena);
  if (!ok) return false;
  options.stack_bytes = driver->stack_bytes;
  return tn_header_write(driver->ctx, driver->program, &options, out);
}

/* Of a training program those of all its models. */
static void put_plans(tn_driver *driver, tn_buf *out) {
  tn_certificate_print(driver->program, out);
  for (size_t i = 0; i < driver->variants.n; i++) {
    tn_buf_putc(out, '\n');
    tn_certificate_print(driver->variants.data[i]->program, out);
  }
}

/* Weights may be larger than memory: they go straight to the file. */
static bool write_weights(tn_driver *driver) {
  tn_output *output = need_program(driver) ? tn_driver_open(driver, tn_driver_output_path(driver), 0644) : NULL;
  if (!output) return false;
  if (tn_driver_stream_weights(driver, tn_output_sink(output))) return tn_driver_commit(output);
  tn_driver_discard(output);
  return false;
}

_Static_assert((int)LEVEL_IR == (int)TN_TEXT_GRAPH && (int)LEVEL_KERNELS == (int)TN_TEXT_KERNELS &&
                   (int)LEVEL_PROGRAM == (int)TN_TEXT_PROGRAM, "the levels of the text form come first");

/* Levels of the IR that are asked for together are one text, which can be read again. */
bool tn_driver_emit_text(tn_driver *driver) {
  unsigned levels = driver->options.levels, ir = levels & (LEVEL_IR | LEVEL_KERNELS | LEVEL_PROGRAM);
  tn_buf out = tn_buf_create(driver->ctx->arena);
  bool ok = true;
  if (levels & LEVEL_WEIGHTS) return write_weights(driver);
  if (levels & LEVEL_ONNX) return tn_driver_write_onnx(driver);
  if (ir) tn_text_print(driver->module, ir, &out);
  for (uint32_t i = 0; i < driver->backend->n_levels && ok; i++)
    if (is_asked_for(driver, &driver->backend->levels[i])) ok = put_code(driver, i, &out);
  if (ok && (levels & LEVEL_HEADER))
    ok = need_program(driver) && put_header(driver, &out);
  if (ok && (levels & LEVEL_PLAN) && (ok = need_program(driver))) put_plans(driver, &out);
  if (ok && (levels & LEVEL_DOT)) tn_text_print_dot(driver->entry, &out);
  return ok && tn_driver_write_text(driver, tn_driver_output_path(driver), &out);
}
