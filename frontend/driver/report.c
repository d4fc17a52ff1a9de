/* Printing diagnostics: text with the source line and a caret, or JSON. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/driver.h"

#define MAX_LINE_BYTES 400

typedef struct style {
  const char *error, *warning, *note, *bold, *end;
} style;

static const style plain = {"", "", "", "", ""};
static const style coloured = {"\033[1;31m", "\033[1;35m", "\033[1;36m", "\033[1m", "\033[0m"};

static bool wants_color(const tn_driver *driver) {
  const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
  if (driver->options.color >= 0) return driver->options.color == 1;
  if ((none && none[0]) || (terminal && strcmp(terminal, "dumb") == 0)) return false;
  return isatty(STDERR_FILENO);
}

/* Control bytes of names in the input must not reach a terminal. */
static void put_clean(tn_buf *out, const char *text, size_t n) {
  for (size_t i = 0; i < n; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '\t') tn_buf_putc(out, ' ');
    else if (c < ' ' || c == 0x7f) tn_buf_printf(out, "\\x%02x", c);
    else tn_buf_putc(out, (char)c);
  }
}

static const char *severity_name(tn_severity severity) {
  return severity == TN_ERROR ? "error" : severity == TN_WARNING ? "warning" : "note";
}

static const char *text_of(const tn_driver *driver, const char *file, size_t *out_bytes) {
  for (size_t i = 0; i < driver->options.inputs.n; i++) {
    const tn_input *input = &driver->options.inputs.data[i];
    if (!input->text || strcmp(input->path, file) != 0) continue;
    *out_bytes = input->text_bytes;
    return input->text;
  }
  return NULL;
}

static void put_caret(tn_buf *out, const tn_driver *driver, const tn_loc_info *where, const style *s) {
  size_t bytes = 0;
  const char *text = text_of(driver, where->file, &bytes), *end = text + bytes;
  if (!text || where->column == 0) return;
  for (uint32_t line = 1; line < where->line; line++) {
    text = memchr(text, '\n', (size_t)(end - text));
    if (!text++) return;
  }
  const char *stop = memchr(text, '\n', (size_t)(end - text));
  size_t n = (size_t)((stop ? stop : end) - text);
  if (n > MAX_LINE_BYTES || where->column > n + 1) return;
  tn_buf_puts(out, "  ");
  put_clean(out, text, n);
  tn_buf_puts(out, "\n  ");
  tn_buf before = tn_buf_create(driver->ctx->arena);
  put_clean(&before, text, where->column - 1);
  for (size_t i = 0; i < before.n; i++) /* one blank a character: bytes that continue one do not count */
    if (((unsigned char)before.data[i] & 0xC0) != 0x80) tn_buf_putc(out, ' ');
  tn_buf_printf(out, "%s^", s->error);
  uint32_t last = where->end_line == where->line ? where->end_column : 0;
  for (uint32_t c = where->column + 1; c <= last && c <= n; c++) tn_buf_putc(out, '~');
  tn_buf_printf(out, "%s\n", s->end);
}

static const tn_loc_info *first_origin(const tn_driver *driver, tn_loc loc) {
  const tn_loc_info *info = tn_loc_get(driver->ctx, loc);
  for (int i = 0; i < TN_LOC_MAX_ORIGINS && info->kind == TN_LOC_KIND_FROM && info->n_origins > 0; i++)
    info = tn_loc_get(driver->ctx, info->origins[0]);
  return info;
}

static void put_text(tn_buf *out, const tn_driver *driver, const tn_diag *diag, tn_severity severity, const style *s) {
  tn_buf place = tn_buf_create(driver->ctx->arena);
  if (diag->loc == TN_LOC_NONE) tn_buf_puts(&place, "tenon");
  else tn_loc_print(driver->ctx, diag->loc, &place);
  tn_buf_puts(out, s->bold);
  put_clean(out, place.data, place.n);
  const char *color = severity == TN_ERROR ? s->error : severity == TN_WARNING ? s->warning : s->note;
  tn_buf_printf(out, ": %s%s:%s ", color, severity_name(severity), s->end);
  put_clean(out, diag->text, strlen(diag->text));
  if (severity != TN_NOTE) tn_buf_printf(out, " [%s]", tn_diag_code_name(diag->code));
  tn_buf_putc(out, '\n');
  const tn_loc_info *where = first_origin(driver, diag->loc);
  if (diag->loc != TN_LOC_NONE && where->kind == TN_LOC_KIND_SPAN) put_caret(out, driver, where, s);
}

