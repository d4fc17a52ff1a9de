/* libFuzzer target: any bytes as a file of the language. They are refused with an error, or have a tree; then the
 * formatter gives a text with the same tree, which it leaves as it is. Seeds: tests/fuzz/corpus/lang. */
#include <stdlib.h>
#include <string.h>

#include "frontend/lang/lang.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static tn_buf tree_of(tn_ctx *ctx, const tn_ast_file *file) {
  tn_buf text = tn_buf_create(ctx->arena);
  tn_buf_puts(&text, "");
  tn_ast_print(ctx, file, false, &text);
  return text;
}

static void check_format(tn_ctx *ctx, const tn_ast_file *file, const char *text, size_t bytes) {
  tn_buf once = tn_buf_create(ctx->arena), twice = tn_buf_create(ctx->arena);
  if (!tn_lang_format(ctx, "fuzz.tn", text, bytes, &once)) abort();
  tn_ast_file *again = tn_lang_parse_bytes(ctx, "once.tn", once.data, once.n);
  if (!again || strcmp(tree_of(ctx, file).data, tree_of(ctx, again).data) != 0) abort();
  if (!tn_lang_format(ctx, "once.tn", once.data, once.n, &twice)) abort();
  if (once.n != twice.n || memcmp(once.data, twice.data, once.n) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  tn_ast_file *file = tn_lang_parse_bytes(ctx, "fuzz.tn", (const char *)data, bytes);
  if ((file == NULL) != (ctx->n_errors > 0)) abort();
  if (file) check_format(ctx, file, (const char *)data, bytes);
  tn_ctx_destroy(ctx);
  return 0;
}
