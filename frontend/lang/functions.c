/* The built-in functions, and those of train blocks, as a list, for tenon --print-functions. */
#include "frontend/lang/builtin.h"

void tn_lang_print_functions(tn_buf *out) {
  for (size_t i = 0; i < tn_builtin_count(); i++) {
    const tn_builtin *row = tn_builtin_at(i);
    tn_buf_printf(out, "%s(%s)\n    %s\n", row->name, row->signature, row->doc);
  }
  for (size_t i = 0; i < tn_builtins_loss.n; i++) {
    const tn_builtin *row = &tn_builtins_loss.rows[i];
    tn_buf_printf(out, "%s(%s)\n    %s\n", row->name, row->signature, row->doc);
  }
}
