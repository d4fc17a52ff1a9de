/* Printing diagnostics: text with the source line and a caret; json.c and sarif.c have the other forms. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/driver/report.h"

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

const char *tn_severity_name(tn_severity severity) {
  static const char *const names[] = {[TN_NOTE] = "note", [TN_WARNING] = "warning", [TN_ERROR] = "error",
                                      [TN_HELP] = "help"};
  return names[severity];
}

const char *tn_report_line(const tn_driver *driver, const char *file, uint32_t line, size_t *out_bytes) {
  const tn_source_text *source = tn_ctx_text(driver->ctx, file);
  if (!source) return NULL;
  const char *text = source->text, *end = text + source->bytes;
  for (uint32_t i = 1; i < line; i++) {
    text = memchr(text, '\n', (size_t)(end - text));
    if (!text++) return NULL;
  }
  const char *stop = memchr(text, '\n', (size_t)(end - text));
  *out_bytes = (size_t)((stop ? stop : end) - text);
  if (*out_bytes && text[*out_bytes - 1] == '\r') --*out_bytes;
  return text;
}

/* Tildes for the columns of span that stand in line, which has n bytes. */
static void mark_span(char *marks, size_t n, const tn_loc_info *span, uint32_t line) {
  if (span->kind != TN_LOC_KIND_SPAN || span->line != line || span->column > n) return;
  size_t last = span->end_line > line ? n : span->end_line == line && span->end_column < n ? span->end_column : n;
  if (span->end_line < line) last = span->column;
  for (size_t c = span->column; c <= last; c++) marks[c - 1] = '~';
}

/* The source line and, below it, a caret with tildes under the span, and tildes under the second one:
 *    15 |   return f |> flatten
 *       |          ~    ^~~~~~~ */
static void put_snippet(tn_buf *out, const tn_driver *driver, const tn_loc_info *where, const tn_loc_info *also,
                        const style *s) {
  size_t n = 0;
  const char *line = where->column ? tn_report_line(driver, where->file, where->line, &n) : NULL;
  if (!line || n > MAX_LINE_BYTES || where->column > n + 1) return;
  char *marks = tn_arena_alloc(driver->ctx->arena, n + 2);
  memset(marks, ' ', n + 1);
  if (strcmp(also->file, where->file) == 0) mark_span(marks, n, also, where->line);
  mark_span(marks, n, where, where->line);
  marks[where->column - 1] = '^';
  size_t used = n + 1;
  while (marks[used - 1] == ' ') used--;
  tn_buf_printf(out, "%5u | ", where->line);
  put_clean(out, line, n);
  tn_buf_printf(out, "\n      | %s", s->error);
  for (size_t i = 0; i < used; i++) { /* as wide as the line above: a character is one column, an escape four */
    unsigned char c = i < n ? (unsigned char)line[i] : ' ';
    bool escaped = (c < ' ' && c != '\t') || c == 0x7f;
    for (int k = (c & 0xC0) == 0x80 ? 0 : escaped ? 4 : 1; k > 0; k--) tn_buf_putc(out, marks[i]);
  }
  tn_buf_printf(out, "%s\n", s->end);
}

const tn_loc_info *tn_report_place(const tn_driver *driver, tn_loc loc) {
  const tn_loc_info *info = tn_loc_get(driver->ctx, loc);
  for (int i = 0; i < TN_LOC_MAX_ORIGINS && info->kind == TN_LOC_KIND_FROM && info->n_origins > 0; i++)
    info = tn_loc_get(driver->ctx, info->origins[0]);
  return info;
}

static const char *color_of(const style *s, tn_severity severity) {
  return severity == TN_ERROR ? s->error : severity == TN_WARNING ? s->warning : s->note;
}

/* What has no place of its own stands below the snippet that it belongs to. */
static void put_remark(tn_buf *out, const tn_diag *diag, const style *s) {
  tn_buf_printf(out, "      = %s%s:%s ", color_of(s, diag->severity), tn_severity_name(diag->severity), s->end);
  put_clean(out, diag->text, strlen(diag->text));
  tn_buf_putc(out, '\n');
}

static void put_text(tn_buf *out, const tn_driver *driver, const tn_diag *diag, tn_severity severity, const style *s) {
  tn_buf place = tn_buf_create(driver->ctx->arena);
  if (diag->loc == TN_LOC_NONE) tn_buf_puts(&place, "tenon");
  else tn_loc_print(driver->ctx, diag->loc, &place);
  tn_buf_puts(out, s->bold);
  put_clean(out, place.data, place.n);
  tn_buf_printf(out, ": %s%s:%s ", color_of(s, severity), tn_severity_name(severity), s->end);
  put_clean(out, diag->text, strlen(diag->text));
  if (!tn_severity_is_remark(severity)) tn_buf_printf(out, " [%s]", tn_diag_code_name(diag->code));
  tn_buf_putc(out, '\n');
  const tn_loc_info *where = tn_report_place(driver, diag->loc);
  if (where->kind == TN_LOC_KIND_SPAN) put_snippet(out, driver, where, tn_report_place(driver, diag->also), s);
}

/* Whether a diagnostic is printed, and as what; a note goes with the diagnostic before it. */
static bool is_shown(tn_driver *driver, const tn_diag *diag, bool *note_shown, tn_severity *out_severity) {
  const tn_driver_options *o = &driver->options;
  *out_severity = diag->severity;
  if (tn_severity_is_remark(diag->severity)) return *note_shown;
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
  tn_message_format format = driver->options.format;
  tn_sarif sarif = tn_sarif_create(driver);
  tn_buf out = tn_buf_create(driver->ctx->arena);
  bool note_shown = true, placed = false;
  size_t n_recorded = 0;
  for (size_t i = 0; i < ctx->diags.n; i++) {
    const tn_diag *diag = &ctx->diags.data[i];
    tn_severity severity;
    n_recorded += diag->severity == TN_ERROR;
    if (!is_shown(driver, diag, &note_shown, &severity)) continue;
    if (!tn_severity_is_remark(severity)) placed = tn_report_place(driver, diag->loc)->kind == TN_LOC_KIND_SPAN;
    bool remark = diag->loc == TN_LOC_NONE && tn_severity_is_remark(severity) && placed;
    if (format == FORMAT_SARIF) tn_sarif_add(&sarif, diag, severity);
    else if (format == FORMAT_JSON) tn_json_put_diag(&out, driver, diag, severity);
    else if (remark) put_remark(&out, diag, s);
    else put_text(&out, driver, diag, severity, s);
  }
  if (n_recorded >= ctx->max_errors && tn_diag_n_errors(ctx) > n_recorded && format == FORMAT_TEXT)
    tn_buf_printf(&out, "tenon: %zu more errors are not shown\n", tn_diag_n_errors(ctx) - n_recorded);
  int status = status_of(driver);
  if (format == FORMAT_SARIF) tn_sarif_finish(&sarif, status, &out);
  if (out.n) fwrite(out.data, 1, out.n, stderr);
  return status;
}
