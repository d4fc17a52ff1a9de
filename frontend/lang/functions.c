/* The built-in functions, and those of train blocks, as a list, for tenon --print-functions. */
#include "frontend/lang/builtin.h"

static void print(const tn_builtin *row, tn_buf *out) {
  tn_buf_printf(out, "%s(%s)\n    %s\n", row->name, row->signature, row->doc);
}

void tn_lang_print_functions(tn_buf *out) {
  for (size_t i = 0; i < tn_builtin_count(); i++) print(tn_builtin_at(i), out);
  for (size_t i = 0; i < tn_loss_count(); i++) print(tn_loss_at(i), out);
}