static void put_json_string(tn_buf *out, const char *text) {
  tn_buf_putc(out, '"');
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') tn_buf_printf(out, "\\%c", c);
    else if (c < ' ') tn_buf_printf(out, "\\u%04x", c);
    else tn_buf_putc(out, (char)c);
  }
  tn_buf_putc(out, '"');
}

/* One object a line, so that a reader need not wait for the end. */
static void put_json(tn_buf *out, const tn_driver *driver, const tn_diag *diag, tn_severity severity) {
  tn_buf_printf(out, "{\"severity\": \"%s\", \"code\": \"%s\", \"message\": ", severity_name(severity),
                tn_diag_code_name(diag->code));
  put_json_string(out, diag->text);
  const tn_loc_info *where = first_origin(driver, diag->loc);
  if (diag->loc != TN_LOC_NONE && where->file) {
    tn_buf_puts(out, ", \"file\": ");
    put_json_string(out, where->file);
  }
  if (where->kind == TN_LOC_KIND_SPAN && diag->loc != TN_LOC_NONE)
    tn_buf_printf(out, ", \"line\": %u, \"column\": %u", where->line, where->column);
  if (where->kind == TN_LOC_KIND_ONNX && diag->loc != TN_LOC_NONE) {
    tn_buf_printf(out, ", \"node\": %lld, \"name\": ", (long long)where->node_index);
    put_json_string(out, where->node_name);
    tn_buf_puts(out, ", \"operator\": ");
    put_json_string(out, where->node_op);
  }
  tn_buf_puts(out, "}\n");
}

/* Whether a diagnostic is printed, and as what; a note goes with the diagnostic before it. */
static bool is_shown(tn_driver *driver, const tn_diag *diag, bool *note_shown, tn_severity *out_severity) {
  const tn_driver_options *o = &driver->options;
  *out_severity = diag->severity;
  if (diag->severity == TN_NOTE) return *note_shown;
  *note_shown = diag->severity == TN_ERROR || !(o->no_warnings || o->hidden[diag->code]);
  if (*note_shown && diag->severity == TN_WARNING && o->warnings_are_errors) {
    *out_severity = TN_ERROR;
    driver->ctx->n_errors++;
  }
  return *note_shown;
}

/* Codes of the group 09 are faults of tenon. */
static int status_of(const tn_driver *driver) {
  if (driver->fault) return EXIT_FAULT;
  for (size_t i = 0; i < driver->ctx->diags.n; i++) {
    const tn_diag *diag = &driver->ctx->diags.data[i];
    if (diag->severity == TN_ERROR && diag->code == TN_E_RESOURCE) return EXIT_RESOURCE;
    if (diag->severity == TN_ERROR && strncmp(tn_diag_code_name(diag->code), "TN09", 4) == 0) return EXIT_FAULT;
  }
  return tn_diag_n_errors(driver->ctx) > 0 ? EXIT_INPUT : 0;
}

int tn_driver_report(tn_driver *driver) {
  const tn_ctx *ctx = driver->ctx;
  const style *s = wants_color(driver) ? &coloured : &plain;
  tn_buf out = tn_buf_create(driver->ctx->arena);
  bool note_shown = true;
  size_t n_recorded = 0;
  for (size_t i = 0; i < ctx->diags.n; i++) {
    const tn_diag *diag = &ctx->diags.data[i];
    tn_severity severity;
    n_recorded += diag->severity == TN_ERROR;
    if (!is_shown(driver, diag, &note_shown, &severity)) continue;
    if (driver->options.json) put_json(&out, driver, diag, severity);
    else put_text(&out, driver, diag, severity, s);
  }
  if (n_recorded >= ctx->max_errors && tn_diag_n_errors(ctx) > n_recorded && !driver->options.json)
    tn_buf_printf(&out, "tenon: %zu more errors are not shown\n", tn_diag_n_errors(ctx) - n_recorded);
  if (out.n) fwrite(out.data, 1, out.n, stderr);
  return status_of(driver);
}
