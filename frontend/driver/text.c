/* --emit and -S: levels as text, one after the other. */
#include <string.h>

#include "frontend/driver/driver.h"
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

static bool put_backend_text(tn_driver *driver, tn_emit_text what, tn_buf *out) {
  tn_emit_options options = tn_driver_emit_options(driver);
  return need_program(driver) &&
         driver->backend->emit_text(driver->ctx, &driver->machine, driver->program, &options, what, out);
}

static bool put_header(tn_driver *driver, tn_buf *out) {
  tn_emit_options options = tn_driver_emit_options(driver);
  return tn_header_write(driver->ctx, driver->program, &options, out);
}

static bool put_level(tn_driver *driver, unsigned level, tn_buf *out) {
  switch (level) {
    case LEVEL_TILES: return put_backend_text(driver, TN_EMIT_TILES, out);
    case LEVEL_LLVM: return put_backend_text(driver, TN_EMIT_LLVM, out);
    case LEVEL_DOT: tn_text_print_dot(driver->entry, out); return true;
    case LEVEL_ASM: return put_backend_text(driver, TN_EMIT_ASM, out);
    default:
      return need_program(driver) && put_header(driver, out);
  }
}

_Static_assert((int)LEVEL_IR == (int)TN_TEXT_GRAPH && (int)LEVEL_KERNELS == (int)TN_TEXT_KERNELS &&
                   (int)LEVEL_PROGRAM == (int)TN_TEXT_PROGRAM, "the levels of the text form come first");

/* Levels of the IR that are asked for together are one text, which can be read again. */
bool tn_driver_emit_text(tn_driver *driver) {
  unsigned levels = driver->options.levels, ir = levels & (LEVEL_IR | LEVEL_KERNELS | LEVEL_PROGRAM);
  tn_buf out = tn_buf_create(driver->ctx->arena);
  bool ok = true;
  if (ir) tn_text_print(driver->module, ir, &out);
  for (unsigned level = LEVEL_TILES; level <= LEVEL_DOT && ok; level <<= 1)
    if (levels & level) ok = put_level(driver, level, &out);
  if (levels & (LEVEL_LLVM | LEVEL_ASM)) ok = ok && tn_driver_write_debug(driver);
  return ok && tn_driver_write_text(driver, tn_driver_output_path(driver), &out);
}
