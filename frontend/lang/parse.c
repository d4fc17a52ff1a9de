/* Reading .tn files into syntax trees; see lang.h. */
#include "frontend/lang/lang.h"

tn_ast_file *tn_lang_parse(tn_ctx *ctx, const char *path) {
  tn_error(ctx, tn_loc_file(ctx, path), TN_E_FORMAT, "this tenon does not read its own language yet");
  return NULL;
}

tn_ast_file *tn_lang_parse_bytes(tn_ctx *ctx, const char *name, const char *text, size_t bytes) {
  (void)text;
  (void)bytes;
  return tn_lang_parse(ctx, name);
}
