/* Diagnostics as JSON, one object a line. */
#include "frontend/driver/report.h"

void tn_json_put_string(tn_buf *out, const char *text) {
  tn_buf_putc(out, '"');
  while (*text) {
    unsigned char c = (unsigned char)*text;
    size_t n = tn_utf8_bytes(text);
    if (n == 0) tn_buf_puts(out, "\\ufffd");
    else if (c == '"' || c == '\\') tn_buf_printf(out, "\\%c", c);
    else if (c < ' ' || c == 0x7f) tn_buf_printf(out, "\\u%04x", c);
    else tn_buf_append(out, text, n);
    text += n ? n : 1;
  }
  tn_buf_putc(out, '"');
}

void tn_json_put_diag(tn_buf *out, const tn_driver *driver, const tn_diag *diag, tn_severity severity) {
  tn_buf_printf(out, "{\"severity\": \"%s\", \"code\": \"%s\", \"message\": ", tn_severity_name(severity),
                tn_diag_code_name(diag->code));
  tn_json_put_string(out, diag->text);
  const tn_loc_info *where = tn_report_place(driver, diag->loc);
  if (diag->loc != TN_LOC_NONE && where->file) {
    tn_buf_puts(out, ", \"file\": ");
    tn_json_put_string(out, where->file);
  }
  if (where->kind == TN_LOC_KIND_SPAN && diag->loc != TN_LOC_NONE)
    tn_buf_printf(out, ", \"line\": %u, \"column\": %u", where->line, where->column);
  if (where->kind == TN_LOC_KIND_ONNX && diag->loc != TN_LOC_NONE) {
    tn_buf_printf(out, ", \"node\": %lld, \"name\": ", (long long)where->node_index);
    tn_json_put_string(out, where->node_name);
    tn_buf_puts(out, ", \"operator\": ");
    tn_json_put_string(out, where->node_op);
  }
  tn_buf_puts(out, "}\n");
}
