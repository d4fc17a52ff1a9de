/* Reads texts of the language from standard input, each ended by a NUL byte, and prints a line for each:
 *
 *   error LINE COLUMN TEXT   the first error
 *   ok                       there is none; the formatter keeps its tree and leaves its own result as it is
 *   changed                  the formatter changes the tree
 *   unstable                 the formatter changes its own result */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/lang/lang.h"

static const char *tree_of(tn_ctx *ctx, const tn_ast_file *file) {
  tn_buf text = tn_buf_create(ctx->arena);
  tn_buf_puts(&text, "");
  tn_ast_print(ctx, file, false, &text);
  return text.data;
}

static const char *judge_format(tn_ctx *ctx, const tn_ast_file *file, const char *text) {
  tn_buf once = tn_buf_create(ctx->arena), twice = tn_buf_create(ctx->arena);
  if (!tn_lang_format(ctx, "text", text, strlen(text), &once)) return "changed";
  const tn_ast_file *again = tn_lang_parse_bytes(ctx, "once", once.data, once.n);
  if (!again || strcmp(tree_of(ctx, file), tree_of(ctx, again)) != 0) return "changed";
  if (!tn_lang_format(ctx, "once", once.data, once.n, &twice)) return "unstable";
  return strcmp(once.data, twice.data) == 0 ? "ok" : "unstable";
}

static void judge(const char *text) {
  tn_ctx *ctx = tn_ctx_create((tn_oom){0});
  const tn_ast_file *file = tn_lang_parse_bytes(ctx, "text", text, strlen(text));
  if (file) {
    puts(judge_format(ctx, file, text));
  } else {
    const tn_diag *first = &ctx->diags.data[0];
    const tn_loc_info *where = tn_loc_get(ctx, first->loc);
    printf("error %u %u %s\n", where->line, where->column, first->text);
  }
  fflush(stdout);
  tn_ctx_destroy(ctx);
}

int main(void) {
  char *text = NULL;
  size_t capacity = 0;
  while (getdelim(&text, &capacity, 0, stdin) > 0) judge(text);
  free(text);
  return 0;
}
