/* The built-in functions as a list, for tenon --print-functions. */
#include "frontend/lang/builtin.h"

void tn_lang_print_functions(tn_buf *out) {
  for (size_t i = 0; i < tn_builtin_count(); i++) {
    const tn_builtin *row = tn_builtin_at(i);
    tn_buf_printf(out, "%s(%s)\n    %s\n", row->name, row->signature, row->doc);
  }
}
