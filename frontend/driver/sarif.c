/* Diagnostics as a log that code scanning tools read. Source: OASIS, Static Analysis Results Interchange Format 2.1.0;
 * the sections named below are its. */
#include <string.h>

#include "frontend/driver/report.h"

tn_sarif tn_sarif_create(tn_driver *driver) {
  tn_arena *arena = driver->ctx->arena;
  tn_sarif sarif = {.driver = driver, .results = tn_buf_create(arena), .rules = tn_buf_create(arena),
                    .notes = tn_buf_create(arena)};
  for (size_t i = 0; i < TN_N_DIAG_CODES; i++) sarif.rule_of[i] = -1;
  return sarif;
}

/* A file name as a URI reference (RFC 3986). */
static void put_uri(tn_buf *out, const char *path) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
  tn_buf_puts(out, path[0] == '/' ? "\"file://" : "\"");
  for (; *path; path++) {
    if (strchr(plain, *path)) tn_buf_putc(out, *path);
    else tn_buf_printf(out, "%%%02X", (unsigned char)*path);
  }
  tn_buf_putc(out, '"');
}

/* Columns are bytes in tenon and characters in SARIF (3.14.27, unicodeCodePoints). */
static uint32_t character_column(const char *line, size_t bytes, uint32_t column) {
  uint32_t n = 1;
  for (uint32_t i = 0; i + 1 < column && i < bytes; i++) n += ((unsigned char)line[i] & 0xc0) != 0x80;
  return n;
}

/* 3.30: a region is a line, and columns where the text is at hand to count them; endColumn is the one behind. */
static void put_region(tn_buf *out, const tn_driver *driver, const tn_loc_info *where) {
  size_t bytes = 0;
  const char *line = tn_report_line(driver, where->file, where->line, &bytes);
  tn_buf_printf(out, ", \"region\": {\"startLine\": %u", where->line);
  if (line && where->column > 0) {
    tn_buf_printf(out, ", \"startColumn\": %u", character_column(line, bytes, where->column));
    if (where->end_line == where->line && where->end_column >= where->column)
      tn_buf_printf(out, ", \"endColumn\": %u", character_column(line, bytes, where->end_column + 1));
  }
  tn_buf_putc(out, '}');
}

/* 3.28: where in a file, and the node of a model as a logical location (3.33). */
static void put_location(tn_buf *out, const tn_driver *driver, const tn_diag *diag) {
  const tn_loc_info *where = tn_report_place(driver, diag->loc);
  tn_buf_puts(out, "{\"physicalLocation\": {\"artifactLocation\": {\"uri\": ");
  put_uri(out, where->file);
  tn_buf_putc(out, '}');
  if (where->kind == TN_LOC_KIND_SPAN && where->line > 0) put_region(out, driver, where);
  tn_buf_putc(out, '}');
  if (where->kind == TN_LOC_KIND_ONNX) {
    tn_buf_puts(out, ", \"logicalLocations\": [{\"name\": ");
    tn_json_put_string(out, where->node_name[0] ? where->node_name : where->node_op);
    tn_buf_printf(out, ", \"kind\": \"node\", \"properties\": {\"index\": %lld, \"operator\": ",
                  (long long)where->node_index);
    tn_json_put_string(out, where->node_op);
    tn_buf_puts(out, "}}]");
  }
}

static bool has_place(const tn_driver *driver, const tn_diag *diag) {
  return diag->loc != TN_LOC_NONE && tn_report_place(driver, diag->loc)->file != NULL;
}

static void put_message(tn_buf *out, const char *text) {
  tn_buf_puts(out, "\"message\": {\"text\": ");
  tn_json_put_string(out, text);
  tn_buf_putc(out, '}');
}

/* 3.49: each code once, with its explanation. */
static int64_t rule_index(tn_sarif *sarif, tn_diag_code code) {
  if (sarif->rule_of[code] >= 0) return sarif->rule_of[code];
  tn_buf_printf(&sarif->rules, "%s\n      {\"id\": \"%s\", \"fullDescription\": {\"text\": ",
                sarif->n_rules ? "," : "", tn_diag_code_name(code));
  tn_json_put_string(&sarif->rules, tn_diag_code_text(code));
  tn_buf_puts(&sarif->rules, "}}");
  return sarif->rule_of[code] = (int64_t)sarif->n_rules++;
}

/* Notes are related locations (3.27.22); those without a place have their message only. */
static void end_result(tn_sarif *sarif) {
  if (sarif->n_results == 0) return;
  if (sarif->n_notes > 0) {
    tn_buf_puts(&sarif->results, ",\n      \"relatedLocations\": [");
    tn_buf_append(&sarif->results, sarif->notes.data, sarif->notes.n);
    tn_buf_putc(&sarif->results, ']');
  }
  tn_buf_putc(&sarif->results, '}');
  sarif->n_notes = 0;
  sarif->notes = tn_buf_create(sarif->driver->ctx->arena);
}

static void add_note(tn_sarif *sarif, const tn_diag *diag) {
  if (sarif->n_results == 0) return;
  tn_buf_puts(&sarif->notes, sarif->n_notes++ ? ", " : "");
  if (has_place(sarif->driver, diag)) {
    put_location(&sarif->notes, sarif->driver, diag);
    tn_buf_puts(&sarif->notes, ", ");
  } else {
    tn_buf_putc(&sarif->notes, '{');
  }
  put_message(&sarif->notes, diag->text);
  tn_buf_putc(&sarif->notes, '}');
}

void tn_sarif_add(tn_sarif *sarif, const tn_diag *diag, tn_severity severity) {
  if (tn_severity_is_remark(severity)) {
    add_note(sarif, diag);
    return;
  }
  end_result(sarif);
  int64_t rule = rule_index(sarif, diag->code);
  tn_buf_printf(&sarif->results, "%s\n     {\"ruleId\": \"%s\", \"ruleIndex\": %lld, \"level\": \"%s\", ",
                sarif->n_results++ ? "," : "", tn_diag_code_name(diag->code), (long long)rule,
                tn_severity_name(severity));
  put_message(&sarif->results, diag->text);
  if (!has_place(sarif->driver, diag)) return;
  tn_buf_puts(&sarif->results, ",\n      \"locations\": [");
  put_location(&sarif->results, sarif->driver, diag);
  tn_buf_puts(&sarif->results, "}]");
}

void tn_sarif_finish(tn_sarif *sarif, int exit_status, tn_buf *out) {
  end_result(sarif);
  tn_buf_puts(out, "{\"version\": \"2.1.0\",\n \"$schema\": "
                   "\"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json\",\n"
                   " \"runs\": [\n  {\"tool\": {\"driver\": {\"name\": \"tenon\", \"version\": \"" TENON_VERSION
                   "\", \"rules\": [");
  if (sarif->n_rules) tn_buf_append(out, sarif->rules.data, sarif->rules.n);
  tn_buf_printf(out, "]}},\n   \"columnKind\": \"unicodeCodePoints\",\n"
                     "   \"invocations\": [{\"executionSuccessful\": %s, \"exitCode\": %d}],\n   \"results\": [",
                exit_status == 0 ? "true" : "false", exit_status);
  if (sarif->n_results) tn_buf_append(out, sarif->results.data, sarif->results.n);
  tn_buf_puts(out, "]}]}\n");
}
